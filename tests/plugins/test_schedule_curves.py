from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.plugins.schedules import CosineOptions, OneCycleOptions
from seedbed.plugins.schedules.curves import cosine, one_cycle

_GRID = [step / 1000 for step in range(1001)]
_WARMUPS = st.floats(0.05, 0.4)


@given(warmup=_WARMUPS)
def test_one_cycle_rises_to_its_peak_in_a_line_and_falls_to_zero_in_another(warmup):
    factor = one_cycle(OneCycleOptions(warmup=warmup))
    assert factor(warmup) == pytest.approx(1.0)
    assert factor(1.0) == 0.0
    assert factor((1 + warmup) / 2) == pytest.approx(0.5)
    values = [(progress, factor(progress)) for progress in _GRID]
    assert all(b > a for (_, a), (at, b) in pairwise(values) if at < warmup)
    assert all(b < a for (at, a), (_, b) in pairwise(values) if at > warmup)


@given(warmup=st.floats(0.0, 0.2), floor=st.floats(0.0, 0.1))
def test_cosine_rises_shortly_and_falls_to_its_floor(warmup, floor):
    factor = cosine(CosineOptions(warmup=warmup, floor=floor))
    assert factor(warmup) == pytest.approx(1.0)
    assert factor(1.0) == pytest.approx(floor)
    assert factor((1 + warmup) / 2) == pytest.approx((1 + floor) / 2)
    values = [(progress, factor(progress)) for progress in _GRID]
    assert all(b <= a for (at, a), (_, b) in pairwise(values) if at > warmup)


@given(warmup=_WARMUPS)
def test_the_first_step_is_small_but_not_wasted(warmup):
    for factor in (one_cycle(OneCycleOptions(warmup=warmup)), cosine(CosineOptions(warmup=min(warmup, 0.2)))):
        assert 0.01 < factor(0.0) < 0.1


def test_without_a_warm_up_cosine_starts_at_its_peak():
    assert cosine(CosineOptions(warmup=0.0))(0.0) == 1.0


@pytest.mark.parametrize("build", [one_cycle, cosine])
def test_curves_have_no_jumps(build):
    factor = build({one_cycle: OneCycleOptions, cosine: CosineOptions}[build]())
    assert all(abs(factor(b) - factor(a)) < 0.021 for a, b in pairwise(_GRID))
