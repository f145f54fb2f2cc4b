from __future__ import annotations

from dataclasses import replace

import pytest

from seedbed.core.data.profile import Profile
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import TrialFailed, TrialFinished, TrialStarted
from seedbed.core.search.history import History, Remaining
from seedbed.core.task import Task
from seedbed.plugins.strategies.fidelity import affordable, expected_seconds, full_epochs

SCRATCH = {"architecture": "net", "policy": "scratch", "resolution": 32}


def profile(train=1000):
    task = Task(modality="image", kind="classification", classes=("a", "b"), metric="accuracy")
    return Profile(
        task=task, examples=train, train=train, valid=9, test=0, height=32, width=32, channels=1, mean=(0,), std=(1,)
    )


def history(*trials, left=None):
    """`trials` are (values, seconds, epochs)."""
    found = History()
    for number, (values, seconds, epochs) in enumerate(trials):
        found.apply(TrialStarted(trial=number, candidate=Candidate(values), fidelity=Fidelity(epochs=1)))
        found.apply(TrialFinished(trial=number, score=0.5, seconds=seconds, epochs=epochs, steps=1))
    found.remaining = Remaining(seconds=left)
    return found


@pytest.mark.parametrize(
    ("policy", "train", "epochs"),
    [
        ("probe", 10, 1.0),
        ("scratch", 100, 60.0),
        ("scratch", 1_400, 50.0),
        ("scratch", 10**6, 20.0),
        ("head_then_all", 100, 30.0),
        ("full", 2_000, 15.0),
        ("full", 10**6, 8.0),
    ],
)
def test_small_data_is_seen_more_often_within_bounds(policy, train, epochs):
    assert full_epochs({"policy": policy}, profile(train)) == epochs


def test_without_a_time_limit_a_candidate_gets_its_epochs_alone():
    assert affordable(SCRATCH, profile(), history((SCRATCH, 9.0, 1.0))) == Fidelity(epochs=60.0)


def test_the_first_of_its_kind_gets_all_the_time_that_is_left():
    assert affordable(SCRATCH, profile(), history(left=7.0)) == Fidelity(epochs=60.0, seconds=7.0)


def test_a_net_not_seen_before_is_not_tried_in_less_time_than_the_longest_trial_took():
    other = {"architecture": "other", "policy": "scratch"}
    assert affordable(SCRATCH, profile(), history((other, 20.0, 5.0), left=19.0)) is None
    assert affordable(SCRATCH, profile(), history((other, 20.0, 5.0), left=21.0)) is not None


@pytest.mark.parametrize(
    ("left", "seconds"),
    [
        (11.0, None),  # its full cost is 60 s: less than a fifth of that is not worth a start
        (29.0, 29.0),
        (31.0, 31.0),
        (89.0, 89.0),  # what would be left over is of no use to another
        (91.0, 72.0),
        (1000.0, 72.0),
    ],
)
def test_a_candidate_whose_like_was_seen_gets_what_it_needs_or_all_that_is_left(left, seconds):
    found = affordable(SCRATCH, profile(), history((SCRATCH, 10.0, 10.0), left=left))
    assert (found and found.seconds) == (None if seconds is None else pytest.approx(seconds))


def test_where_half_of_it_cannot_be_paid_it_gets_as_many_epochs_as_can_be():
    assert affordable(SCRATCH, profile(), history((SCRATCH, 10.0, 10.0), left=29.0)).epochs == pytest.approx(29.0)
    assert affordable(SCRATCH, profile(), history((SCRATCH, 10.0, 10.0), left=31.0)).epochs == pytest.approx(60.0)


def test_a_probe_may_take_a_quarter_of_what_is_left_whatever_its_likes_took():
    """It ends when it is done; what another took tells little of one at a fourth of the pixels."""
    probe = {"architecture": "net", "policy": "probe", "resolution": 128}
    seen = history((probe, 2.0, 1.0), left=40.0)
    assert affordable({**probe, "resolution": 64}, profile(), seen) == Fidelity(epochs=1.0, seconds=10.0)
    assert affordable(probe, profile(), history((probe, 21.0, 1.0), left=40.0)) is None
    folded = replace(profile(), folds=5)
    assert affordable(probe, folded, seen) == Fidelity(epochs=1.0, seconds=20.0)


def test_only_the_same_net_and_policy_tell_what_a_candidate_costs():
    others = [({**SCRATCH, key: "other"}, 10.0, 10.0) for key in ("architecture", "policy")]
    assert expected_seconds(SCRATCH, 50.0, history(*others)) is None


def test_the_cost_is_the_median_of_its_likes():
    trials = [(SCRATCH, seconds, 10.0) for seconds in (10.0, 20.0, 90.0)]
    assert expected_seconds(SCRATCH, 50.0, history(*trials)) == pytest.approx(100.0)


def test_the_cost_grows_with_the_pixels():
    seen = history((SCRATCH, 10.0, 10.0))
    assert expected_seconds({**SCRATCH, "resolution": 64}, 50.0, seen) == pytest.approx(200.0)


def test_a_failed_trial_tells_nothing_of_the_cost():
    found = history()
    found.apply(TrialStarted(trial=0, candidate=Candidate(SCRATCH), fidelity=Fidelity(epochs=1)))
    found.apply(TrialFailed(trial=0, error="boom"))
    assert expected_seconds(SCRATCH, 50.0, found) is None
