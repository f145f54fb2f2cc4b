from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.errors import UsageError
from seedbed.core.search.budget import Budget, count_trials, reserve_for, scoring_seconds
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import DataDescribed, TrialFailed, TrialFinished, TrialStarted, TrialStopped
from seedbed.core.search.history import History, Remaining
from seedbed.registry.conformance.samples import profile_of


def started(trial, name, role="candidate"):
    return TrialStarted(trial=trial, candidate=Candidate({"a": name}), fidelity=Fidelity(epochs=1), role=role)


def finished(trial):
    return TrialFinished(trial=trial, score=0.5, seconds=1, epochs=1, steps=1)


def test_time_counts_from_the_beginning_and_the_ending_is_kept_back():
    budget = Budget(seconds=60, reserve=5)
    assert budget.remaining(History(), 0.0) == Remaining(seconds=55)
    assert budget.remaining(History(), 20.0) == Remaining(seconds=35)
    assert not budget.is_spent(History(), 54.9)
    assert budget.is_spent(History(), 55.0)
    assert budget.remaining(History(), 70.0) == Remaining(seconds=0)


def test_without_a_limit_nothing_is_ever_spent():
    assert Budget().remaining(History([started(0, "x")]), 1e9) == Remaining()
    assert not Budget().is_spent(History(), 1e9)


def test_either_limit_ends_the_search():
    budget = Budget(seconds=60, trials=1)
    assert not budget.is_spent(History(), 1.0)
    assert budget.is_spent(History([started(0, "x")]), 1.0)
    assert budget.is_spent(History(), 60.0)


def test_failed_and_running_trials_count_and_baselines_do_not():
    history = History(
        [
            started(0, "majority", role="baseline"),
            started(1, "x"),
            TrialFailed(trial=1, error="no"),
            started(2, "y"),
            started(3, "z"),
            finished(3),
        ]
    )
    assert count_trials(history) == 3
    assert Budget(trials=5).remaining(history, 0.0) == Remaining(trials=2)


def test_a_stopped_trial_that_came_again_counts_once():
    events = [started(0, "x"), TrialStopped(trial=0, reason="weak"), started(1, "y")]
    assert count_trials(History(events)) == 2
    assert count_trials(History([*events, started(2, "x")])) == 2


def test_a_finished_trial_that_came_again_counts_twice():
    assert count_trials(History([started(0, "x"), finished(0), started(1, "x")])) == 2


@given(st.floats(0.1, 1e6), st.floats(0, 1e3))
def test_a_reserve_leaves_at_least_half_for_trials(seconds, test_seconds):
    reserve = reserve_for(seconds, test_seconds)
    assert min(1.5, seconds / 2) <= reserve <= seconds / 2
    assert not Budget(seconds=seconds, reserve=reserve).is_spent(History(), 0.0)


def test_a_reserve_is_a_share_of_the_time_and_the_test_part():
    assert reserve_for(None) == 0.0
    assert reserve_for(20.0) == 1.5
    assert reserve_for(300.0) == pytest.approx(9.0)
    assert reserve_for(300.0, test_seconds=4.0) == pytest.approx(13.0)


@pytest.mark.parametrize("wrong", [{"seconds": 0.0}, {"seconds": float("nan")}, {"trials": 0}, {"reserve": -1.0}])
def test_a_budget_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(UsageError):
        Budget(**wrong)


def test_time_is_kept_to_score_the_two_slowest_models_on_the_test_part():
    history = History([DataDescribed(profile=replace(profile_of(), test=1000))])
    assert scoring_seconds(history) == 0
    for number, row_seconds in enumerate((0.004, 0.001, 0.002)):
        history.apply(TrialStarted(trial=number, candidate=Candidate({"n": number}), fidelity=Fidelity(epochs=1)))
        history.apply(TrialFinished(trial=number, score=0.5, seconds=1.0, epochs=1.0, steps=1, row_seconds=row_seconds))
    assert scoring_seconds(history) == pytest.approx(1.3 * 6.0)
    assert Budget(seconds=60, reserve=2).remaining(history, 10.0).seconds == pytest.approx(60 - 2 - 7.8 - 10)
