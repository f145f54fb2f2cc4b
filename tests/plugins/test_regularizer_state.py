"""Averages that are put down in the middle of a training and taken up by a new object."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seedbed.plugins.regularizers.averages import Ema, Swa

_STEPS = 12


def _walk(model, regularizer, steps):
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        with torch.no_grad():
            for each in model.parameters():
                each.copy_(torch.randn(each.shape, generator=generator))
        regularizer.after_step(model, (step + 1) / _STEPS)


@pytest.mark.parametrize("stop", [0, 1, 5, 11])
@pytest.mark.parametrize("make", [lambda: Ema(0.3), lambda: Swa(0.25)], ids=["ema", "swa"])
def test_an_average_that_is_taken_up_again_ends_bit_equal(make, stop):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    whole, first, second = make(), make(), make()
    _walk(model, whole, range(_STEPS))
    expected = whole.averaged(model)
    _walk(model, first, range(stop))
    second.restore(first.state())
    _walk(model, second, range(stop, _STEPS))
    found = second.averaged(model)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("make", [lambda: Ema(0.3), lambda: Swa(0.0)], ids=["ema", "swa"])
def test_what_was_put_down_does_not_change_with_what_goes_on(make):
    model, regularizer = nn.Linear(3, 2), make()
    _walk(model, regularizer, range(3))
    state = regularizer.state()
    before = {name: each.clone() for name, each in state.items()}
    _walk(model, regularizer, range(3, 9))
    assert all(torch.equal(state[name], before[name]) for name in before)
