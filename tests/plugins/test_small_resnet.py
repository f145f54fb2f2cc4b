from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn

from seedbed.plugins.architectures.images import PixelsOptions, SmallResNetOptions
from seedbed.plugins.architectures.images.pixels import pixels
from seedbed.plugins.architectures.images.small_resnet import small_resnet
from seedbed.registry.conformance.samples import profile_of


def _net(*, size=32, channels=3, **options):
    torch.manual_seed(0)
    return small_resnet(SmallResNetOptions(**options), profile_of(size=size, channels=channels)).eval()


@pytest.mark.parametrize(("width", "stages"), list(product((8, 16, 24, 32), (2, 3, 4))))
def test_the_width_doubles_with_every_stage(width, stages):
    net = _net(width=width, stages=stages)
    assert net.num_features == width * 2**stages
    with torch.no_grad():
        assert net(torch.randn(2, 3, 32, 32)).shape == (2, net.num_features)


@pytest.mark.parametrize(("size", "expected"), [(8, 2), (12, 3), (28, 3), (32, 4), (64, 8)])
def test_three_stages_halve_the_image_down_to_no_less_than_two_pixels(size, expected):
    with torch.no_grad():
        found = _net(size=size).body(torch.randn(1, 3, size, size))
    assert found.shape[-2:] == (expected, expected)


def test_the_smallest_images_are_not_halved_to_nothing():
    with torch.no_grad():
        assert _net(size=8, stages=4)(torch.randn(1, 3, 8, 8)).isfinite().all()


@pytest.mark.parametrize(("name", "kind"), [("relu", nn.ReLU), ("gelu", nn.GELU), ("silu", nn.SiLU)])
def test_the_activation_is_the_one_asked_for(name, kind):
    modules = list(_net(activation=name).modules())
    others = {nn.ReLU, nn.GELU, nn.SiLU} - {kind}
    assert any(isinstance(each, kind) for each in modules)
    assert not any(isinstance(each, tuple(others)) for each in modules)


def test_pooling_takes_the_largest_or_the_mean():
    inputs = torch.randn(2, 3, 32, 32)
    most, mean = _net(pooling="max"), _net(pooling="average")
    with torch.no_grad():
        assert torch.equal(most(inputs), most.body(inputs).amax((2, 3)))
        assert torch.allclose(mean(inputs), mean.body(inputs).mean((2, 3)), atol=1e-6)


def test_an_image_longer_than_wide_is_fine():
    with torch.no_grad():
        assert _net(size=8)(torch.randn(2, 3, 40, 8)).shape == (2, 128)


def test_no_convolution_has_a_bias_that_its_normalisation_would_cancel():
    assert all(each.bias is None for each in _net().modules() if isinstance(each, nn.Conv2d))


def test_pixels_are_the_means_of_the_cells_of_a_grid():
    inputs = torch.rand(2, 1, 32, 32)
    net = pixels(PixelsOptions(size=16), profile_of(size=32, channels=1))
    expected = inputs.reshape(2, 16, 2, 16, 2).mean((2, 4)).flatten(1)
    assert net.num_features == 256
    assert torch.allclose(net(inputs), expected, atol=1e-6)


def test_images_smaller_than_the_grid_are_taken_as_they_are():
    inputs = torch.rand(2, 3, 8, 8)
    net = pixels(PixelsOptions(size=16), profile_of(size=8, channels=3))
    assert net.num_features == 192
    assert torch.equal(net(inputs), inputs.flatten(1))
