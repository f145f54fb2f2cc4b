"""A plugin that tries the patience of a run: a net that hangs in training, and one that takes a minute an epoch.

seedbed --plugin benchmarks/trying_plugins.py fit demo:digits --time 60s --use architecture:hangs
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from seedbed import ArchitectureSpec, NoOptions, hookimpl
from seedbed.core.data.profile import Profile

EPOCH_SECONDS = 60.0
_STEPS_BEFORE_IT_HANGS = 30


@hookimpl
def register_architectures() -> Iterator[ArchitectureSpec]:
    """Offer both."""
    for name, summary in (
        ("hangs", "Never comes back from its thirtieth step."),
        ("sluggish", "Takes a minute for a pass over the training rows."),
    ):
        yield ArchitectureSpec(name=name, summary=summary, build=f"{__name__}:{name}", parameters=1_000)


class _Trying(nn.Module):
    """A small net on coarse pixels (N, C, H, W) → (N, 32) that takes its time where it learns."""

    def __init__(self, profile: Profile, *, row_seconds: float, hangs: bool) -> None:
        super().__init__()
        self.num_features = 32
        self.net = nn.Sequential(nn.AdaptiveAvgPool2d(6), nn.Flatten(), nn.Linear(36 * profile.channels, 32), nn.ReLU())
        self.row_seconds, self.hangs, self.steps = row_seconds, hangs, 0

    def forward(self, inputs: Tensor) -> Tensor:
        """Return features, late or never."""
        if self.training and torch.is_grad_enabled():
            self.steps += 1
            time.sleep(self.row_seconds * len(inputs))
            while self.hangs and self.steps >= _STEPS_BEFORE_IT_HANGS:
                time.sleep(1.0)
        found: Tensor = self.net(inputs)
        return found


def hangs(options: NoOptions, profile: Profile) -> nn.Module:
    """Build the net that hangs."""
    return _Trying(profile, row_seconds=0.0, hangs=True)


def sluggish(options: NoOptions, profile: Profile) -> nn.Module:
    """Build the net that is slow."""
    return _Trying(profile, row_seconds=EPOCH_SECONDS / max(profile.train, 1), hangs=False)
