from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from seedbed.core.space import Choice, domains
from seedbed.core.training.assemble import backbone_layers
from seedbed.plugins.architectures.images import PixelsOptions, SmallResNetOptions
from seedbed.plugins.architectures.images.pixels import pixels
from seedbed.plugins.architectures.images.small_resnet import Dense, Plain, Residual, small_resnet
from seedbed.registry.conformance.samples import profile_of

POINTS = st.fixed_dictionaries(
    {
        name: st.sampled_from(domain.options)
        if isinstance(domain, Choice)
        else st.integers(domain.low, domain.high)
        for name, (domain, _) in domains(SmallResNetOptions).items()
    }
)  # fmt: skip


def _net(*, size=32, channels=3, **options):
    torch.manual_seed(0)
    return small_resnet(SmallResNetOptions(**options), profile_of(size=size, channels=channels)).eval()


def _blocks(net, kind):
    """How many blocks of a kind each stage has."""
    return [sum(isinstance(each, kind) for each in stage) for stage in net.body[1:]]


@settings(max_examples=25, deadline=None)
@given(POINTS, st.sampled_from([8, 9, 15, 28]))
def test_every_structure_of_the_space_trains_on_every_size(point, size):
    net = _net(size=size, **(point | {"width": 8})).train()
    features = net(torch.randn(2, 3, size, size))
    assert features.shape == (2, net.num_features) == (2, 8 * 2 ** point["stages"])
    features.square().sum().backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in net.parameters())


@pytest.mark.parametrize(("width", "stages"), list(product((8, 16, 24, 32), (2, 3, 4))))
def test_the_width_doubles_with_every_stage(width, stages):
    net = _net(width=width, stages=stages)
    assert net.num_features == width * 2**stages
    with torch.no_grad():
        assert net(torch.randn(2, 3, 32, 32)).shape == (2, net.num_features)


@pytest.mark.parametrize("pooling", ["max", "average", "stride"])
@pytest.mark.parametrize(("size", "expected"), [(8, 2), (12, 3), (28, 3), (32, 4), (64, 8)])
def test_three_stages_halve_the_image_down_to_no_less_than_two_pixels(size, expected, pooling):
    with torch.no_grad():
        found = _net(size=size, pooling=pooling).body(torch.randn(1, 3, size, size))
    if pooling == "stride" and size == 28:
        expected = 4  # a convolution rounds 7 / 2 up
    assert found.shape[-2:] == (expected, expected)


def test_a_stride_in_the_stem_halves_the_image_at_once():
    inputs = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert _net(stem_stride=2).body[0](inputs).shape[-2:] == (16, 16)
        assert _net(stem_stride=2).body(inputs).shape[-2:] == (2, 2)
        assert _net(stem_stride=2, size=8)(torch.randn(1, 3, 8, 8)).isfinite().all()


def test_the_smallest_images_are_not_halved_to_nothing():
    with torch.no_grad():
        assert _net(size=8, stages=4)(torch.randn(1, 3, 8, 8)).isfinite().all()


@pytest.mark.parametrize(("depth", "blocks"), [(1, [1, 0, 1, 1]), (2, [2, 1, 2, 2]), (3, [3, 2, 3, 3])])
def test_the_depth_is_the_number_of_blocks_in_a_stage_and_one_fewer_in_the_second(depth, blocks):
    assert _blocks(_net(depth=depth, stages=4), Residual) == blocks


@pytest.mark.parametrize(("name", "kind"), [("residual", Residual), ("dense", Dense), ("plain", Plain)])
def test_the_blocks_are_connected_as_asked(name, kind):
    net = _net(connectivity=name)
    assert _blocks(net, kind) == [1, 0, 1]
    assert sum(_blocks(net, (Residual, Dense, Plain))) == 2


def test_a_residual_block_adds_to_its_inputs_what_a_plain_one_would_give_alone():
    inputs, options = torch.randn(2, 16, 8, 8), SmallResNetOptions()
    residual, plain = Residual(16, options).eval(), Plain(16, options).eval()
    plain.load_state_dict(residual.body.state_dict())
    with torch.no_grad():
        assert torch.equal(residual(inputs), inputs + plain(inputs))


def test_in_a_dense_block_every_convolution_sees_the_inputs_of_the_block():
    block = Dense(16, SmallResNetOptions()).eval()
    widths = [each.in_channels for each in block.modules() if isinstance(each, nn.Conv2d)]
    assert widths == [16, 24, 32]
    with torch.no_grad():  # without what the first convolutions have learnt, the inputs still come through
        for each in (*block.first, *block.second):
            if isinstance(each, nn.BatchNorm2d):
                each.weight.zero_()
        one, other = block(torch.rand(1, 16, 8, 8)), block(torch.rand(1, 16, 8, 8))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("kernel", [3, 5])
def test_the_kernel_is_that_of_every_convolution_but_those_that_sum_up(kernel):
    found = {each.kernel_size for each in _net(kernel=kernel, connectivity="dense").modules() if hasattr(each, "stride")
             and isinstance(each, nn.Conv2d)}  # fmt: skip
    assert found == {(kernel, kernel), (1, 1)}
    assert {each.kernel_size for each in _net(kernel=kernel).modules() if isinstance(each, nn.Conv2d)} == {
        (kernel, kernel)
    }


@pytest.mark.parametrize(("name", "kind"), [("relu", nn.ReLU), ("gelu", nn.GELU), ("silu", nn.SiLU)])
def test_the_activation_is_the_one_asked_for(name, kind):
    modules = list(_net(activation=name).modules())
    others = {nn.ReLU, nn.GELU, nn.SiLU} - {kind}
    assert any(isinstance(each, kind) for each in modules)
    assert not any(isinstance(each, tuple(others)) for each in modules)


def test_global_pooling_takes_the_largest_or_the_mean():
    inputs = torch.randn(2, 3, 32, 32)
    most, mean = _net(global_pooling="max"), _net(global_pooling="average")
    with torch.no_grad():
        assert torch.equal(most(inputs), most.body(inputs).amax((2, 3)))
        assert torch.allclose(mean(inputs), mean.body(inputs).mean((2, 3)), atol=1e-6)


def test_an_image_longer_than_wide_is_fine():
    with torch.no_grad():
        assert _net(size=8)(torch.randn(2, 3, 40, 8)).shape == (2, 128)


def test_no_convolution_has_a_bias_that_its_normalisation_would_cancel():
    assert all(each.bias is None for each in _net().modules() if isinstance(each, nn.Conv2d))


def test_its_layers_are_the_stem_and_the_stages():
    net = _net()
    expected = [[id(each) for each in part.parameters()] for part in net.body]
    assert [[id(each) for each in layer] for layer in backbone_layers(net)] == expected
    assert len(expected) == 4


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
