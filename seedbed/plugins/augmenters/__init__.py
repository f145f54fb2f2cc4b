"""Built-in augmenters: the declarations; the batched tensor code lies in `images`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from seedbed import AugmenterSpec, Float, Requires, hookimpl


@dataclass(frozen=True, slots=True)
class ShiftOptions:
    """`share` of the side by which an image may move in each direction."""

    share: Annotated[float, Float(0.02, 0.25)] = 0.08


@dataclass(frozen=True, slots=True)
class AffineOptions:
    """`degrees` of rotation to either side, `scale` up or down, and `shear` (a share of the side)."""

    degrees: Annotated[float, Float(0.0, 30.0)] = 10.0
    scale: Annotated[float, Float(0.0, 0.4)] = 0.1
    shear: Annotated[float, Float(0.0, 0.3)] = 0.05


@dataclass(frozen=True, slots=True)
class EraseOptions:
    """`share` of the image's area that is greyed out, in `probability` of the images."""

    share: Annotated[float, Float(0.02, 0.3)] = 0.1
    probability: Annotated[float, Float(0.1, 1.0)] = 0.5


@dataclass(frozen=True, slots=True)
class ColourOptions:
    """By how much brightness, contrast and saturation may change, each as a factor of 1 ± strength."""

    strength: Annotated[float, Float(0.05, 0.6)] = 0.2


@dataclass(frozen=True, slots=True)
class ZoomOptions:
    """The smallest share of the image's area that a random crop keeps before it is scaled back."""

    smallest: Annotated[float, Float(0.2, 0.95)] = 0.6


@hookimpl
def register_augmenters() -> Iterator[AugmenterSpec]:
    """Offer the augmenters."""
    yield AugmenterSpec(
        name="flip",
        summary="Mirror half of the images left to right; predictions are averaged over both views.",
        build="seedbed.plugins.augmenters.images:flip",
    )
    yield AugmenterSpec(
        name="shift",
        summary="Move each image by a few pixels (a padded random crop).",
        build="seedbed.plugins.augmenters.images:shift",
        options=ShiftOptions,
    )
    yield AugmenterSpec(
        name="affine",
        summary="Rotate, scale and shear each image a little.",
        build="seedbed.plugins.augmenters.images:affine",
        options=AffineOptions,
    )
    yield AugmenterSpec(
        name="zoom",
        summary="Scale random crops back to full size (random resized crops, Szegedy et al. 2015).",
        build="seedbed.plugins.augmenters.images:zoom",
        options=ZoomOptions,
        requires=Requires(min_size=16),
    )
    yield AugmenterSpec(
        name="erase",
        summary="Grey out a random rectangle (DeVries & Taylor 2017; Zhong et al. 2020).",
        build="seedbed.plugins.augmenters.images:erase",
        options=EraseOptions,
    )
    yield AugmenterSpec(
        name="colour",
        summary="Change brightness, contrast and saturation of each image.",
        build="seedbed.plugins.augmenters.images:colour",
        options=ColourOptions,
        aliases=("color",),
    )
