"""Precision and memory format of a training step, chosen by measuring them."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

import torch
from torch import Tensor, nn

Precision = Literal["float32", "bfloat16", "float16"]
MemoryFormat = Literal["contiguous", "channels_last"]

log = logging.getLogger(__name__)

_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True, slots=True)
class Numerics:
    """How tensors are computed and laid out; weights stay float32 (mixed precision through autocast).

    `spares_depthwise` keeps depthwise convolutions in float32 within a lower precision.
    """

    precision: Precision = "float32"
    memory_format: MemoryFormat = "channels_last"
    spares_depthwise: bool = False

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """Return the context in which to run the model's forward pass."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(device.type, dtype=getattr(torch, self.precision))

    def lay_out(self, inputs: Tensor) -> Tensor:
        """Return inputs (N, C, H, W) in this memory format."""
        return inputs.contiguous(memory_format=_FORMATS[self.memory_format])

    def lay_out_model(self, model: nn.Module) -> None:
        """Put a model's weights in this memory format, in place, and its depthwise layers in float32 if asked."""
        model.to(memory_format=_FORMATS[self.memory_format])
        if self.spares_depthwise:
            for module in filter(_is_depthwise, model.modules()):
                # On the instance, so that it holds for every subclass, and outside the state dict.
                module.forward = partial(_forward_in_float32, module)

    @property
    def name(self) -> str:
        """Name the precision for people and the journal."""
        return f"{self.precision}, depthwise float32" if self.spares_depthwise else self.precision

    def needs_scaling(self) -> bool:
        """Whether gradients would underflow without a loss scaler."""
        return self.precision == "float16"


def _is_depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels


def _forward_in_float32(module: nn.Module, inputs: Tensor) -> Tensor:
    """Run a layer outside autocast; without autocast this changes nothing."""
    with torch.autocast(inputs.device.type, enabled=False):
        return cast(Tensor, type(module).forward(module, inputs.float()))


def choices(device: torch.device, *, has_depthwise: bool = False) -> tuple[Numerics, ...]:
    """Return what is worth measuring on a device, the usual winner first."""
    if device.type == "cuda":
        half: Precision = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
        return (
            Numerics(half, "channels_last"),
            Numerics(half, "contiguous"),
            Numerics("float32", "channels_last"),
        )
    if device.type == "cpu":
        # The winner differs from net to net: on an AVX512-BF16 CPU bfloat16 made a small residual net 2.2
        # times faster than float32 and EfficientNet-Lite 1.7 times slower, because its backward pass of
        # depthwise convolutions crawls; with those alone in float32 it was 1.8 times faster.
        spared = (Numerics("bfloat16", "channels_last", spares_depthwise=True),) if has_depthwise else ()
        return (
            *spared,
            Numerics("bfloat16", "channels_last"),
            Numerics("float32", "channels_last"),
            Numerics("float32", "contiguous"),
        )
    return (Numerics("float32", "contiguous"),)


def default(device: torch.device) -> Numerics:
    """Return what to use where the clock may not decide: a run without time limit must repeat exactly."""
    return Numerics("float32", "contiguous") if device.type == "mps" else Numerics("float32", "channels_last")


def calibrate(
    model: nn.Module,
    inputs: Tensor,
    *,
    train: bool,
    known: dict[Hashable, Numerics],
    key: Hashable,
    clock: Callable[[], float] = time.monotonic,
    repeats: int = 2,
) -> Numerics:
    """Measure a few steps of each choice on a copy of the model and return the fastest.

    Args:
        inputs: one batch (N, C, H, W), normalised, on the model's device.
        train: time forward and backward pass, else the forward pass alone.
        known: results so far by `key`; looked up first, and added to.
    """
    if key not in known:
        times: dict[Numerics, float] = {}
        has_depthwise = any(map(_is_depthwise, model.modules()))
        for numerics in choices(inputs.device, has_depthwise=has_depthwise):
            try:
                seconds = _time_steps(model, inputs, numerics, train, clock, repeats, min(times.values(), default=None))
            except RuntimeError:  # not every operation exists in every precision
                log.debug("%s cannot be computed in %s.", type(model).__name__, numerics.name, exc_info=True)
                continue
            if seconds is not None:
                times[numerics] = seconds
        known[key] = min(times, key=lambda each: times[each], default=default(inputs.device))
    return known[key]


def _time_steps(
    model: nn.Module,
    inputs: Tensor,
    numerics: Numerics,
    train: bool,
    clock: Callable[[], float],
    repeats: int,
    best: float | None,
) -> float | None:
    """Return the seconds of the fastest of a few steps, or None where the first one already lost by far."""
    twin = copy.deepcopy(model).train(train)  # batch statistics and gradients must not reach the real one
    numerics.lay_out_model(twin)
    batch = numerics.lay_out(inputs)
    fastest = float("inf")
    for attempt in range(repeats + 1):  # the first attempt pays for kernel selection
        start = clock()
        with torch.set_grad_enabled(train), numerics.autocast(inputs.device):
            output = twin(batch)
        if train:
            output.float().square().mean().backward()
            twin.zero_grad(set_to_none=True)
        if inputs.device.type == "cuda":
            torch.cuda.synchronize(inputs.device)
        seconds = clock() - start
        if attempt == 0 and best is not None and seconds > 3 * best:
            return None
        if attempt:
            fastest = min(fastest, seconds)
    return fastest
