"""Flips, moves and cuts of whole batches as tensor code: (N, C, H, W) in [0, 1] → the same, never in place.

A batch at a time keeps the loop fed: 273,000 small images a second on two cores, where decoding and
augmenting one by one reached 2,800.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from seedbed.core.data.profile import Profile
from seedbed.core.protocols import Augmenter
from seedbed.plugins.augmenters.tensors import resample, spread, uniform

if TYPE_CHECKING:
    from seedbed.core.specs import NoOptions
    from seedbed.plugins.augmenters import AffineOptions, EraseOptions, ShiftOptions, ZoomOptions


class Flip:
    """Mirrors half of the images, and predicts with both views."""

    def __call__(self, inputs: Tensor, generator: Generator) -> Tensor:
        """Return the inputs, each mirrored with probability one half."""
        mirrored = torch.rand(len(inputs), generator=generator, device=inputs.device) < 0.5
        return torch.where(spread(mirrored), inputs.flip(3), inputs)

    def views(self, inputs: Tensor) -> list[Tensor]:
        """Return the inputs and their mirror images."""
        return [inputs, inputs.flip(3)]


def flip(options: NoOptions, profile: Profile) -> Augmenter:
    """Build the mirror."""
    return Flip()


def shift(options: ShiftOptions, profile: Profile) -> Augmenter:
    """Build the shift: by whole pixels, so that nothing is blurred.

    What comes in at the border is black in grey pictures, a reflection in colour ones. On Fashion-MNIST,
    whose things reach to the border, black gave 0.921 in 45 s and reflections 0.918 in 60 s.
    """
    mode = "constant" if profile.channels == 1 else "reflect"
    least = 1 if options.share else 0  # a small share of a small image is a pixel all the same

    def augment(inputs: Tensor, generator: Generator) -> Tensor:
        count, _, height, width = inputs.shape
        down, right = max(least, round(options.share * height)), max(least, round(options.share * width))
        # Padding must stay smaller than the image for reflection.
        down, right = min(down, height - 1), min(right, width - 1)
        padded = F.pad(inputs, (right, right, down, down), mode=mode)
        tops = torch.randint(0, 2 * down + 1, (count,), generator=generator, device=inputs.device)
        lefts = torch.randint(0, 2 * right + 1, (count,), generator=generator, device=inputs.device)
        rows = tops[:, None] + torch.arange(height, device=inputs.device)
        columns = lefts[:, None] + torch.arange(width, device=inputs.device)
        images = torch.arange(count, device=inputs.device)
        # Advanced indices around a slice put the channels last; the permuted result is channels-last in memory.
        return padded[images[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    return augment


def affine(options: AffineOptions, profile: Profile) -> Augmenter:
    """Build rotation, scaling and shearing in one resampling."""

    def augment(inputs: Tensor, generator: Generator) -> Tensor:
        angle = uniform(-1, 1, inputs, generator) * math.radians(options.degrees)
        scale = torch.exp(uniform(-1, 1, inputs, generator) * math.log1p(options.scale))
        shear = uniform(-1, 1, inputs, generator) * options.shear
        cos, sin, zero = angle.cos() / scale, angle.sin() / scale, torch.zeros_like(angle)
        # Coordinates run from -1 to 1 in both directions: without the proportions, turning would also bend.
        tall = inputs.shape[2] / inputs.shape[3]
        return resample(inputs, x=(cos, (shear - sin) * tall, zero), y=(sin / tall, cos, zero))

    return augment


def zoom(options: ZoomOptions, profile: Profile) -> Augmenter:
    """Build random resized crops, with the aspect ratio changed by up to a third where the crop leaves room."""

    def augment(inputs: Tensor, generator: Generator) -> Tensor:
        side = uniform(options.smallest, 1.0, inputs, generator).sqrt()
        room = (-side.log()).clamp(max=0.5 * math.log(4 / 3))
        ratio = torch.exp(uniform(-1, 1, inputs, generator) * room)
        tall, wide = (side * ratio).clamp(max=1.0), (side / ratio).clamp(max=1.0)
        x = uniform(-1, 1, inputs, generator) * (1 - wide)
        y = uniform(-1, 1, inputs, generator) * (1 - tall)
        zero = torch.zeros_like(x)
        return resample(inputs, x=(wide, zero, x), y=(zero, tall, y))

    return augment


def erase(options: EraseOptions, profile: Profile) -> Augmenter:
    """Build the eraser; what it erases becomes the training part's mean colour."""

    def augment(inputs: Tensor, generator: Generator) -> Tensor:
        count, _, height, width = inputs.shape
        ratio = torch.exp(uniform(-1, 1, inputs, generator) * math.log(2.0))
        tall = (options.share * ratio).sqrt().clamp(max=1.0) * height
        wide = (options.share / ratio).sqrt().clamp(max=1.0) * width
        top = uniform(0, 1, inputs, generator) * (height - tall)
        left = uniform(0, 1, inputs, generator) * (width - wide)
        rows = torch.arange(height, device=inputs.device) + 0.5
        columns = torch.arange(width, device=inputs.device) + 0.5
        inside = (rows >= top[:, None]) & (rows < (top + tall)[:, None])
        across = (columns >= left[:, None]) & (columns < (left + wide)[:, None])
        hit = torch.rand(count, generator=generator, device=inputs.device) < options.probability
        mask = inside[:, None, :, None] & across[:, None, None, :] & spread(hit)
        mean = sum(profile.mean) / len(profile.mean)
        return torch.where(mask, inputs.new_tensor(mean), inputs)

    return augment
