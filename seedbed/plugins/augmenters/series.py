"""Changes of whole batches of series, and their masks: (N, C, T) and (N, T) → the same, never in place.

Values are standardised, so strengths are in units of their standard deviation. The steps of a row come
first; where its mask is false its values stay 0, and no mask is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from seedbed.core.data.profile import Profile
from seedbed.core.protocols import SequenceAugmenter
from seedbed.plugins.augmenters.tensors import uniform

if TYPE_CHECKING:
    from seedbed.plugins.augmenters import JitterOptions, ScalingOptions, TimeWarpOptions, WindowSliceOptions


def jitter(options: JitterOptions, profile: Profile) -> SequenceAugmenter:
    """Build the noise."""

    def augment(inputs: Tensor, mask: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        noise = torch.randn(inputs.shape, generator=generator, device=inputs.device) * options.std
        return inputs + noise * mask[:, None], mask

    return augment


def scaling(options: ScalingOptions, profile: Profile) -> SequenceAugmenter:
    """Build the factors: one for each channel of each series, never negative."""

    def augment(inputs: Tensor, mask: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        drawn = torch.randn(inputs.shape[:2], generator=generator, device=inputs.device)
        return inputs * torch.exp(options.strength * drawn)[:, :, None], mask

    return augment


def time_warp(options: TimeWarpOptions, profile: Profile) -> SequenceAugmenter:
    """Build the warp: a speed at a few knots, between them linear; its sum, stretched to the ends, is the time read.

    Um et al. 2017 draw a cubic spline, which may run backwards; speeds that are always positive may not.
    """

    def places(mask: Tensor, generator: Generator) -> Tensor:
        last, steps = _last(mask), torch.arange(mask.shape[1], device=mask.device)
        knots = torch.randn(len(mask), options.knots, generator=generator, device=mask.device) * options.strength
        along = (steps / last.clamp(min=1)).clamp(max=1.0) * (options.knots - 1)
        speeds = _read(knots[:, None], along)[:, 0].exp()
        reached = speeds.cumsum(1) - speeds[:, :1]
        total = reached.gather(1, last.long()).clamp(min=1e-6)  # 0 where there is one step
        return (reached * last).div(total)

    return _rereading(places)


def window_slice(options: WindowSliceOptions, profile: Profile) -> SequenceAugmenter:
    """Build the slices, each stretched to the length that its series had."""

    def places(mask: Tensor, generator: Generator) -> Tensor:
        last, steps = _last(mask), torch.arange(mask.shape[1], device=mask.device)
        cut = uniform(0, 1 - options.smallest, mask, generator)[:, None]
        begin = uniform(0, 1, mask, generator)[:, None] * cut * last
        return begin + steps * (1 - cut)

    return _rereading(places)


def _rereading(places: Callable[[Tensor, Generator], Tensor]) -> SequenceAugmenter:
    """Make an augmenter that reads each series at other places (N, T), in steps from its beginning."""

    def augment(inputs: Tensor, mask: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        found = torch.minimum(places(mask, generator), _last(mask))
        return _read(inputs, found).masked_fill(~mask[:, None], 0.0), mask

    return augment


def _last(mask: Tensor) -> Tensor:
    """Return the number of each row's last step, float32 (N, 1)."""
    return mask.sum(1, keepdim=True).float() - 1


def _read(values: Tensor, places: Tensor) -> Tensor:
    """Interpolate between the steps of series (N, C, S), linearly, at places (N, T) in [0, S - 1]."""
    before = places.long()
    after = (before + 1).clamp(max=values.shape[2] - 1)
    size = (-1, values.shape[1], -1)
    low, high = (values.gather(2, each[:, None].expand(size)) for each in (before, after))
    return low + (high - low) * (places - before)[:, None]
