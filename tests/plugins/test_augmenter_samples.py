from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from seedbed.plugins.augmenters import AlbumentationsOptions
from seedbed.plugins.augmenters.samples import albumentations
from seedbed.registry.conformance.samples import profile_of

_ALONE = """
import os, urllib.request
asked = []
urllib.request.OpenerDirector.open = lambda self, *args, **kwargs: asked.append(args) or 1 / 0
from seedbed.plugins.augmenters.samples import quiet_albumentations
quiet_albumentations()
print(len(asked), os.environ.get("NO_ALBUMENTATIONS_UPDATE"))
"""


def _picture(channels=3, height=40, width=48):
    """Smooth, with an edge: uint8 (H, W, C)."""
    y, x = np.mgrid[0:height, 0:width]
    image = 60 + 100 * np.sin(x / 9) * np.cos(y / 7) ** 2 + 60 * (x > width // 2)
    return np.repeat(image.clip(0, 255).astype(np.uint8)[:, :, None], channels, 2)


def _draws(recipe="strong", channels=3, count=40, **options):
    augment = albumentations(AlbumentationsOptions(recipe=recipe, **options), profile_of(channels=channels))
    return [augment(_picture(channels), np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize("recipe", ["light", "medium", "strong"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_recipe_gives_images_of_the_same_form(recipe, channels):
    picture = _picture(channels)
    for found in _draws(recipe, channels):
        assert (found.shape, found.dtype) == (picture.shape, picture.dtype)


def test_recipes_change_more_from_light_to_strong():
    picture = _picture().astype(float)
    light, medium, strong = (
        np.mean([np.abs(found - picture).mean() for found in _draws(recipe, count=80)])
        for recipe in ("light", "medium", "strong")
    )
    assert 0 < light < medium < strong


@pytest.mark.parametrize("recipe", ["light", "medium", "strong"])
def test_equal_seeds_give_equal_images_whatever_was_drawn_before(recipe):
    augment = albumentations(AlbumentationsOptions(recipe=recipe), profile_of())
    forth = [augment(_picture(), np.random.default_rng(seed)) for seed in range(20)]
    back = [augment(_picture(), np.random.default_rng(seed)) for seed in reversed(range(20))]
    assert all(np.array_equal(one, other) for one, other in zip(forth, reversed(back), strict=True))


def test_threads_do_not_disturb_each_other():
    augment = albumentations(AlbumentationsOptions(recipe="strong"), profile_of())
    alone = [augment(_picture(), np.random.default_rng(seed)) for seed in range(60)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda seed: augment(_picture(), np.random.default_rng(seed)), range(60)))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_the_global_random_states_are_left_alone():
    import random

    before = random.getstate(), np.random.get_state()[1].copy()
    _draws()
    assert random.getstate() == before[0]
    assert np.array_equal(np.random.get_state()[1], before[1])


def test_it_does_not_write_into_the_image():
    augment, picture = albumentations(AlbumentationsOptions(recipe="strong"), profile_of()), _picture()
    for seed in range(40):
        augment(picture, np.random.default_rng(seed))
    assert np.array_equal(picture, _picture())


def test_its_probability_is_the_share_of_images_that_it_touches():
    assert all(np.array_equal(found, _picture()) for found in _draws(probability=0.0))
    touched = [not np.array_equal(found, _picture()) for found in _draws(probability=0.5, count=100)]
    assert 0.35 < np.mean(touched) < 0.65


def test_no_recipe_mirrors():
    halves = np.full((40, 48, 3), 60, np.uint8)
    halves[:, 24:] = 200
    for recipe in ("light", "medium", "strong"):
        augment = albumentations(AlbumentationsOptions(recipe=recipe), profile_of())
        for seed in range(60):
            found = augment(halves, np.random.default_rng(seed))
            assert found[:, 28:].mean() > found[:, :20].mean() + 20


@pytest.mark.slow
def test_the_library_does_not_look_for_newer_versions_of_itself():
    clean = {name: value for name, value in os.environ.items() if name != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run([sys.executable, "-c", _ALONE], env=clean, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["0", "None"], done.stderr
