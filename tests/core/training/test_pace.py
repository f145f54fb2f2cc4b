import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.training.decisions import Decisions
from seedbed.core.training.pace import Pace

_SECONDS = st.floats(0.05, 5.0)


def _run(pace, step_seconds, *, every=1, reserved=0.0, limit=100_000):
    """Step until the pace is over; `step_seconds(n)` is the true time of the step after n. Return now and progress."""
    now, seen = 0.0, [pace.progress]
    while not pace.is_over and pace.steps < limit:
        now += step_seconds(pace.steps)
        pace.advance()
        if pace.steps % every == 0:
            pace.replan(now, step_seconds(pace.steps), reserved)
        seen.append(pace.progress)
    return now, seen


@settings(deadline=None, max_examples=60)
@given(max_steps=st.integers(1, 2000))
def test_without_a_deadline_it_counts_its_steps_and_ends_at_exactly_one(max_steps):
    pace = Pace(max_steps=max_steps)
    _, seen = _run(pace, lambda _: 1e6, limit=2 * max_steps)
    assert pace.progress == 1.0
    assert pace.steps == max_steps
    assert seen[-2] == pytest.approx((max_steps - 1) / max_steps)
    assert pace.decisions.taken() == ()


@settings(deadline=None, max_examples=60)
@given(
    times=st.lists(_SECONDS, min_size=1, max_size=20),
    deadline=st.floats(0.5, 50.0),
    max_steps=st.sampled_from([1, 7, 300, 10**9]),
    reserved=st.floats(0.0, 20.0),
)
def test_progress_only_rises_and_ends_at_exactly_one_whatever_the_clock_does(times, deadline, max_steps, reserved):
    pace = Pace(max_steps=max_steps, deadline=deadline)
    _, seen = _run(pace, lambda step: times[step % len(times)], reserved=reserved)
    assert all(before <= after for before, after in pairwise(seen))
    assert pace.progress == 1.0
    assert pace.steps <= max_steps


@settings(deadline=None, max_examples=60)
@given(times=st.lists(_SECONDS, min_size=1, max_size=20), deadline=st.floats(0.5, 50.0))
def test_it_passes_its_deadline_by_no_more_than_the_first_step(times, deadline):
    """The first step is taken before anything has been measured; every later one was known to fit."""
    pace = Pace(max_steps=10**9, deadline=deadline)
    now, _ = _run(pace, lambda step: times[step % len(times)])
    assert now <= max(deadline, times[0]) + 1e-6


@settings(deadline=None, max_examples=60)
@given(step=st.floats(0.02, 0.5), deadline=st.floats(1.0, 60.0), every=st.integers(1, 20))
def test_it_uses_its_time_with_steady_steps_although_it_plans_only_now_and_then(step, deadline, every):
    pace = Pace(max_steps=10**9, deadline=deadline)
    now, _ = _run(pace, lambda _: step, every=every)
    assert pace.is_over
    assert now <= max(deadline, every * step) + 2 * step
    assert now >= deadline - 2 * step


@settings(deadline=None, max_examples=60)
@given(step=st.floats(0.01, 0.5), deadline=st.floats(20.0, 100.0), reserved=st.floats(0.0, 10.0))
def test_it_keeps_the_reserved_seconds_free(step, deadline, reserved):
    pace = Pace(max_steps=10**9, deadline=deadline)
    now, _ = _run(pace, lambda _: step, reserved=reserved)
    assert now <= deadline - reserved + 1e-6


@settings(deadline=None, max_examples=60)
@given(times=st.lists(_SECONDS, min_size=1, max_size=20), deadline=st.floats(5.0, 100.0))
def test_what_it_wrote_down_repeats_the_progress_of_every_step_without_a_clock(times, deadline):
    pace = Pace(max_steps=10**9, deadline=deadline)
    _, seen = _run(pace, lambda step: times[step % len(times)])
    again = Pace(max_steps=10**9, deadline=math.inf, decisions=Decisions(pace.decisions.taken()))
    assert [again.progress, *_follow(again, pace.steps)] == seen


def _follow(pace, steps):
    for _ in range(steps):
        pace.advance()
        pace.follow()
        yield pace.progress


def test_work_bounds_it_where_time_is_plenty():
    pace = Pace(max_steps=50, deadline=1e6)
    now, _ = _run(pace, lambda _: 0.01)
    assert pace.steps == 50
    assert now == pytest.approx(0.5)


def test_small_changes_of_the_rate_are_not_written_down():
    pace = Pace(max_steps=10**9, deadline=100.0)
    _run(pace, lambda step: 0.1 * (1 + 0.001 * (step % 3)))
    assert len(pace.decisions.taken()) < 40


def test_a_deadline_that_has_passed_ends_it_at_once():
    pace = Pace(max_steps=100, deadline=1.0)
    pace.advance()
    pace.replan(5.0, 0.1, 0.0)
    assert pace.is_over
