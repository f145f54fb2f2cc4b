from __future__ import annotations

import pytest
import torch
from core.training.helpers import FakeClock, Tiny
from torch import nn

from seedbed.core.training.assemble import Classifier
from seedbed.core.training.numerics import Numerics, calibrate, choices, default

CPU = torch.device("cpu")
DEPTHWISE = nn.Conv2d(4, 4, 3, groups=4)


class Slow(nn.Module):
    """Takes as long as `seconds` says for the numerics it runs in."""

    def __init__(self, clock, seconds):
        super().__init__()
        self.clock, self.seconds = clock, seconds
        self.calls = []
        self.conv = nn.Conv2d(3, 4, 1)

    def __deepcopy__(self, memo):
        twin = Slow(self.clock, self.seconds)
        twin.calls = self.calls
        return twin

    def forward(self, inputs):
        found = _numerics_seen(inputs)
        self.calls.append(found)
        self.clock.tick(self.seconds[found])
        return self.conv(inputs).mean((2, 3))


def _numerics_seen(inputs):
    precision = "bfloat16" if torch.is_autocast_enabled("cpu") else "float32"
    is_last = inputs.is_contiguous(memory_format=torch.channels_last)
    return precision, "channels_last" if is_last else "contiguous"


def _measure(seconds, *, train, known=None, key="k"):
    clock = FakeClock()
    model = Slow(clock, seconds)
    known = {} if known is None else known
    return calibrate(model, torch.randn(2, 3, 8, 8), train=train, known=known, key=key, clock=clock), model


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("fastest", [(each.precision, each.memory_format) for each in choices(CPU)])
def test_the_fastest_is_chosen(train, fastest):
    seconds = {(each.precision, each.memory_format): 1.0 for each in choices(CPU)} | {fastest: 0.5}
    found, _ = _measure(seconds, train=train)
    assert (found.precision, found.memory_format) == fastest


def test_what_lost_by_far_at_once_is_not_tried_again():
    seconds = {(each.precision, each.memory_format): 1.0 for each in choices(CPU)} | {("float32", "contiguous"): 50.0}
    _, model = _measure(seconds, train=False)
    assert model.calls.count(("float32", "contiguous")) == 1
    assert model.calls.count(("bfloat16", "channels_last")) > 1


def test_a_result_is_remembered_by_its_key():
    seconds = {(each.precision, each.memory_format): 1.0 for each in choices(CPU)}
    known = {}
    first, _ = _measure(seconds, train=False, known=known, key=("net", 8))
    again, untouched = _measure(seconds, train=False, known=known, key=("net", 8))
    assert again == first == known["net", 8]
    assert untouched.calls == []
    _, other = _measure(seconds, train=False, known=known, key=("net", 9))
    assert other.calls


@pytest.mark.parametrize("train", [True, False])
def test_the_model_itself_is_left_untouched(train):
    model = Classifier(Tiny(4, 3), 36, 3).train()
    loss = model(torch.randn(8, 3, 12, 12)).square().sum() + model.head.bias.sum()
    loss.backward()
    state = {name: each.clone() for name, each in model.state_dict().items()}
    grads = [each.grad.clone() for each in model.parameters()]
    strides = [each.stride() for each in model.parameters()]
    calibrate(model, 5 + torch.randn(8, 3, 12, 12), train=train, known={}, key="k")
    assert all(torch.equal(each, state[name]) for name, each in model.state_dict().items())
    assert all(torch.equal(each.grad, old) for each, old in zip(model.parameters(), grads, strict=True))
    assert [each.stride() for each in model.parameters()] == strides
    assert model.training
    assert all(not vars(module).get("forward") for module in model.modules())


def test_a_choice_that_the_net_cannot_run_in_is_passed_over():
    class NoHalf(nn.Module):
        def forward(self, inputs):
            if torch.is_autocast_enabled("cpu"):
                raise RuntimeError("\"erfinv\" not implemented for 'BFloat16'")
            return inputs

    found = calibrate(NoHalf(), torch.randn(2, 3, 8, 8), train=False, known={}, key="k")
    assert found.precision == "float32"


def test_without_a_clock_to_decide_full_precision_is_used():
    assert default(CPU).precision == "float32"
    assert default(torch.device("mps")) == Numerics("float32", "contiguous")


@pytest.mark.parametrize("numerics", choices(CPU, has_depthwise=True))
def test_every_choice_gives_about_the_same_outputs(numerics):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), DEPTHWISE, nn.Flatten()).eval()
    inputs = torch.randn(2, 3, 8, 8)
    expected = model(inputs)
    numerics.lay_out_model(model)
    with torch.no_grad(), numerics.autocast(CPU):
        found = model(numerics.lay_out(inputs))
    assert torch.allclose(found.float(), expected, atol=0.03)


def test_only_float16_needs_its_loss_scaled():
    assert Numerics("float16").needs_scaling()
    assert not Numerics("bfloat16").needs_scaling()


def test_depthwise_layers_alone_are_spared_from_half_precision():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 2, 1))
    keys = list(model.state_dict())
    numerics = next(each for each in choices(CPU, has_depthwise=True) if each.spares_depthwise)
    seen = []
    for layer in model:
        layer.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    numerics.lay_out_model(model)
    with numerics.autocast(CPU):
        model(numerics.lay_out(torch.randn(2, 3, 8, 8)))
    assert seen == [torch.bfloat16, torch.float32, torch.bfloat16]
    assert list(model.state_dict()) == keys
