from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from seedbed.plugins.regularizers import EmaOptions, SwaOptions
from seedbed.plugins.regularizers.averages import ema, swa
from seedbed.registry.conformance.samples import profile_of


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def _walk(model, regularizer, steps, change):
    """Change the model `steps` times and yield its state after each."""
    for step in range(steps):
        with torch.no_grad():
            change(model, step)
        regularizer.after_step(model, (step + 1) / steps)
        yield copy.deepcopy(model.state_dict())


def _shake(model, step):
    generator = torch.Generator().manual_seed(step)
    for each in model.state_dict().values():
        if each.is_floating_point():
            each.copy_(torch.randn(each.shape, generator=generator))
        else:
            each.fill_(step)


def _number(value):
    """A model of one weight, so that an average is a number."""
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(value)
    return layer


def test_an_average_of_constant_weights_is_the_weights(model):
    for made in (ema(EmaOptions(), profile_of()), swa(SwaOptions(), profile_of())):
        list(_walk(model, made, 20, lambda model, step: None))
        averaged = made.averaged(model)
        assert list(averaged) == list(model.state_dict())
        assert all(torch.equal(averaged[name], each) for name, each in model.state_dict().items())


def test_before_there_is_an_average_the_model_stands_for_itself(model):
    late = swa(SwaOptions(start=0.75), profile_of())
    assert late.averaged(model) is None
    late.after_step(model, 0.74)
    assert late.averaged(model) is None
    assert ema(EmaOptions(), profile_of()).averaged(model) is None


def test_swa_is_the_mean_of_the_states_since_its_start(model):
    made = swa(SwaOptions(start=0.75), profile_of())
    states = list(_walk(model, made, 20, _shake))[14:]  # progress 0.75, 0.80 … 1.00
    averaged = made.averaged(model)
    for name, each in averaged.items():
        if each.is_floating_point():
            assert torch.allclose(each, torch.stack([state[name] for state in states]).mean(0), atol=1e-6), name
        else:
            assert torch.equal(each, states[-1][name]), name


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_trainings_have_an_average(model, steps):
    for made in (ema(EmaOptions(), profile_of()), swa(SwaOptions(start=0.95), profile_of())):
        states = list(_walk(model, made, steps, _shake))
        averaged = made.averaged(model)
        assert all(each.isfinite().all() for each in averaged.values())
        if steps == 1:
            assert all(torch.equal(averaged[name], each) for name, each in states[0].items())


def test_ema_copies_the_statistics_of_batch_norm(model):
    made = ema(EmaOptions(window=0.2), profile_of())
    *_, last = _walk(model, made, 10, _shake)
    averaged = made.averaged(model)
    buffers = {name for name, _ in model.named_buffers()}
    assert all(torch.equal(averaged[name], last[name]) for name in buffers)
    assert not any(torch.allclose(averaged[name], last[name]) for name in last if name not in buffers)


@pytest.mark.parametrize("steps", [100, 1000])
def test_ema_reaches_as_far_back_whatever_the_number_of_steps(steps):
    """A weight that jumps from 0 to 1: what is left of 0 says how long ago that was, in windows."""
    layer, made = _number(0.0), ema(EmaOptions(window=0.1), profile_of())
    list(_walk(layer, made, steps, lambda model, step: model.weight.fill_(float(step >= 0.8 * steps))))
    assert float(made.averaged(layer)["weight"]) == pytest.approx(1 - math.exp(-0.2 / 0.1), abs=0.005)


def test_the_random_beginning_is_soon_forgotten():
    """Without a warm-up of the decay, 0.9 of the first weight would be left after a twentieth of a window of 0.2."""
    layer, made = _number(1.0), ema(EmaOptions(window=0.2), profile_of())
    made.after_step(layer, 0.001)
    layer.weight.data.zero_()
    for step in range(2, 11):
        made.after_step(layer, step / 1000)
    assert float(made.averaged(layer)["weight"]) < 0.01


def test_what_was_handed_out_does_not_change_as_training_goes_on(model):
    for made in (ema(EmaOptions(), profile_of()), swa(SwaOptions(start=0.5), profile_of())):
        walk = _walk(model, made, 10, _shake)
        for _ in range(7):
            next(walk)
        handed = made.averaged(model)
        before = {name: each.clone() for name, each in handed.items()}
        list(walk)
        assert all(torch.equal(handed[name], before[name]) for name in before)


def test_weights_that_are_shared_stay_shared():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    made = ema(EmaOptions(window=0.2), profile_of())
    list(_walk(model, made, 5, _shake))
    averaged = made.averaged(model)
    assert torch.equal(averaged["0.weight"], averaged["1.weight"])
    assert not torch.equal(averaged["0.weight"], model[0].weight)


def test_averaging_does_not_touch_the_model(model):
    before = copy.deepcopy(model.state_dict())
    for made in (ema(EmaOptions(), profile_of()), swa(SwaOptions(start=0.5), profile_of())):
        made.after_step(model, 0.5)
        made.after_step(model, 1.0)
        made.averaged(model)
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
