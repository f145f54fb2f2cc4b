from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.plugins.schedules import ConstantOptions, CosineOptions, LinearOptions, OneCycleOptions, StepOptions
from seedbed.plugins.schedules.curves import constant, cosine, linear, one_cycle, step

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


@given(warmup=st.floats(0.0, 0.2), floor=st.floats(0.0, 0.1))
def test_linear_rises_shortly_and_falls_to_its_floor_in_a_line(warmup, floor):
    factor = linear(LinearOptions(warmup=warmup, floor=floor))
    assert factor(warmup) == pytest.approx(1.0)
    assert factor(1.0) == pytest.approx(floor)
    for share in (0.25, 0.5, 0.75):
        assert factor(warmup + share * (1 - warmup)) == pytest.approx(1 - share * (1 - floor))


@given(warmup=st.floats(0.0, 0.2), drops=st.integers(1, 4), cut=st.floats(0.05, 0.5))
def test_step_drops_each_time_that_half_of_the_rest_is_over(warmup, drops, cut):
    factor = step(StepOptions(warmup=warmup, drops=drops, factor=cut))
    places = [0.5, 0.75, 0.875, 0.9375][:drops]
    for number, place in enumerate(places):
        assert factor(place - 1e-6) == pytest.approx(cut**number)
        assert factor(place) == pytest.approx(cut ** (number + 1))
    assert factor(1.0) == pytest.approx(cut**drops)
    assert len({round(factor(progress), 12) for progress in _GRID if progress >= warmup}) == drops + 1


@given(warmup=st.floats(0.0, 0.2))
def test_constant_stays_where_it_has_risen_to(warmup):
    factor = constant(ConstantOptions(warmup=warmup))
    assert {factor(progress) for progress in _GRID if progress >= warmup} == {1.0}
    assert all(b > a for a, b in pairwise(factor(progress) for progress in _GRID if progress < warmup))


@given(warmup=_WARMUPS)
def test_the_first_step_is_small_but_not_wasted(warmup):
    short = min(warmup, 0.2)
    for factor in (
        one_cycle(OneCycleOptions(warmup=warmup)),
        cosine(CosineOptions(warmup=short)),
        linear(LinearOptions(warmup=short)),
        step(StepOptions(warmup=short)),
        constant(ConstantOptions(warmup=short)),
    ):
        assert 0.01 < factor(0.0) < 0.1


@pytest.mark.parametrize(
    ("build", "options"),
    [(cosine, CosineOptions), (linear, LinearOptions), (step, StepOptions), (constant, ConstantOptions)],
)
def test_without_a_warm_up_it_starts_at_its_peak(build, options):
    assert build(options(warmup=0.0))(0.0) == 1.0


@pytest.mark.parametrize(
    ("build", "options"),
    [(one_cycle, OneCycleOptions), (cosine, CosineOptions), (linear, LinearOptions), (constant, ConstantOptions)],
)
def test_curves_have_no_jumps(build, options):
    factor = build(options())
    assert all(abs(factor(b) - factor(a)) < 0.021 for a, b in pairwise(_GRID))
