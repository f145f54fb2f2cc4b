from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from seedbed.plugins.augmenters import TrivialAugmentOptions, policies
from seedbed.plugins.augmenters.policies import COLOURED, GREY, by_choice, by_group, trivial_augment
from seedbed.registry.conformance.samples import profile_of


def _inputs(count=60, channels=3, height=16, width=16):
    """Images in steps of 1/255, as they come from a file."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, channels, height, width), generator=generator) / 255


def _apply(inputs, seed=0, **options):
    profile = profile_of(size=inputs.shape[-1], channels=inputs.shape[1])
    augment = trivial_augment(TrivialAugmentOptions(**options), profile)
    return augment(inputs, torch.Generator().manual_seed(seed))


def _picture(size=160):
    """A smooth picture with a bright and a dark end, uint8 (H, W, 3)."""
    y, x = np.mgrid[0:size, 0:size] / size
    return np.stack([40 + 180 * x, 30 + 150 * y, 60 + 90 * (x * y + np.sin(9 * x) ** 2)], -1).astype(np.uint8)


def _changed(operation, picture, amount):
    """What an operation makes of a picture, in steps of a file: float (H, W, 3)."""
    images = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
    found = operation(images, torch.tensor([amount])).clamp(0, 1)
    return (found[0].permute(1, 2, 0) * 255).numpy()


def _dot(count, *, at, size=65):
    """A bright spot, `at` (down, right) of the middle."""
    y = torch.arange(size)[:, None] - (size - 1) / 2 - at[0]
    x = torch.arange(size)[None, :] - (size - 1) / 2 - at[1]
    return torch.exp(-(x**2 + y**2) / 8).expand(count, 1, size, size)


def _centre(image):
    """Where the spot is: pixels down and right of the middle."""
    mass, middle = image.sum(), (image.shape[-1] - 1) / 2
    steps = torch.arange(image.shape[-1]) - middle
    return float((image.sum(-1) * steps).sum() / mass), float((image.sum(-2) * steps).sum() / mass)


@pytest.mark.parametrize(
    ("name", "amount", "expected"),
    [
        ("brightness", 0.5, lambda image: ImageEnhance.Brightness(image).enhance(1.495)),
        ("brightness", -1.0, lambda image: ImageEnhance.Brightness(image).enhance(0.01)),
        ("contrast", 1.0, lambda image: ImageEnhance.Contrast(image).enhance(1.99)),
        ("contrast", -0.5, lambda image: ImageEnhance.Contrast(image).enhance(0.505)),
        ("saturation", 1.0, lambda image: ImageEnhance.Color(image).enhance(1.99)),
        ("saturation", -1.0, lambda image: ImageEnhance.Color(image).enhance(0.01)),
        ("sharpness", 1.0, lambda image: ImageEnhance.Sharpness(image).enhance(1.99)),
        ("sharpness", -1.0, lambda image: ImageEnhance.Sharpness(image).enhance(0.01)),
        ("posterize", 0.5, lambda image: ImageOps.posterize(image, 5)),
        ("posterize", -1.0, lambda image: ImageOps.posterize(image, 2)),
        ("solarize", 0.5, lambda image: ImageOps.solarize(image, 128)),
        ("autocontrast", 1.0, ImageOps.autocontrast),
        ("equalize", 1.0, ImageOps.equalize),
    ],
)
def test_operations_on_pixels_agree_with_pillows(name, amount, expected):
    picture = _picture()
    found = _changed(getattr(policies, name), picture, amount)
    reference = np.asarray(expected(Image.fromarray(picture)), np.float64)
    inside = np.s_[1:-1, 1:-1]  # Pillow's filters leave the border as it is
    # Pillow cuts off or rounds at each step; its equalising counts pixels in whole steps.
    most = {"equalize": 4.0, "posterize": 1e-3, "solarize": 1e-3}.get(name, 2.0)
    assert np.abs(found - reference)[inside].max() <= most


def test_strength_mixes_equalising_in():
    picture = _picture()
    whole, half = (_changed(policies.equalize, picture, amount) for amount in (1.0, 0.5))
    assert np.allclose(half, (whole + picture) / 2, atol=0.01)


@pytest.mark.parametrize("name", ["autocontrast", "equalize"])
def test_an_image_of_one_colour_has_no_contrast_to_stretch(name):
    flat = torch.full((1, 3, 8, 8), 0.25)
    assert torch.equal(getattr(policies, name)(flat, torch.ones(1)), flat)


@pytest.mark.parametrize(
    ("name", "at", "moves_to"),
    [
        ("rotate", (0, 9), (-9 * 2**-0.5, 9 * 2**-0.5)),  # by 45°, a third of the most
        ("translate_x", (0, 0), (0, -65 / 9)),
        ("translate_y", (0, 0), (-65 / 9, 0)),
        ("shear_x", (15, 0), (15, -15 * 0.33)),
        ("shear_y", (0, 15), (-15 * 0.33, 15)),
    ],
)
def test_operations_on_places_move_a_spot_where_they_should(name, at, moves_to):
    found = getattr(policies, name)(_dot(1, at=at), torch.tensor([1 / 3]))
    assert _centre(found[0, 0]) == pytest.approx(moves_to, abs=0.2)


def test_rotation_does_not_bend_images_that_are_not_square():
    wide = torch.nn.functional.pad(_dot(1, at=(0, 10), size=33), (16, 16))
    found = policies.rotate(wide, torch.tensor([2 / 3]))[0, 0]  # by a quarter
    down = (found.sum(1) * (torch.arange(33) - 16)).sum() / found.sum()
    right = (found.sum(0) * (torch.arange(65) - 32)).sum() / found.sum()
    assert (float(down), float(right)) == pytest.approx((-10, 0), abs=0.2)


@pytest.mark.parametrize("operation", COLOURED, ids=lambda each: each.__name__)
def test_no_operation_does_anything_at_strength_zero(operation):
    inputs = _inputs(4)
    assert torch.allclose(operation(inputs, torch.zeros(4)), inputs, atol=1e-5)


@pytest.mark.parametrize("operation", COLOURED, ids=lambda each: each.__name__)
def test_every_operation_does_something_at_full_strength_either_way(operation):
    dull = 0.3 + 0.4 * _inputs(1)
    inputs = dull.expand(2, -1, -1, -1)
    found = operation(inputs, torch.tensor([1.0, -1.0]))
    assert bool(((found - inputs).abs().amax((1, 2, 3)) > 0.05).all())


@pytest.mark.parametrize("channels", [1, 3])
def test_trying_all_operations_and_grouping_by_them_give_the_same(channels):
    inputs, operations = _inputs(40, channels), COLOURED if channels == 3 else GREY
    chosen = torch.arange(40) % (1 + len(operations))
    amounts = torch.linspace(-1, 1, 40)
    grouped = by_group(inputs, chosen, amounts, operations)
    assert torch.allclose(by_choice(inputs, chosen, amounts, operations), grouped, atol=1e-6)
    assert torch.equal(grouped[chosen == 0], inputs[chosen == 0])


def test_all_operations_are_as_likely_as_none_at_all(monkeypatch):
    fakes = tuple(lambda images, amounts, value=value: torch.full_like(images, value) for value in (0.25, 0.75))
    monkeypatch.setattr(policies, "GREY", fakes)
    found = Counter(_apply(torch.zeros(3000, 1, 1, 1)).flatten().tolist())
    assert set(found) == {0.0, 0.25, 0.75}
    assert all(900 < count < 1100 for count in found.values())


def test_amounts_reach_their_strength_either_way(monkeypatch):
    monkeypatch.setattr(policies, "GREY", (lambda images, amounts: images + amounts[:, None, None, None],))
    moved = (_apply(torch.full((2000, 1, 1, 1), 0.5), strength=0.4) - 0.5).flatten()
    assert float(moved.max()) == pytest.approx(0.4, abs=0.01)
    assert float(moved.min()) == pytest.approx(-0.4, abs=0.01)


def test_images_that_are_spared_stay_exactly_as_they_are():
    inputs = _inputs(400)
    assert torch.equal(_apply(inputs, probability=0.0), inputs)
    changed = (_apply(inputs, probability=0.5) != inputs).flatten(1).any(1)
    # Of the chosen half, one in fourteen has no operation; a few of the others do nothing at a low strength.
    assert 0.3 < float(changed.float().mean()) < 0.55


def test_a_policy_without_strength_changes_nothing():
    inputs = _inputs(100)
    assert torch.allclose(_apply(inputs, strength=0.0), inputs, atol=1e-5)


def test_grey_images_in_three_channels_stay_grey():
    grey = _inputs(200, channels=1).expand(-1, 3, -1, -1)
    found = _apply(grey, strength=1.0)
    assert torch.allclose(found, found[:, :1].expand_as(found), atol=1e-5)


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 1, 1), (3, 1, 2), (3, 17, 40)])
def test_the_strongest_policy_keeps_form_and_range(channels, height, width):
    inputs = _inputs(100, channels, height, width)
    found = _apply(inputs, strength=1.0)
    assert found.shape == inputs.shape
    assert 0.0 <= float(found.min()) <= float(found.max()) <= 1.0
