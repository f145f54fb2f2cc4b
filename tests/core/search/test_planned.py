"""A plan in work units knows the same at the same proposal, however its trials come in."""

from __future__ import annotations

import random

import pytest
from core.search.fake_study import PROFILE

from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import DataDescribed, EpochFinished, TrialFinished, TrialStarted, TrialStopped
from seedbed.core.search.planned import Planned


def started(number):
    return TrialStarted(trial=number, candidate=Candidate({"n": number}), fidelity=Fidelity(epochs=1), at=number)


def story(number, seconds=1.0):
    look = EpochFinished(
        trial=number,
        epoch=1,
        progress=0.5,
        train_loss=0.1,
        valid_loss=0.1,
        score=number / 10,
        seconds=seconds,
        is_best=True,
        at=seconds,
    )
    end = TrialFinished(
        trial=number, score=number / 10, seconds=seconds, epochs=1, steps=1, row_seconds=seconds, at=seconds
    )
    return [look, end]


def test_a_proposal_knows_the_results_that_lie_far_enough_back_and_no_others():
    plan = Planned(ahead=2)
    plan.take(DataDescribed(profile=PROFILE))
    for number in range(3):
        assert plan.is_ready(number)
        plan.take(started(number))
        for event in story(number):
            plan.take(event)
    assert plan.is_ready(3)
    assert [trial.status for trial in plan.history] == ["finished", "finished", "running"]
    assert plan.history.tally.best == 0.1


def test_a_proposal_waits_for_what_it_has_to_know():
    plan = Planned(ahead=2)
    for number in range(2):
        assert plan.is_ready(number)
        plan.take(started(number))
    for event in story(1):
        plan.take(event)
    assert not plan.is_ready(2)
    for event in story(0):
        plan.take(event)
    assert plan.is_ready(2)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_known_does_not_depend_on_the_order_or_the_pace_of_the_trials(seed):
    rng = random.Random(seed)
    told = [(number, event) for number in range(4) for event in story(number, rng.uniform(1, 9))]
    order = sorted(told, key=lambda each: (rng.random() if each[0] else 0, told.index(each)))
    by_trial = {number: iter(story(number, rng.uniform(1, 9))) for number in range(4)}
    one, other = Planned(ahead=4), Planned(ahead=4)
    for plan in (one, other):
        for number in range(4):
            assert plan.is_ready(number)
            plan.take(started(number))
    for _, event in told:
        one.take(event)
    for number, _ in order:  # another order, but of each trial its own
        other.take(next(by_trial[number]))
    for plan in (one, other):
        assert plan.is_ready(6)
    assert vars(one.history) == vars(other.history)
    assert one.history.seconds == 0.0


def test_a_trial_that_the_end_of_the_run_cut_short_comes_again_at_once():
    plan = Planned(ahead=4)
    plan.take(started(0))
    assert plan.history.tried({"n": 0})
    plan.take(TrialStopped(trial=0, reason="the run ended while it was training", resumable=True))
    assert not plan.history.tried({"n": 0})
    assert plan.is_ready(1)


def test_when_nothing_runs_all_may_be_made_known():
    plan = Planned(ahead=4)
    for number in range(3):
        assert plan.is_ready(number)
        plan.take(started(number))
        for event in story(number):
            plan.take(event)
    assert plan.tell_all()
    assert [trial.status for trial in plan.history] == ["finished"] * 3
    assert not plan.tell_all()


def test_what_comes_twice_or_of_no_trial_holds_nothing_up():
    plan = Planned(ahead=1)
    plan.take(started(0))
    for event in (*story(0), *story(7)):
        plan.take(event)
    assert plan.is_ready(1)
    plan.take(story(0)[1])
    assert plan.is_ready(2)
    assert len(plan.history) == 1
