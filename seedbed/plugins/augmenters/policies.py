"""Policies over many operations, batched: (N, C, H, W) in [0, 1] → the same, never in place.

An operation takes images and signed amounts (N,) in [-1, 1]; 0 leaves an image as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from seedbed.core.data.profile import Profile
from seedbed.core.protocols import Augmenter
from seedbed.plugins.augmenters.colour import further, luminance, softened
from seedbed.plugins.augmenters.tensors import resample, spread, uniform

if TYPE_CHECKING:
    from seedbed.plugins.augmenters import TrivialAugmentOptions

Operation = Callable[[Tensor, Tensor], Tensor]

# The wide space of the paper (its table 1). Its translations, 32 pixels whatever the image, are a third of the
# side here: that of CIFAR in RandAugment's space.
_SHEAR, _TRANSLATE, _DEGREES, _BLEND, _BITS = 0.99, 1 / 3, 135.0, 0.99, 6


def trivial_augment(options: TrivialAugmentOptions, profile: Profile) -> Augmenter:
    """Build TrivialAugment (Müller & Hutter 2021): for each image one operation, at a strength drawn for it.

    Auto-contrast and equalising, which have no strength in the paper, are mixed in by it here, so that a
    policy of no strength changes nothing.
    """

    def augment(inputs: Tensor, generator: Generator) -> Tensor:
        operations = COLOURED if inputs.shape[1] == 3 else GREY
        chosen = torch.randint(1 + len(operations), (len(inputs),), generator=generator, device=inputs.device)
        spared = torch.rand(len(inputs), generator=generator, device=inputs.device) >= options.probability
        amounts = uniform(-options.strength, options.strength, inputs, generator)
        apply = by_group if inputs.device.type == "cpu" else by_choice
        return apply(inputs, chosen.masked_fill(spared, 0), amounts, operations)

    return augment


def by_group(inputs: Tensor, chosen: Tensor, amounts: Tensor, operations: tuple[Operation, ...]) -> Tensor:
    """Apply to each image the operation with its number, from 1; 0 leaves it as it is."""
    changed = inputs.clone()
    for number, operation in enumerate(operations, start=1):
        rows = (chosen == number).nonzero()[:, 0]
        if len(rows):
            changed[rows] = operation(inputs[rows], amounts[rows]).clamp(0.0, 1.0)
    return changed


def by_choice(inputs: Tensor, chosen: Tensor, amounts: Tensor, operations: tuple[Operation, ...]) -> Tensor:
    """Do the same as `by_group` by trying all on every image: more work, but an accelerator is not waited for."""
    changed = inputs
    for number, operation in enumerate(operations, start=1):
        changed = torch.where(spread(chosen == number), operation(inputs, amounts).clamp(0.0, 1.0), changed)
    return changed


def shear_x(images: Tensor, amounts: Tensor) -> Tensor:
    """Shift each line by its distance from the middle."""
    one, zero, tall = torch.ones_like(amounts), torch.zeros_like(amounts), images.shape[2] / images.shape[3]
    return resample(images, x=(one, _SHEAR * amounts * tall, zero), y=(zero, one, zero))


def shear_y(images: Tensor, amounts: Tensor) -> Tensor:
    """Shift each column by its distance from the middle."""
    one, zero, tall = torch.ones_like(amounts), torch.zeros_like(amounts), images.shape[2] / images.shape[3]
    return resample(images, x=(one, zero, zero), y=(_SHEAR * amounts / tall, one, zero))


def translate_x(images: Tensor, amounts: Tensor) -> Tensor:
    """Move to the side."""
    one, zero = torch.ones_like(amounts), torch.zeros_like(amounts)
    return resample(images, x=(one, zero, 2 * _TRANSLATE * amounts), y=(zero, one, zero))


def translate_y(images: Tensor, amounts: Tensor) -> Tensor:
    """Move up or down."""
    one, zero = torch.ones_like(amounts), torch.zeros_like(amounts)
    return resample(images, x=(one, zero, zero), y=(zero, one, 2 * _TRANSLATE * amounts))


def rotate(images: Tensor, amounts: Tensor) -> Tensor:
    """Turn around the middle."""
    angle, tall = amounts * math.radians(_DEGREES), images.shape[2] / images.shape[3]
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return resample(images, x=(cos, -sin * tall, zero), y=(sin / tall, cos, zero))


def brightness(images: Tensor, amounts: Tensor) -> Tensor:
    """Make brighter or darker."""
    return images + images * spread(_BLEND * amounts)


def contrast(images: Tensor, amounts: Tensor) -> Tensor:
    """Move away from an even grey, or towards it."""
    return further(images, luminance(images).mean((2, 3), keepdim=True), _BLEND * amounts)


def saturation(images: Tensor, amounts: Tensor) -> Tensor:
    """Move away from the grey image, or towards it."""
    return further(images, luminance(images), _BLEND * amounts)


def sharpness(images: Tensor, amounts: Tensor) -> Tensor:
    """Move away from the blurred image, or towards it."""
    return further(images, softened(images), _BLEND * amounts)


def posterize(images: Tensor, amounts: Tensor) -> Tensor:
    """Keep 8 to 2 bits of each value."""
    step = spread(torch.exp2((_BITS * amounts.abs()).round()))
    coarse = ((images * 255).round() / step).floor() * step / 255
    return torch.where(step > 1, coarse, images)


def solarize(images: Tensor, amounts: Tensor) -> Tensor:
    """Invert what is brighter than a threshold."""
    return torch.where(images > 1 - spread(amounts.abs()), 1 - images, images)


def autocontrast(images: Tensor, amounts: Tensor) -> Tensor:
    """Stretch each channel to the whole range from black to white."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    stretched = torch.where(high > low, (images - low) / (high - low), images)
    return further(images, stretched, -amounts.abs())


def equalize(images: Tensor, amounts: Tensor) -> Tensor:
    """Spread the values of each channel evenly over 256 levels."""
    levels = (images * 255).round().long().clamp(0, 255).flatten(2)
    counts = images.new_zeros(*levels.shape[:2], 256).scatter_add_(2, levels, torch.ones_like(levels).to(images))
    below = counts.cumsum(2) - counts
    darker = below.gather(2, levels).view_as(images)  # how many pixels are darker than this one
    most = darker.amax((2, 3), keepdim=True)
    return further(images, torch.where(most > 0, darker / most, images), -amounts.abs())


GREY: tuple[Operation, ...] = (
    shear_x,
    shear_y,
    translate_x,
    translate_y,
    rotate,
    brightness,
    contrast,
    sharpness,
    posterize,
    solarize,
    autocontrast,
    equalize,
)
COLOURED: tuple[Operation, ...] = (*GREY, saturation)
