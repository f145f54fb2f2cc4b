"""Precision and memory format of a training step, chosen by measuring them."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from seedbed.core.training.depthwise import is_depthwise, quicken, restore
from seedbed.core.training.devices import Precision, device_of, own_random

MemoryFormat = Literal["contiguous", "channels_last"]

log = logging.getLogger(__name__)

_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
_HOPELESS = 2.0
"""A choice whose first step takes so many times longer than that of another gets no second one."""
_CHEAP_SECONDS = 0.3
"""A first step that took less tells nothing (kernel selection made one 5 times slower), and a second costs little."""


@dataclass(frozen=True, slots=True)
class Numerics:
    """How tensors are computed and laid out; weights stay float32 (mixed precision through autocast).

    `quickens_depthwise` has the gradients of depthwise convolutions computed as forward convolutions, on the CPU.
    """

    precision: Precision = "float32"
    memory_format: MemoryFormat = "channels_last"
    quickens_depthwise: bool = False

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """Return the context in which to run the model's forward pass."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(device.type, dtype=getattr(torch, self.precision))

    def lay_out(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return what a backbone is called with, images (N, C, H, W) in this memory format, the rest as it is."""
        memory_format = _FORMATS[self.memory_format]
        return tuple(each.contiguous(memory_format=memory_format) if _is_images(each) else each for each in inputs)

    def lay_out_model(self, model: nn.Module) -> None:
        """Put a model's weights in this memory format and its depthwise layers in this form, in place."""
        model.to(memory_format=_FORMATS[self.memory_format])
        for module in filter(is_depthwise, model.modules()):
            if self.quickens_depthwise:
                quicken(module)
            else:
                restore(module)

    def __str__(self) -> str:
        quick = ("quick",) if self.quickens_depthwise else ()
        return " ".join((self.precision, self.memory_format, *quick))

    @classmethod
    def parse(cls, text: str) -> Numerics:
        """Read what `str` wrote."""
        precision, memory_format, *quick = text.split()
        return cls(cast(Precision, precision), cast(MemoryFormat, memory_format), bool(quick))

    @property
    def name(self) -> str:
        """Name the precision for people and the journal."""
        return f"{self.precision}, quick depthwise" if self.quickens_depthwise else self.precision

    def needs_scaling(self) -> bool:
        """Whether gradients would underflow without a loss scaler."""
        return self.precision == "float16"


def _is_images(value: object) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4 and value.is_floating_point()


def choices(device: torch.device, *, images: bool = True, depthwise: bool = False) -> tuple[Numerics, ...]:
    """Return what is worth measuring on a device.

    Args:
        images: the inputs have a memory format to choose; else there is the precision alone.
        depthwise: gradients of depthwise convolutions will be needed.
    """
    there = device_of(device)
    precisions = there.precisions
    if not images or not there.has_channels_last:
        usual = default(device).memory_format  # where it means nothing, that of all models
        return tuple(Numerics(each, usual) for each in precisions)
    low = precisions[0]
    if there.is_accelerator:
        return (Numerics(low, "channels_last"), Numerics(low, "contiguous"), Numerics("float32", "channels_last"))
    # The winner differs from CPU to CPU and from net to net. On one with AVX512-BF16 bfloat16 made a small residual
    # net 2.2 times faster than float32. EfficientNet-Lite0 it made 1.7 times slower, until the gradients of its
    # depthwise layers were quickened: then about twice as fast. They never lose by that, so there is no choice without.
    quick = depthwise
    return (
        Numerics(low, "channels_last", quickens_depthwise=quick),
        Numerics("float32", "channels_last", quickens_depthwise=quick),
        Numerics("float32", "contiguous"),
    )


def default(device: torch.device) -> Numerics:
    """Return what to use where the clock may not decide: a run without time limit must repeat exactly."""
    return Numerics("float32", "channels_last" if device_of(device).has_channels_last else "contiguous")


def calibrate(
    model: nn.Module,
    inputs: tuple[Any, ...],
    *,
    device: torch.device,
    train: bool,
    known: dict[Hashable, Numerics],
    key: Hashable,
    clock: Callable[[], float] = time.monotonic,
    repeats: int = 2,
    most_seconds: float = math.inf,
) -> Numerics:
    """Measure a few steps of each choice on copies of the model and return the fastest.

    Neither the model nor torch's random state is changed.

    Args:
        inputs: one batch of what the model is called with, on the device.
        train: time forward and backward pass, else the forward pass alone.
        known: results so far by `key`; looked up first, and added to.
        repeats: steps timed of each choice, after one that shows whether it has a chance.
        most_seconds: after which no further step is begun; the fastest so far stands.
    """
    if key not in known:
        with own_random(device):
            known[key] = _fastest(model, inputs, device, train, clock, repeats, clock() + most_seconds)
    return known[key]


def _fastest(
    model: nn.Module,
    inputs: tuple[Any, ...],
    device: torch.device,
    train: bool,
    clock: Callable[[], float],
    repeats: int,
    until: float,
) -> Numerics:
    depthwise = train and any(map(is_depthwise, model.modules()))
    offered = choices(device, images=any(map(_is_images, inputs)), depthwise=depthwise)
    if len(offered) == 1:
        return offered[0]
    steps: dict[Numerics, Callable[[], float]] = {}
    times: dict[Numerics, float] = {}
    for numerics in offered:
        if times and clock() >= until:
            break
        step = _make_step(model, inputs, numerics, device, train, clock)
        try:
            times[numerics] = step()  # it also pays for kernel selection
            steps[numerics] = step
        except RuntimeError:  # not every operation exists in every precision
            log.debug("%s cannot be computed in %s.", type(model).__name__, numerics.name, exc_info=True)
    limit = max(_HOPELESS * min(times.values(), default=0.0), _CHEAP_SECONDS)
    contenders = {each: float("inf") for each, seconds in times.items() if seconds <= limit}
    if clock() >= until:
        return min(times, key=lambda each: times[each], default=default(device))
    if len(contenders) > 1:
        for _ in range(repeats):  # taking turns, so that what else the machine does meets all of them
            for each in contenders:
                if clock() >= until and any(map(math.isfinite, contenders.values())):
                    break
                contenders[each] = min(contenders[each], steps[each]())
    return min(contenders, key=lambda each: contenders[each], default=default(device))


def _make_step(
    model: nn.Module,
    inputs: tuple[Any, ...],
    numerics: Numerics,
    device: torch.device,
    train: bool,
    clock: Callable[[], float],
) -> Callable[[], float]:
    """Return a function that does one step and tells how many seconds it took."""
    twin = copy.deepcopy(model).train(train)  # batch statistics and gradients must not reach the real one
    numerics.lay_out_model(twin)
    batch = numerics.lay_out(inputs)
    there = device_of(device)

    def step() -> float:
        start = clock()
        with there.hasty():
            with torch.set_grad_enabled(train), numerics.autocast(device):
                output = twin(*batch)
            if output.requires_grad:
                output.float().square().mean().backward()
                twin.zero_grad(set_to_none=True)
        there.synchronize()
        return clock() - start

    return step
