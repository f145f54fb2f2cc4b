"""Recipes of albumentations, one image at a time: uint8 (H, W, C) → the same, never in place.

Nothing in a recipe mirrors or turns images upside down: that is `flip`, whose worth is measured. All sizes are
shares of the image, so that a recipe means the same at 32 and at 512 pixels.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from seedbed.core.data.profile import Profile
from seedbed.core.protocols import SampleAugmenter

if TYPE_CHECKING:
    from seedbed.plugins.augmenters import AlbumentationsOptions

_ONLINE_CHECK = "NO_ALBUMENTATIONS_UPDATE"
_REFLECT = 4  # cv2.BORDER_REFLECT_101: no black wedges, from which a turn could be read

_importing = threading.Lock()


def albumentations(options: AlbumentationsOptions, profile: Profile) -> SampleAugmenter:
    """Build a recipe."""
    library = quiet_albumentations()
    recipe = _RECIPES[options.recipe]
    # A transform keeps the parameters of its last call in itself: each thread has its own.
    own = threading.local()

    def augment(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if rng.random() >= options.probability:
            return image
        if not hasattr(own, "pipeline"):
            own.pipeline = library.Compose(recipe(library, coloured=image.shape[2] == 3))
        # All its transforms draw from these two, and from nothing else.
        own.pipeline.set_random_state(rng, random.Random(int(rng.integers(2**63))))
        return cast(np.ndarray, own.pipeline(image=image)["image"])

    return augment


def quiet_albumentations() -> ModuleType:
    """Import albumentations (several seconds) without its look at the network for a newer version."""
    with _importing, _environment(_ONLINE_CHECK, "1"):
        return import_module("albumentations")


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def light(library: ModuleType, *, coloured: bool) -> list[Any]:
    """Return what leaves almost every picture what it is: small moves, another lamp."""
    return [
        _moved(library, scale=0.1, move=0.05, degrees=10, shear=3, p=0.7),
        library.RandomBrightnessContrast(0.2, 0.2, p=0.5),
    ]


def medium(library: ModuleType, *, coloured: bool) -> list[Any]:
    """Return moves and light, and what cameras do: blur, noise, compression; now and then a hole."""
    return [
        _moved(library, scale=0.2, move=0.08, degrees=15, shear=6, p=0.8),
        _lit(library, 0.25, coloured=coloured, p=0.7),
        _taken_badly(library, p=0.2),
        _holes(library, 0.25, p=0.3),
    ]


def strong(library: ModuleType, *, coloured: bool) -> list[Any]:
    """Return all of `medium`, further, and another point of view or a lens that bends."""
    return [
        _moved(library, scale=0.3, move=0.12, degrees=25, shear=12, p=0.9),
        library.OneOf(
            [
                library.Perspective(scale=(0.03, 0.1), border_mode=_REFLECT, p=1.0),
                library.GridDistortion(num_steps=4, distort_limit=0.25, border_mode=_REFLECT, p=1.0),
            ],
            p=0.4,
        ),
        _lit(library, 0.4, coloured=coloured, p=0.9),
        _taken_badly(library, p=0.4),
        _holes(library, 0.35, p=0.5),
    ]


_RECIPES: dict[str, Callable[..., list[Any]]] = {"light": light, "medium": medium, "strong": strong}


def _moved(library: ModuleType, *, scale: float, move: float, degrees: float, shear: float, p: float) -> object:
    return library.Affine(
        scale=(1 - scale, 1 + scale),
        translate_percent=(-move, move),
        rotate=(-degrees, degrees),
        shear=(-shear, shear),
        border_mode=_REFLECT,
        p=p,
    )


def _lit(library: ModuleType, strength: float, *, coloured: bool, p: float) -> object:
    gamma = round(100 * strength)
    choices = [
        library.RandomBrightnessContrast(strength, strength, p=1.0),
        library.RandomGamma((100 - gamma, 100 + gamma), p=1.0),
    ]
    if coloured:
        choices += [
            library.ColorJitter(
                brightness=(1 - strength, 1 + strength),
                contrast=(1 - strength, 1 + strength),
                saturation=(1 - strength, 1 + strength),
                hue=(-0.05, 0.05),
                p=1.0,
            ),
            library.ToGray(p=0.3),
        ]
    return library.OneOf(choices, p=p)


def _taken_badly(library: ModuleType, *, p: float) -> object:
    return library.OneOf(
        [
            library.GaussianBlur(sigma_limit=(0.3, 1.2), blur_limit=0, p=1.0),
            library.GaussNoise(std_range=(0.01, 0.06), p=1.0),
            library.ImageCompression(quality_range=(40, 90), p=1.0),
        ],
        p=p,
    )


def _holes(library: ModuleType, side: float, *, p: float) -> object:
    return library.CoarseDropout(
        num_holes_range=(1, 2),
        hole_height_range=(0.1, side),
        hole_width_range=(0.1, side),
        fill=128,
        p=p,
    )
