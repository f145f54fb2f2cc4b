from __future__ import annotations

import math

import pytest
import torch

from seedbed.plugins.augmenters import BlurOptions, ColourOptions, NoiseOptions
from seedbed.plugins.augmenters.colour import blur, colour, luminance, noise
from seedbed.registry.conformance.samples import profile_of


def _inputs(count=200, channels=3, size=16):
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(1))


def _apply(build, options, inputs, seed=0):
    profile = profile_of(size=inputs.shape[-1], channels=inputs.shape[1])
    return build(options, profile)(inputs, torch.Generator().manual_seed(seed))


def _of_one_colour(count, *colour):
    return torch.tensor(colour)[None, :, None, None].expand(count, 3, 4, 4)


def test_colour_changes_stay_within_their_strength():
    inputs = torch.full((300, 1, 8, 8), 0.5)
    found = _apply(colour, ColourOptions(strength=0.3), inputs)[:, 0, 0, 0]
    assert 0.35 - 1e-6 <= float(found.min()) < 0.37
    assert 0.63 < float(found.max()) <= 0.65 + 1e-6


def test_colour_treats_every_image_alone_and_all_its_pixels_alike():
    inputs = 0.3 + 0.4 * _inputs(50, channels=1)
    found = _apply(colour, ColourOptions(strength=0.2), inputs)
    for before, after in zip(inputs.flatten(1), found.flatten(1), strict=True):
        slope = (after.max() - after.min()) / (before.max() - before.min())
        expected = after.mean() + slope * (before - before.mean())
        assert torch.allclose(after, expected, atol=1e-5)
        assert 0.8**2 - 1e-4 <= float(slope) <= 1.2**2 + 1e-4


def test_saturation_moves_colours_and_leaves_grey_pictures_grey():
    grey = _inputs(20, channels=1).repeat(1, 3, 1, 1)
    found = _apply(colour, ColourOptions(strength=0.4), grey)
    assert torch.allclose(found, found.mean(1, keepdim=True).expand_as(found), atol=1e-5)
    vivid = torch.tensor([0.8, 0.4, 0.3])[None, :, None, None].expand(200, 3, 4, 4)
    changed = _apply(colour, ColourOptions(strength=0.4), vivid)
    spread = (changed.amax(1) - changed.amin(1)).mean((1, 2)) / changed.mean((1, 2, 3))
    assert float(spread.std()) > 0.05


def test_hue_turns_colours_by_no_more_than_its_share_of_the_circle():
    """On the plane of equal luminance, where colours lie around grey, NTSC's axes are at a right angle."""
    vivid = _of_one_colour(300, 0.7, 0.4, 0.4)
    found = _apply(colour, ColourOptions(strength=0.0, hue=0.1), vivid)
    assert torch.allclose(luminance(found), luminance(vivid), atol=1e-4)
    axes = torch.tensor([[0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    before, after = (each[:, :, 0, 0] @ axes.T for each in (vivid, found))
    assert torch.allclose(after.norm(dim=1), before.norm(dim=1), atol=1e-4)
    angles = torch.atan2(after[:, 1], after[:, 0]) - torch.atan2(before[:, 1], before[:, 0])
    assert 0.095 * math.tau < float(angles.max()) < 0.1001 * math.tau
    assert -0.1001 * math.tau < float(angles.min()) < -0.095 * math.tau


def test_blur_softens_edges_and_leaves_flat_ground_alone():
    edge = torch.zeros(200, 1, 9, 9)
    edge[..., 5:] = 1.0
    found = _apply(blur, BlurOptions(strength=1.0), edge)
    assert torch.equal(found[..., :2], edge[..., :2])
    steepest = (found[..., 5] - found[..., 4]).amax((1, 2))
    assert float(steepest.min()) < 0.5
    assert float(steepest.max()) > 0.98
    assert float((found.diff(dim=3)).min()) >= -1e-6  # nothing rings


def test_noise_is_as_strong_as_asked_at_the_most():
    grey = torch.full((400, 3, 16, 16), 0.5)
    spreads = (_apply(noise, NoiseOptions(std=0.1), grey) - grey).std((1, 2, 3))
    assert float(spreads.max()) == pytest.approx(0.1, rel=0.1)
    assert float(spreads.min()) < 0.01
    assert float(spreads.mean()) == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (colour, ColourOptions(strength=0.0, hue=0.0)),
        (blur, BlurOptions(strength=0.0)),
        (noise, NoiseOptions(std=0.0)),
    ],
    ids=["colour", "blur", "noise"],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_at_no_strength_colours_stay_exactly_as_they_are(build, options, channels):
    inputs = _inputs(20, channels)
    assert torch.equal(_apply(build, options, inputs), inputs)


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (colour, ColourOptions(strength=0.6, hue=0.1)),
        (blur, BlurOptions(strength=1.0)),
        (noise, NoiseOptions(std=0.2)),
    ],
    ids=["colour", "blur", "noise"],
)
@pytest.mark.parametrize(("channels", "size"), [(1, 1), (3, 1), (3, 17)])
def test_the_strongest_changes_of_colour_keep_form_and_range(build, options, channels, size):
    inputs = _inputs(20, channels, size)
    found = _apply(build, options, inputs)
    assert found.shape == inputs.shape
    assert 0.0 <= float(found.min()) <= float(found.max()) <= 1.0
