"""Built-in augmenters: the declarations.

Batched tensor code for images lies in `images`, `colour` and `policies`, recipes of one image at a time in
`samples`, what changes sequences in `series` and `text`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from seedbed import AugmenterSpec, Choice, Float, Requires, hookimpl


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
class ZoomOptions:
    """The smallest share of the image's area that a random crop keeps before it is scaled back."""

    smallest: Annotated[float, Float(0.2, 0.95)] = 0.6


@dataclass(frozen=True, slots=True)
class EraseOptions:
    """`share` of the image's area that is greyed out, in `probability` of the images."""

    share: Annotated[float, Float(0.02, 0.3)] = 0.1
    probability: Annotated[float, Float(0.1, 1.0)] = 0.5


@dataclass(frozen=True, slots=True)
class ColourOptions:
    """How far colours move.

    Brightness, contrast and saturation by a factor of 1 ± `strength` each, `hue` by that share of the
    colour circle to either side.
    """

    strength: Annotated[float, Float(0.05, 0.6)] = 0.2
    hue: Annotated[float, Float(0.0, 0.1)] = 0.02


@dataclass(frozen=True, slots=True)
class BlurOptions:
    """The most of an image's fine detail, as a share of it, that is blurred away."""

    strength: Annotated[float, Float(0.1, 1.0)] = 0.6


@dataclass(frozen=True, slots=True)
class NoiseOptions:
    """The largest standard deviation of the noise; brightness goes from 0 to 1."""

    std: Annotated[float, Float(0.005, 0.2, log=True)] = 0.04


@dataclass(frozen=True, slots=True)
class TrivialAugmentOptions:
    """`strength` 1 is the paper's wide space (rotations up to 135°); `probability` is the share of images changed."""

    strength: Annotated[float, Float(0.1, 1.0)] = 0.5
    probability: Annotated[float, Float(0.3, 1.0)] = 1.0


@dataclass(frozen=True, slots=True)
class AlbumentationsOptions:
    """The `recipe`, and the share of the images that it is applied to."""

    recipe: Annotated[str, Choice("light", "medium", "strong")] = "medium"
    probability: Annotated[float, Float(0.3, 1.0)] = 1.0


@dataclass(frozen=True, slots=True)
class JitterOptions:
    """The standard deviation of the noise; that of the series' own values is 1."""

    std: Annotated[float, Float(0.005, 0.3, log=True)] = 0.03


@dataclass(frozen=True, slots=True)
class ScalingOptions:
    """The standard deviation of the factor's logarithm."""

    strength: Annotated[float, Float(0.02, 0.4)] = 0.1


@dataclass(frozen=True, slots=True)
class TimeWarpOptions:
    """The standard deviation of the speed's logarithm, and at how many places of a series it is drawn."""

    strength: Annotated[float, Float(0.05, 0.6)] = 0.2
    knots: int = 4


@dataclass(frozen=True, slots=True)
class WindowSliceOptions:
    """The smallest share of a series that a slice keeps."""

    smallest: Annotated[float, Float(0.5, 0.98)] = 0.85


@dataclass(frozen=True, slots=True)
class TokenDropoutOptions:
    """`rate` is the share of tokens dropped: `unknown` puts the unknown token in their place, `remove` closes up."""

    rate: Annotated[float, Float(0.02, 0.4)] = 0.1
    how: Annotated[str, Choice("unknown", "remove")] = "unknown"


@hookimpl
def register_augmenters() -> Iterator[AugmenterSpec]:
    """Offer the augmenters."""
    yield from _of_geometry()
    yield from _of_pixels()
    yield from _of_recipes()
    yield from _of_series()
    yield AugmenterSpec(
        name="token_dropout",
        summary="Drop random tokens of each text (Iyyer et al. 2015; Bowman et al. 2016).",
        build="seedbed.plugins.augmenters.text:token_dropout",
        options=TokenDropoutOptions,
        modalities=("text",),
    )


def _of_geometry() -> Iterator[AugmenterSpec]:
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
        aliases=("crop",),
    )
    yield AugmenterSpec(
        name="erase",
        summary="Grey out a random rectangle (DeVries & Taylor 2017; Zhong et al. 2020).",
        build="seedbed.plugins.augmenters.images:erase",
        options=EraseOptions,
        aliases=("cutout",),
    )


def _of_pixels() -> Iterator[AugmenterSpec]:
    yield AugmenterSpec(
        name="colour",
        summary="Change brightness and contrast of each image, and of coloured ones saturation and hue.",
        build="seedbed.plugins.augmenters.colour:colour",
        options=ColourOptions,
        aliases=("color",),
    )
    # On request: `trivial_augment` and the recipes soften images too, and each switch more halves
    # the share of random candidates that are without it.
    yield AugmenterSpec(
        name="blur",
        summary="Blur each image, some more than others.",
        build="seedbed.plugins.augmenters.colour:blur",
        options=BlurOptions,
        on_request=True,
    )
    yield AugmenterSpec(
        name="noise",
        summary="Add Gaussian noise to each image, to some more than to others.",
        build="seedbed.plugins.augmenters.colour:noise",
        options=NoiseOptions,
        on_request=True,
    )


def _of_recipes() -> Iterator[AugmenterSpec]:
    yield AugmenterSpec(
        name="trivial_augment",
        summary="Change each image by one random operation of random strength (Müller & Hutter 2021).",
        build="seedbed.plugins.augmenters.policies:trivial_augment",
        options=TrivialAugmentOptions,
    )
    yield AugmenterSpec(
        name="albumentations",
        summary="Recipes of many changes, an image at a time (Buslaev et al. 2020): richer, and slower.",
        build="seedbed.plugins.augmenters.samples:albumentations",
        options=AlbumentationsOptions,
        stage="sample",
        # Smaller images have little that lens, weather and compression could blur.
        requires=Requires(modules=("albumentations", "cv2"), min_size=32),
    )


def _of_series() -> Iterator[AugmenterSpec]:
    yield AugmenterSpec(
        name="jitter",
        summary="Add Gaussian noise to each value of a series (Um et al. 2017).",
        build="seedbed.plugins.augmenters.series:jitter",
        options=JitterOptions,
        modalities=("series",),
    )
    yield AugmenterSpec(
        name="scaling",
        summary="Multiply each channel of a series by a random factor (Um et al. 2017).",
        build="seedbed.plugins.augmenters.series:scaling",
        options=ScalingOptions,
        modalities=("series",),
    )
    yield AugmenterSpec(
        name="time_warp",
        summary="Let time run faster here and slower there (Um et al. 2017).",
        build="seedbed.plugins.augmenters.series:time_warp",
        options=TimeWarpOptions,
        modalities=("series",),
    )
    yield AugmenterSpec(
        name="window_slice",
        summary="Stretch a random slice of each series to its whole length (Le Guennec et al. 2016).",
        build="seedbed.plugins.augmenters.series:window_slice",
        options=WindowSliceOptions,
        modalities=("series",),
    )
