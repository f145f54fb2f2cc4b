"""A third-party plugin for series and texts, without a fault, passes the kit."""

from pathlib import Path

import pytest

from seedbed.registry import conformance

pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR")
SOUND = str(Path(__file__).with_name("sound_sequences.py"))


class TestArchitecture(conformance.ArchitectureContract):
    plugin = SOUND


class TestWeights(conformance.WeightsContract):
    plugin = SOUND


class TestAugmenter(conformance.AugmenterContract):
    plugin = SOUND


class TestRegularizer(conformance.RegularizerContract):
    plugin = SOUND
