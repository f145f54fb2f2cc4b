"""Changes of brightness, colour and sharpness as tensor code: (N, C, H, W) in [0, 1] → the same, never in place.

`amounts` are a number for each image, (N,); 0 leaves an image exactly as it is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from seedbed.core.data.profile import Profile
from seedbed.core.protocols import Augmenter
from seedbed.plugins.augmenters.tensors import spread, uniform

if TYPE_CHECKING:
    from seedbed.plugins.augmenters import BlurOptions, ColourOptions, NoiseOptions

_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
"""Luminance, and the two axes of colour around which hue turns (NTSC 1953)."""


def colour(options: ColourOptions, profile: Profile) -> Augmenter:
    """Build the colour jitter: one affine map of each image's colours."""

    def augment(inputs: Tensor, generator: Generator) -> Tensor:
        brighter, starker, richer = (options.strength * uniform(-1, 1, inputs, generator) for _ in range(3))
        gain = (1 + brighter) * (1 + starker)
        offset = -(1 + brighter) * starker * inputs.mean((1, 2, 3))  # contrast grows around the mean
        if inputs.shape[1] != 3:
            return (inputs * spread(gain) + spread(offset)).clamp(0.0, 1.0)
        turns = options.hue * uniform(-1, 1, inputs, generator)
        maps = gain[:, None, None] * _recolouring(inputs, richer, turns)
        # A product of matrices takes a third of the time that sums over channels take.
        changed = torch.baddbmm(offset[:, None, None], maps, inputs.flatten(2))
        return changed.view(inputs.shape).clamp(0.0, 1.0)

    return augment


def blur(options: BlurOptions, profile: Profile) -> Augmenter:
    """Build the blur: a mixture of each image and one without its fine detail."""

    def augment(inputs: Tensor, generator: Generator) -> Tensor:
        amounts = uniform(0, options.strength, inputs, generator)
        return further(inputs, softened(softened(inputs)), -amounts).clamp(0.0, 1.0)

    return augment


def noise(options: NoiseOptions, profile: Profile) -> Augmenter:
    """Build the noise, another in each channel."""

    def augment(inputs: Tensor, generator: Generator) -> Tensor:
        drawn = torch.randn(inputs.shape, generator=generator, device=inputs.device)
        return (inputs + drawn * spread(uniform(0, options.std, inputs, generator))).clamp(0.0, 1.0)

    return augment


def further(images: Tensor, reference: Tensor, amounts: Tensor) -> Tensor:
    """Move images away from a reference, or with negative amounts towards it; -1 arrives there."""
    return images + (images - reference) * spread(amounts)


def luminance(images: Tensor) -> Tensor:
    """Return how bright the pixels seem, (N, 1, H, W)."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    red, green, blue = _YIQ[0]
    # By slices: a sum over the channels is several times slower where they are last in memory.
    return images[:, :1] * red + images[:, 1:2] * green + images[:, 2:] * blue


def softened(images: Tensor) -> Tensor:
    """Return images with each pixel mixed with its eight neighbours (5 parts to 1 each, as Pillow's SMOOTH)."""
    # Sums of neighbours: on a CPU these take a tenth of the time of a padded average pool.
    tall = torch.cat([images[:, :, :1], images, images[:, :, -1:]], 2)
    columns = tall[:, :, :-2] + images + tall[:, :, 2:]
    wide = torch.cat([columns[..., :1], columns, columns[..., -1:]], 3)
    return (wide[..., :-2] + columns + wide[..., 2:] + 4 * images) / 13


def _recolouring(images: Tensor, amounts: Tensor, turns: Tensor) -> Tensor:
    """Return maps of colours, (N, 3, 3): saturation times 1 + amounts, hue turned by a share of the circle.

    What is grey stays as it is.
    """
    yiq = torch.tensor(_YIQ, dtype=torch.float64)
    to_chroma, from_chroma = yiq[1:].to(images), yiq.inverse()[:, 1:].to(images)
    angle = turns * 2 * math.pi
    cos, sin = (1 + amounts) * angle.cos(), (1 + amounts) * angle.sin()
    change = torch.stack([torch.stack([cos - 1, -sin], 1), torch.stack([sin, cos - 1], 1)], 1)
    return torch.eye(3, device=images.device) + from_chroma @ change @ to_chroma
