from __future__ import annotations

import pytest
import torch
from core.training.helpers import CLASSES, bars, write_data

from seedbed.core.training import trial
from seedbed.core.training.footprint import Footprint


@pytest.fixture(autouse=True)
def _one_thread():
    """Nets this small run ten times faster on one thread where other processes want the cores too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    pixels, targets = bars(60, size=32, channels=1)
    return write_data(tmp_path_factory.mktemp("small"), pixels, targets, CLASSES)


@pytest.fixture
def unmeasured(monkeypatch):
    """Count what training and judging ask of a net, and not what it costs in use."""
    monkeypatch.setattr(trial, "measure_footprint", lambda context, model: Footprint())
