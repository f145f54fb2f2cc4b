"""Learning-rate factors as pure functions of progress in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from seedbed.core.protocols import Schedule

if TYPE_CHECKING:
    from seedbed.plugins.schedules import (
        ConstantOptions,
        CosineOptions,
        LinearOptions,
        OneCycleOptions,
        StepOptions,
    )

_START = 0.04  # of the peak: a first step at exactly zero would be a step wasted


def one_cycle(options: OneCycleOptions) -> Schedule:
    """Return the factor that rises to 1 at `warmup` and falls to 0 at the end."""
    return _after(options.warmup, lambda share: 1 - share)


def cosine(options: CosineOptions) -> Schedule:
    """Return the factor that rises to 1 at `warmup` and falls to `floor` along half a cosine."""
    return _after(
        options.warmup, lambda share: options.floor + (1 - options.floor) * 0.5 * (1 + math.cos(math.pi * share))
    )


def linear(options: LinearOptions) -> Schedule:
    """Return the factor that rises to 1 at `warmup` and falls to `floor` in a line."""
    return _after(options.warmup, lambda share: options.floor + (1 - options.floor) * (1 - share))


def step(options: StepOptions) -> Schedule:
    """Return the factor that rises to 1 at `warmup` and is cut each time that half of what was left is over.

    The drops are at 1/2, 3/4, 7/8 … of the whole training: the first one gains most, and what follows it
    needs less and less time.
    """
    places = [1 - 0.5**drop for drop in range(1, options.drops + 1)]

    def factor(progress: float) -> float:
        passed = sum(progress >= place for place in places)
        return _rise(progress, options.warmup) * float(options.factor**passed)

    return factor


def constant(options: ConstantOptions) -> Schedule:
    """Return the factor that rises to 1 at `warmup` and stays there."""
    return _after(options.warmup, lambda share: 1.0)


def _after(warmup: float, fall: Callable[[float], float]) -> Schedule:
    """Return the factor that rises in a line and then follows `fall`, a function of the share of what is left."""

    def factor(progress: float) -> float:
        if progress < warmup:
            return _rise(progress, warmup)
        return fall((min(progress, 1.0) - warmup) / (1 - warmup))

    return factor


def _rise(progress: float, warmup: float) -> float:
    return 1.0 if progress >= warmup else _START + (1 - _START) * progress / warmup
