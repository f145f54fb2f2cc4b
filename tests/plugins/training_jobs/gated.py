"""A plugin with a net that waits until a test lets it go on; where it is told to, it breaks in a training job."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from seedbed import ArchitectureSpec, hookimpl

if Path(os.environ.get("SEEDBED_TEST_BREAKS", "/nowhere/at/all")).exists() and "TRAINING_JOB_NAME" in os.environ:
    raise RuntimeError("this plugin cannot live in a container")


@dataclass(frozen=True)
class GatedOptions:
    """`gate` is a file that is waited for; beside it one is made that says so."""

    gate: str = ""


@hookimpl
def register_architectures():
    yield ArchitectureSpec(
        name="gated",
        summary="The averages of a coarse grid, once a file is there.",
        build=f"{__name__}:gated",
        options=GatedOptions,
        features_only=True,
    )


def gated(options, profile):
    from torch import nn

    gate = Path(options.gate)
    gate.with_suffix(".reached").touch()
    while not gate.exists():
        time.sleep(0.02)
    model = nn.Sequential(nn.AdaptiveAvgPool2d(3), nn.Flatten())
    model.num_features = 9 * profile.channels
    return model
