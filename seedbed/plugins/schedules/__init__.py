"""Built-in learning-rate schedules; they need no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from seedbed import Float, ScheduleSpec, hookimpl


@dataclass(frozen=True, slots=True)
class OneCycleOptions:
    """`warmup` is the share of the training in which the rate rises."""

    warmup: Annotated[float, Float(0.05, 0.4)] = 0.25


@dataclass(frozen=True, slots=True)
class CosineOptions:
    """`warmup` is the share of the training in which the rate rises, `floor` the last factor."""

    warmup: Annotated[float, Float(0.0, 0.2)] = 0.05
    floor: Annotated[float, Float(0.0, 0.1)] = 0.0


@hookimpl
def register_schedules() -> Iterator[ScheduleSpec]:
    """Offer the schedules."""
    yield ScheduleSpec(
        name="one_cycle",
        summary="Up in a line, then down in a line to zero (Smith & Topin 2018).",
        build="seedbed.plugins.schedules.curves:one_cycle",
        options=OneCycleOptions,
    )
    yield ScheduleSpec(
        name="cosine",
        summary="A short linear warm-up, then half a cosine (Loshchilov & Hutter 2017).",
        build="seedbed.plugins.schedules.curves:cosine",
        options=CosineOptions,
    )
