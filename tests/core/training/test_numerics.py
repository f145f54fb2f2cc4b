from __future__ import annotations

import pytest
import torch
from core.training.helpers import FakeClock, Tiny
from torch import nn

from seedbed.core.training.assemble import Net
from seedbed.core.training.devices import KINDS, Device
from seedbed.core.training.numerics import Numerics, calibrate, choices, default

CPU = torch.device("cpu")


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


def _calibrate(model, *inputs, train=True, known=None, key="k", **options):
    known = {} if known is None else known
    return calibrate(model, inputs, device=CPU, train=train, known=known, key=key, **options)


def _measure(seconds, *, train, **options):
    clock = FakeClock()
    model = Slow(clock, seconds)
    return _calibrate(model, torch.randn(2, 3, 8, 8), train=train, clock=clock, **options), model


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


def test_what_is_measured_first_is_given_up_as_soon_as_others_beat_it_by_far():
    first, *others = [(each.precision, each.memory_format) for each in choices(CPU)]
    _, model = _measure(dict.fromkeys(others, 1.0) | {first: 50.0}, train=True)
    assert model.calls.count(first) == 1
    assert all(model.calls.count(each) > 1 for each in others)


def test_a_short_first_step_gives_nothing_up():
    first, *others = [(each.precision, each.memory_format) for each in choices(CPU)]
    _, model = _measure(dict.fromkeys(others, 0.001) | {first: 0.05}, train=True)
    assert model.calls.count(first) > 1


def test_where_all_others_are_hopeless_nothing_is_measured_again():
    first, *others = [(each.precision, each.memory_format) for each in choices(CPU)]
    found, model = _measure(dict.fromkeys(others, 50.0) | {first: 1.0}, train=True)
    assert (found.precision, found.memory_format) == first
    assert len(model.calls) == len(choices(CPU))


def test_a_result_is_remembered_by_its_key():
    seconds = {(each.precision, each.memory_format): 1.0 for each in choices(CPU)}
    known = {}
    first, _ = _measure(seconds, train=False, known=known, key=("net", 8))
    again, untouched = _measure(seconds, train=False, known=known, key=("net", 8))
    assert again == first == known["net", 8]
    assert untouched.calls == []
    _, other = _measure(seconds, train=False, known=known, key=("net", 9))
    assert other.calls


class Odd(nn.Module):
    """A net that does all that could leave a trace: batch statistics, dropout, depthwise layers, gradients."""

    def __init__(self):
        super().__init__()
        depthwise = nn.Conv2d(3, 3, 5, padding=2, groups=3)
        self.net = Net(nn.Sequential(depthwise, nn.Dropout(), Tiny(4, 3)), 36, 3)

    def forward(self, inputs):
        return self.net(inputs)


@pytest.mark.parametrize("train", [True, False])
def test_neither_the_model_nor_the_random_state_is_touched(train):
    model = Odd().train()
    loss = model(torch.randn(8, 3, 12, 12)).square().sum() + model.net.head.bias.sum()
    loss.backward()
    state = {name: each.clone() for name, each in model.state_dict().items()}
    grads = [each.grad.clone() for each in model.parameters()]
    strides = [each.stride() for each in model.parameters()]
    random_state = torch.get_rng_state()
    images = 5 + torch.randn(8, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    _calibrate(model, images, train=train)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(each, state[name]) for name, each in model.state_dict().items())
    assert all(torch.equal(each.grad, old) for each, old in zip(model.parameters(), grads, strict=True))
    assert [each.stride() for each in model.parameters()] == strides
    assert model.training
    assert all("forward" not in vars(module) for module in model.modules())


def test_a_choice_that_the_net_cannot_run_in_is_passed_over():
    class NoHalf(nn.Module):
        def forward(self, inputs):
            if torch.is_autocast_enabled("cpu"):
                raise RuntimeError("\"erfinv\" not implemented for 'BFloat16'")
            return inputs

    assert _calibrate(NoHalf(), torch.randn(2, 3, 8, 8), train=False).precision == "float32"


def test_where_no_choice_can_be_computed_the_default_is_left():
    class Broken(nn.Module):
        def forward(self, inputs):
            raise RuntimeError("out of memory")

    assert _calibrate(Broken(), torch.randn(2, 3, 8, 8)) == default(CPU)


def test_without_a_clock_to_decide_full_precision_is_used():
    assert default(CPU) == Numerics("float32", "channels_last", quickens_depthwise=False)
    assert default(torch.device("mps")) == Numerics("float32", "contiguous")


class Recorder(nn.Module):
    """Mean of the values where the mask is true, times a weight; notes how it is called."""

    def __init__(self, *, learns):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()), requires_grad=learns)
        self.seen = []

    def __deepcopy__(self, memo):
        twin = Recorder(learns=self.weight.requires_grad)
        twin.seen = self.seen
        return twin

    def forward(self, values, *others):
        self.seen.append((torch.is_autocast_enabled("cpu"), values, others))
        rows = len(values)
        return self.weight * (torch.zeros(rows, 2) if isinstance(values, list) else values.float().flatten(1))


@pytest.mark.parametrize(
    "inputs",
    [
        (torch.randn(2, 3, 5), torch.ones(2, 5, dtype=torch.bool)),
        (torch.ones(2, 5, dtype=torch.int64), torch.ones(2, 5, dtype=torch.bool)),
        (["good", "bad"],),
    ],
    ids=["series", "tokens", "strings"],
)
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("learns", [True, False])
def test_series_and_texts_have_their_precision_alone_to_choose(inputs, train, learns):
    model = Recorder(learns=learns)
    found = _calibrate(model, *inputs, train=train, repeats=1)
    assert found in (Numerics("bfloat16"), Numerics("float32"))
    assert {low for low, *_ in model.seen} == {True, False}
    assert all(values is inputs[0] and all(map(torch.equal, rest, inputs[1:])) for _, values, rest in model.seen)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_layers_can_be_measured(kind):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = kind(3, 4, batch_first=True)

        def forward(self, values, mask):
            return self.layer(values.transpose(1, 2))[0][:, -1]

    clock = FakeClock(step=1.0)
    known = {}
    mask = torch.ones(2, 5, dtype=torch.bool)
    found = _calibrate(Recurrent(), torch.randn(2, 3, 5), mask, known=known, clock=clock)
    assert known == {"k": found}
    assert found in choices(CPU, images=False)


class OneWay(Device):
    """A device that computes in one way alone."""

    precisions = ("float32",)
    has_channels_last = False


def test_where_there_is_nothing_to_choose_nothing_is_measured(monkeypatch):
    class Untouchable(nn.Module):
        def forward(self, inputs):
            raise AssertionError

    monkeypatch.setitem(KINDS, "mps", OneWay)
    elsewhere = torch.device("mps")
    found = calibrate(Untouchable(), (torch.ones(1, 3, 4, 4),), device=elsewhere, train=True, known={}, key="k")
    assert found == default(elsewhere)


def test_images_alone_get_a_memory_format():
    images, steps = torch.randn(2, 3, 4, 4), torch.ones(2, 3, 4, 4, dtype=torch.bool)
    found, mask, texts = Numerics("float32", "channels_last").lay_out((images, steps, ["a", "b"]))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, images)
    assert mask is steps
    assert texts == ["a", "b"]


@pytest.mark.parametrize("numerics", choices(CPU, depthwise=True))
def test_every_choice_gives_about_the_same_outputs(numerics):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, groups=4), nn.Flatten()).eval()
    inputs = torch.randn(2, 3, 8, 8)
    expected = model(inputs)
    numerics.lay_out_model(model)
    with numerics.autocast(CPU):
        found = model(*numerics.lay_out((inputs,)))
    assert torch.allclose(found.float(), expected, atol=0.03)


def test_only_float16_needs_its_loss_scaled():
    assert Numerics("float16").needs_scaling()
    assert not Numerics("bfloat16").needs_scaling()


def test_depthwise_layers_are_quickened_where_gradients_are_wanted_and_there_are_any():
    assert any(each.quickens_depthwise for each in choices(CPU, depthwise=True))
    assert not any(each.quickens_depthwise for each in choices(CPU))
    depthwise = nn.Conv2d(3, 3, 3, groups=3)
    images = torch.randn(2, 3, 8, 8)
    # By this clock all are equally fast, so the first one offered is taken.
    assert _calibrate(depthwise, images, clock=FakeClock()).quickens_depthwise
    assert not _calibrate(depthwise, images, train=False, clock=FakeClock()).quickens_depthwise
    assert not _calibrate(nn.Conv2d(3, 3, 3), images, clock=FakeClock()).quickens_depthwise


def test_a_layout_quickens_depthwise_layers_alone_and_another_undoes_it():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 2, 1))
    keys = list(model.state_dict())
    Numerics("bfloat16", "channels_last", quickens_depthwise=True).lay_out_model(model)
    assert ["forward" in vars(layer) for layer in model] == [False, True, False]
    assert list(model.state_dict()) == keys
    default(CPU).lay_out_model(model)
    assert not any("forward" in vars(layer) for layer in model)


def test_where_a_step_takes_longer_than_may_be_spent_the_first_choice_stands():
    seconds = {(each.precision, each.memory_format): 9.0 for each in choices(CPU)} | {("float32", "contiguous"): 0.1}
    found, model = _measure(seconds, train=False, most_seconds=5.0)
    assert found == choices(CPU)[0]
    assert len(model.calls) == 1
