from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from seedbed.core.training.depthwise import depthwise_conv2d, is_depthwise, quicken, restore


class Same(nn.Conv2d):
    """Pads by itself, as TensorFlow does: more on the right."""

    def forward(self, inputs):
        return F.conv2d(F.pad(inputs, (0, 1, 0, 1)), self.weight, self.bias, self.stride, (0, 0), 1, self.groups)


def layer(*, channels=6, kernel=5, **options):
    return seeded(nn.Conv2d(channels, channels, kernel, groups=channels, **options))


def seeded(module):
    generator = torch.Generator().manual_seed(0)
    for each in module.parameters():
        each.data.uniform_(-0.3, 0.3, generator=generator)
    return module


def quick(module):
    twin = copy.deepcopy(module)
    quicken(twin)
    return twin


def step(module, inputs, *, low=False):
    """Return outputs and the gradients of inputs and parameters, after a pass that weighs each output differently."""
    inputs = inputs.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
        outputs = module(inputs)
    weights = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (outputs * weights.to(outputs.dtype)).sum().backward()
    return outputs.detach(), inputs.grad, *(each.grad for each in module.parameters())


def images(*, count=3, channels=6, height=9, width=8, dtype=torch.float32):
    values = torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(2), dtype=dtype)
    return values.contiguous(memory_format=torch.channels_last)


def close(found, expected, share):
    return all(
        (one - other).abs().max() <= share * other.abs().max() for one, other in zip(found, expected, strict=True)
    )


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=60, deadline=None)
@given(
    kernel=st.tuples(st.sampled_from([1, 2, 3, 5, 7]), st.sampled_from([1, 3, 4, 5])),
    stride=pairs,
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    dilation=pairs,
    more=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    bias=st.booleans(),
)
def test_gradients_are_those_of_torch_in_every_geometry(kernel, stride, padding, dilation, more, bias):
    needed = [max(d * (k - 1) + 1 - 2 * p, 1) for k, p, d in zip(kernel, padding, dilation, strict=True)]
    plain = layer(channels=3, kernel=kernel, stride=stride, padding=padding, dilation=dilation, bias=bias).double()
    inputs = images(count=2, channels=3, height=needed[0] + more[0], width=needed[1] + more[1], dtype=torch.float64)
    assert close(step(quick(plain), inputs), step(plain, inputs), 1e-12)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_in_float32_gradients_are_exact_to_rounding(kernel, stride, memory_format):
    plain = layer(channels=32, kernel=kernel, stride=stride, padding=kernel // 2).to(memory_format=memory_format)
    inputs = images(count=8, channels=32, height=14, width=14).contiguous(memory_format=memory_format)
    assert close(step(quick(plain), inputs), step(plain, inputs), 1e-5)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
def test_in_bfloat16_gradients_are_those_of_float32_to_its_precision(kernel, stride):
    plain = layer(channels=32, kernel=kernel, stride=stride, padding=kernel // 2)
    inputs = images(count=8, channels=32, height=14, width=14)
    found = step(quick(plain), inputs, low=True)
    assert found[0].dtype == torch.bfloat16
    assert all(each.dtype == torch.float32 for each in found[1:])
    assert close(found, step(plain, inputs), 0.03)


@pytest.mark.parametrize("low", [True, False])
def test_outputs_are_the_same_to_the_bit(low):
    plain, inputs = layer(padding=2), images()
    assert torch.equal(step(quick(plain), inputs, low=low)[0], step(plain, inputs, low=low)[0])
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
        assert torch.equal(quick(plain)(inputs), plain(inputs))


@pytest.mark.parametrize(
    "plain",
    [
        layer(padding="same"),
        layer(padding=2, padding_mode="circular"),
        seeded(Same(6, 6, 2, stride=2, groups=6)),
        layer(kernel=1, padding=3),
    ],
    ids=["same", "circular", "of its own", "more than the kernel reaches"],
)
def test_every_way_to_pad_is_kept(plain):
    assert close(step(quick(plain), images()), step(plain, images()), 1e-5)


def test_a_subclass_that_pads_by_itself_is_quickened_too():
    outputs = quick(Same(6, 6, 2, groups=6))(images())
    assert "_Depthwise" in type(outputs.grad_fn).__name__


@pytest.mark.parametrize("frozen", ["weight", "bias", "inputs"])
def test_what_is_frozen_gets_no_gradient(frozen):
    module, inputs = quick(layer()), images().requires_grad_(frozen != "inputs")
    if frozen != "inputs":
        getattr(module, frozen).requires_grad_(False)
    module(inputs).sum().backward()
    found = {"weight": module.weight.grad, "bias": module.bias.grad, "inputs": inputs.grad}
    assert {name for name, grad in found.items() if grad is None} == {frozen}


def test_only_layers_that_keep_each_channel_to_itself_count():
    assert is_depthwise(layer())
    assert not is_depthwise(nn.Conv2d(6, 12, 3, groups=6))
    assert not is_depthwise(nn.Conv2d(6, 6, 3, groups=3))
    assert not is_depthwise(nn.Conv2d(1, 1, 3))
    assert not is_depthwise(nn.Linear(6, 6))


def test_state_stays_as_it_is_and_restoring_leaves_no_trace():
    module = layer()
    before = dict(vars(module))
    quicken(module)
    assert list(module.state_dict()) == ["weight", "bias"]
    assert "_Depthwise" in type(module(images()).grad_fn).__name__
    restore(module)
    assert vars(module) == before


def test_restoring_leaves_others_changes_alone():
    module = layer()
    module.forward = changed = lambda inputs: inputs
    restore(module)
    assert module.forward is changed


def test_a_copy_learns_by_itself():
    module = quick(layer())
    twin = copy.deepcopy(module)
    twin(images()).sum().backward()
    assert twin.weight.grad is not None
    assert module.weight.grad is None


def test_equal_inputs_give_equal_gradients():
    one, other = (depthwise_gradients() for _ in range(2))
    assert all(map(torch.equal, one, other))


def depthwise_gradients():
    inputs, weight = images().requires_grad_(), layer(bias=False).weight
    outputs = depthwise_conv2d(inputs, weight, stride=(2, 2), padding=(2, 2))
    return torch.autograd.grad(outputs.square().sum(), [inputs, weight])
