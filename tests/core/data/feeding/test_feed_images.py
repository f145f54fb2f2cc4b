from __future__ import annotations

import numpy as np
import pytest
import torch

from seedbed.core.data.feeding.images import Images, normalise, resize, to_unit
from seedbed.core.data.view import View


def _view(height, width=None, channels=1, mean=None, std=None):
    return View(
        height=height,
        width=width or height,
        channels=channels,
        mean=mean or (0.5,) * channels,
        std=std or (0.25,) * channels,
    )


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_gathered_rows_are_those_asked_for_with_channels_first(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    images = Images(tmp_path, torch.device("cpu"))
    (found,) = images.gather(torch.tensor([4, 0, 4]), _view(4, 6, channels=3))
    assert len(images) == 5
    assert found.dtype == torch.float32
    assert np.allclose(found.numpy(), pixels[[4, 0, 4]].transpose(0, 3, 1, 2) / np.float32(255))
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("free", "where"), [(1e9, "meta"), (100, "cpu")])
def test_images_are_resident_on_a_device_that_has_room_for_them(tmp_path, free, where):
    np.save(tmp_path / "images.npy", np.zeros((5, 4, 6, 3), dtype=np.uint8))
    images = Images(tmp_path, torch.device("meta"), free)
    assert images.pixels.device.type == where
    if where == "cpu":  # rows can only be picked where there are any
        assert images.gather(torch.tensor([4, 0]), _view(4, 6, channels=3))[0].device.type == "meta"


def test_a_change_of_samples_comes_before_anything_else(tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((3, 2, 2, 1), dtype=np.uint8))
    seen = []

    def brighten(found):
        seen.append((found.shape, found.dtype))
        return found + np.uint8(255)

    images = Images(tmp_path, torch.device("cpu"))
    (found,) = images.gather(torch.tensor([2, 1]), _view(4), brighten)
    assert seen == [((2, 2, 2, 1), np.uint8)]
    assert torch.equal(found, torch.ones(2, 1, 4, 4))
    assert images.pixels.max() == 0


def test_work_on_a_batch_never_reaches_the_prepared_file(tmp_path):
    np.save(tmp_path / "images.npy", np.full((2, 2, 2, 1), 100, dtype=np.uint8))
    images = Images(tmp_path, torch.device("cpu"))
    images.gather(torch.arange(2), _view(2))[0].zero_()
    images.pixels.zero_()
    assert np.load(tmp_path / "images.npy").min() == 100


def test_bytes_become_numbers_between_zero_and_one_in_the_same_place():
    pixels = torch.tensor([[[[0, 255], [51, 102]]]], dtype=torch.uint8)
    assert to_unit(pixels, _view(2)).flatten().tolist() == pytest.approx([0.0, 1.0, 0.2, 0.4])
    assert pixels.flatten().tolist() == [0, 255, 51, 102]


@pytest.mark.parametrize(("height", "width"), [(8, 8), (4, 6), (16, 20), (5, 40)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("wanted", [1, 3])
def test_inputs_get_the_size_and_channels_of_the_view(height, width, channels, wanted):
    inputs = torch.rand(2, channels, 8, 10, generator=_generator())
    found = resize(inputs, _view(height, width, channels=wanted))
    assert found.shape == (2, wanted, height, width)
    assert 0 <= float(found.min()) <= float(found.max()) <= 1 + 1e-6
    assert float(found.mean()) == pytest.approx(float(inputs.mean()), abs=0.06)


def test_a_view_of_the_same_form_changes_nothing():
    inputs = torch.rand(2, 3, 8, 8, generator=_generator())
    assert torch.equal(resize(inputs, _view(8, channels=3)), inputs)


def test_grey_becomes_three_equal_channels_and_colour_its_mean():
    grey = torch.rand(2, 1, 4, 4, generator=_generator())
    colour = resize(grey, _view(4, channels=3))
    assert torch.equal(colour, grey.repeat(1, 3, 1, 1))
    assert torch.allclose(resize(colour, _view(4)), grey)


def test_shrinking_averages_so_that_fine_stripes_become_grey():
    stripes = (torch.arange(64) % 2).float().expand(1, 1, 64, 64)
    inner = resize(stripes, _view(16))[..., 2:-2, 2:-2]
    assert torch.allclose(inner, torch.full_like(inner, 0.5), atol=0.02)


def test_shrinking_one_side_while_the_other_grows_averages_too():
    stripes = (torch.arange(64) % 2).float().expand(1, 1, 8, 64)
    inner = resize(stripes, _view(16, 16))[..., 2:-2]
    assert torch.allclose(inner, torch.full_like(inner, 0.5), atol=0.02)


def test_normalised_data_has_mean_zero_and_deviation_one_in_every_channel():
    inputs = torch.rand(50, 3, 8, 8, generator=_generator()) * torch.tensor([1.0, 0.5, 0.1])[:, None, None]
    mean, std = (tuple(each.tolist()) for each in (inputs.mean((0, 2, 3)), inputs.std((0, 2, 3))))
    before = inputs.clone()
    found = normalise(inputs, _view(8, channels=3, mean=mean, std=std))
    assert torch.allclose(found.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(found.std((0, 2, 3)), torch.ones(3), atol=1e-5)
    assert torch.equal(inputs, before)


@pytest.mark.parametrize(
    ("size", "resolution", "expected"), [((28, 28), 14, (14, 14)), ((20, 40), 30, (30, 60)), ((64, 48), 48, (64, 48))]
)
def test_a_view_at_a_resolution_keeps_the_proportions(size, resolution, expected):
    view = _view(*size).at(resolution)
    assert (view.height, view.width) == expected
    assert view.resolution == resolution
