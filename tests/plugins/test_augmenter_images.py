from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from seedbed.core.specs import NoOptions
from seedbed.plugins.augmenters import AffineOptions, EraseOptions, ShiftOptions, ZoomOptions
from seedbed.plugins.augmenters.images import affine, erase, flip, shift, zoom
from seedbed.registry.conformance.samples import profile_of


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _inputs(count=200, channels=3, height=16, width=16):
    return torch.rand(count, channels, height, width, generator=_generator(1))


def _apply(build, options, inputs, seed=0, **facts):
    profile = profile_of(size=inputs.shape[-1], channels=inputs.shape[1])
    return build(options, replace(profile, **facts))(inputs, _generator(seed))


def _blob(count, size=33, *, at=(0, 0), wide=1.5, height=None):
    """A bright Gaussian spot, `at` (down, right) of the middle."""
    height = height or size
    y = torch.arange(height)[:, None] - (height - 1) / 2 - at[0]
    x = torch.arange(size)[None, :] - (size - 1) / 2 - at[1]
    return torch.exp(-(x**2 + y**2) / (2 * wide**2)).expand(count, 1, height, size)


def _centres(images):
    """The centre of mass of each image, (N, 2): down and right of the middle, in pixels."""
    height, width = images.shape[-2:]
    mass = images.sum((1, 2, 3))
    y = (images.sum((1, 3)) * (torch.arange(height) - (height - 1) / 2)).sum(1) / mass
    x = (images.sum((1, 2)) * (torch.arange(width) - (width - 1) / 2)).sum(1) / mass
    return torch.stack([y, x], 1)


def test_flip_mirrors_about_half_of_the_images_and_changes_no_other():
    inputs = _inputs()
    found = _apply(flip, NoOptions(), inputs)
    mirrored = (found == inputs.flip(3)).flatten(1).all(1)
    kept = (found == inputs).flatten(1).all(1)
    assert bool((mirrored ^ kept).all())
    assert 70 < int(mirrored.sum()) < 130


def test_flip_predicts_with_the_image_itself_first():
    inputs = _inputs(2)
    views = flip(NoOptions(), profile_of()).views(inputs)
    assert torch.equal(views[0], inputs)
    assert torch.equal(views[1], inputs.flip(3))


@pytest.mark.parametrize(("height", "width"), [(16, 16), (20, 10)])
def test_shift_moves_whole_images_by_whole_pixels_within_its_share(height, width):
    inputs = _inputs(100, height=height, width=width)
    found = _apply(shift, ShiftOptions(share=0.2), inputs)
    down, right = round(0.2 * height), round(0.2 * width)
    seen = set()
    for before, after in zip(inputs, found, strict=True):
        inner = after[:, down:-down, right:-right]
        moves = [
            (dy, dx)
            for dy in range(-down, down + 1)
            for dx in range(-right, right + 1)
            if torch.equal(inner, before[:, down + dy : height - down + dy, right + dx : width - right + dx])
        ]
        assert len(moves) == 1
        seen.add(moves[0])
    assert {dy for dy, _ in seen} == set(range(-down, down + 1))
    assert {dx for _, dx in seen} == set(range(-right, right + 1))


@pytest.mark.parametrize(
    ("channels", "edges"),
    [
        (1, {(0.0, 0.0, 1.0), (0.0, 1.0, 2.0), (1.0, 2.0, 3.0), (0.0, 0.0, 0.0)}),  # the last: a shift down
        (3, {(1.0, 0.0, 1.0), (0.0, 1.0, 2.0), (1.0, 2.0, 3.0)}),
    ],
)
def test_shift_fills_the_border_with_black_in_grey_pictures_and_by_reflection_in_colour_ones(channels, edges):
    row = torch.arange(8.0).expand(50, channels, 8, 8) / 8
    found = _apply(shift, ShiftOptions(share=0.125), row)
    assert {tuple((each[0, 0, :3] * 8).tolist()) for each in found} == edges


def test_the_smallest_images_can_be_shifted():
    assert _apply(shift, ShiftOptions(), _inputs(3, height=1, width=2)).shape == (3, 3, 1, 2)


def test_affine_turns_a_spot_around_the_middle_by_no_more_than_its_degrees():
    found = _centres(_apply(affine, AffineOptions(degrees=20.0, scale=0.0, shear=0.0), _blob(300, at=(0, 8))))
    angles = torch.atan2(found[:, 0], found[:, 1]).rad2deg()
    assert torch.allclose(found.norm(dim=1), torch.full((300,), 8.0), atol=0.2)
    assert -20.5 < float(angles.min()) < -18
    assert 18 < float(angles.max()) < 20.5


def test_affine_turns_images_that_are_not_square_without_bending_them():
    found = _centres(
        _apply(affine, AffineOptions(degrees=20.0, scale=0.0, shear=0.0), _blob(300, 65, at=(0, 16), height=33))
    )
    assert torch.allclose(found.norm(dim=1), torch.full((300,), 16.0), atol=0.3)
    assert 18 < float(torch.atan2(found[:, 0], found[:, 1]).rad2deg().abs().max()) < 20.5


def test_affine_scales_up_and_down_by_the_same_factor():
    found = _centres(_apply(affine, AffineOptions(degrees=0.0, scale=0.25, shear=0.0), _blob(300, at=(0, 8))))
    assert float(found[:, 1].max()) == pytest.approx(8 * 1.25, abs=0.3)
    assert float(found[:, 1].min()) == pytest.approx(8 / 1.25, abs=0.3)


def test_affine_without_strength_changes_nothing():
    inputs = _inputs(5)
    options = AffineOptions(degrees=0.0, scale=0.0, shear=0.0)
    assert torch.allclose(_apply(affine, options, inputs), inputs, atol=1e-5)


def test_zoom_magnifies_what_it_keeps_and_keeps_no_less_than_asked():
    """The spread of a spot in the crop tells how much the crop was enlarged."""
    spots = _blob(400, 65, wide=2.0)
    found = _apply(zoom, ZoomOptions(smallest=0.5), spots)
    whole = [each for each, mass in zip(found, found.sum((1, 2, 3)), strict=True) if mass > 0]
    areas = torch.stack([each.sum() for each in whole]) / spots[0].sum()
    inside = areas[areas > 0.99]  # the spot lies within the crop: its mass grows as the crop's area shrinks
    assert len(inside) > 100
    assert float(inside.max()) < 1 / 0.5 * 1.05
    assert float(inside.max()) > 1.5


def test_erase_greys_out_its_share_of_the_area_in_its_share_of_the_images():
    inputs = _inputs(500, height=40, width=40)
    found = _apply(erase, EraseOptions(share=0.1, probability=0.4), inputs, mean=(0.2, 0.3, 0.4))
    erased = (found != inputs).any(1)
    hit = erased.flatten(1).any(1)
    assert float(hit.float().mean()) == pytest.approx(0.4, abs=0.07)
    assert float(erased[hit].float().mean()) == pytest.approx(0.1, abs=0.01)
    assert torch.allclose(found[(found != inputs)], torch.tensor(0.3))


def test_what_is_erased_is_one_rectangle():
    inputs = _inputs(60, height=24, width=24)
    found = _apply(erase, EraseOptions(share=0.2, probability=1.0), inputs)
    for mask in (found != inputs).all(1):
        rows, columns = mask.any(1), mask.any(0)
        assert bool((mask == (rows[:, None] & columns[None, :])).all())
        for line in (rows, columns):
            places = line.nonzero()[:, 0]
            assert int(places.max() - places.min()) + 1 == len(places)


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (shift, ShiftOptions(share=0.0)),
        (erase, EraseOptions(share=0.0, probability=1.0)),
        (erase, EraseOptions(share=0.3, probability=0.0)),
    ],
    ids=["shift", "small", "seldom"],
)
def test_at_no_strength_images_stay_exactly_as_they_are(build, options):
    inputs = _inputs(20)
    assert torch.equal(_apply(build, options, inputs), inputs)


def test_zoom_that_keeps_everything_changes_nothing():
    inputs = _inputs(20)
    assert torch.allclose(_apply(zoom, ZoomOptions(smallest=1.0), inputs), inputs, atol=1e-5)


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (affine, AffineOptions(degrees=30.0, scale=0.4, shear=0.3)),
        (zoom, ZoomOptions(smallest=0.2)),
        (erase, EraseOptions(share=0.3, probability=1.0)),
        (shift, ShiftOptions(share=0.25)),
    ],
    ids=["affine", "zoom", "erase", "shift"],
)
@pytest.mark.parametrize(("height", "width"), [(8, 8), (17, 40)])
def test_the_strongest_options_keep_form_and_range(build, options, height, width):
    inputs = _inputs(20, height=height, width=width)
    found = _apply(build, options, inputs)
    assert found.shape == inputs.shape
    assert float(found.min()) >= -1e-5
    assert float(found.max()) <= 1 + 1e-5
    assert math.isfinite(float(found.sum()))
    assert not torch.equal(found, inputs)
