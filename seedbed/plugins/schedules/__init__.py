"""Built-in learning-rate schedules; they need no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from seedbed import Float, Int, ScheduleSpec, hookimpl


@dataclass(frozen=True, slots=True)
class OneCycleOptions:
    """`warmup` is the share of the training in which the rate rises."""

    warmup: Annotated[float, Float(0.05, 0.4)] = 0.25


@dataclass(frozen=True, slots=True)
class CosineOptions:
    """`warmup` is the share of the training in which the rate rises, `floor` the last factor."""

    warmup: Annotated[float, Float(0.0, 0.2)] = 0.05
    floor: Annotated[float, Float(0.0, 0.1)] = 0.0


@dataclass(frozen=True, slots=True)
class LinearOptions:
    """`warmup` is the share of the training in which the rate rises, `floor` the last factor."""

    warmup: Annotated[float, Float(0.0, 0.2)] = 0.06
    floor: Annotated[float, Float(0.0, 0.1)] = 0.0


@dataclass(frozen=True, slots=True)
class StepOptions:
    """`warmup` is the share in which the rate rises, `drops` how often it falls, `factor` by how much each time."""

    warmup: Annotated[float, Float(0.0, 0.2)] = 0.05
    drops: Annotated[int, Int(1, 4)] = 2
    factor: Annotated[float, Float(0.05, 0.5, log=True)] = 0.1


@dataclass(frozen=True, slots=True)
class ConstantOptions:
    """`warmup` is the share of the training in which the rate rises."""

    warmup: Annotated[float, Float(0.0, 0.2)] = 0.05


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
    yield ScheduleSpec(
        name="linear",
        summary="A short linear warm-up, then down in a line (Goyal et al. 2017; Devlin et al. 2019).",
        build="seedbed.plugins.schedules.curves:linear",
        options=LinearOptions,
    )
    yield ScheduleSpec(
        name="step",
        summary="Drops at a half, three quarters, seven eighths … of the training (in the manner of He et al. 2016).",
        build="seedbed.plugins.schedules.curves:step",
        options=StepOptions,
    )
    yield ScheduleSpec(
        name="constant",
        summary="The same rate to the end, after a short linear warm-up: for `swa`, and for comparisons.",
        build="seedbed.plugins.schedules.curves:constant",
        options=ConstantOptions,
        # Trials are planned to end annealed; a search that draws this one mostly draws a noisy last step.
        on_request=True,
    )
