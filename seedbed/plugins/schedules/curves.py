"""Learning-rate factors as pure functions of progress in [0, 1]."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from seedbed.core.protocols import Schedule

if TYPE_CHECKING:
    from seedbed.plugins.schedules import CosineOptions, OneCycleOptions

_START = 0.04  # of the peak: a first step at exactly zero would be a step wasted


def one_cycle(options: OneCycleOptions) -> Schedule:
    """Return the factor that rises to 1 at `warmup` and falls to 0 at the end."""

    def factor(progress: float) -> float:
        if progress < options.warmup:
            return _START + (1 - _START) * progress / options.warmup
        return max(0.0, (1 - progress) / (1 - options.warmup))

    return factor


def cosine(options: CosineOptions) -> Schedule:
    """Return the factor that rises to 1 at `warmup` and falls to `floor` along half a cosine."""

    def factor(progress: float) -> float:
        if progress < options.warmup:
            return _START + (1 - _START) * progress / options.warmup
        share = (min(progress, 1.0) - options.warmup) / (1 - options.warmup)
        return options.floor + (1 - options.floor) * 0.5 * (1 + math.cos(math.pi * share))

    return factor
