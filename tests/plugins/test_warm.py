from __future__ import annotations

import pytest

from seedbed.core.data.profile import Profile
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import DataDescribed, TrialFailed, TrialFinished, TrialStarted
from seedbed.core.search.experience import Cost, PastPoint, Prior
from seedbed.core.search.history import History, Remaining
from seedbed.core.space import Choice, Int, Param, Space
from seedbed.core.task import Task
from seedbed.plugins.strategies.warm import past_seconds, warmed

PROFILE = Profile(
    task=Task(modality="image", kind="classification", classes=("a", "b"), metric="accuracy"),
    examples=9,
    train=7,
    valid=2,
    test=0,
    height=32,
    width=32,
)
SPACE = Space(
    (
        Param("architecture", Choice("net", "other"), "net"),
        Param("policy", Choice("scratch"), "scratch"),
        Param("width", Int(1, 9), 5),
    )
)


def point(width, architecture="net"):
    return {"architecture": architecture, "policy": "scratch", "width": width}


DEFAULTS = [point(1), point(2), point(3)]


def past(*widths, same=False, seconds=10.0):
    return tuple(PastPoint(values=point(width), seconds=seconds, is_same_data=same) for width in widths)


def history(*scores, left=100.0, role="candidate"):
    found = History([DataDescribed(profile=PROFILE)])
    for number, score in enumerate(scores):
        found.apply(TrialStarted(trial=number, candidate=Candidate(point(1)), fidelity=Fidelity(epochs=1), role=role))
        if score is None:
            found.apply(TrialFailed(trial=number, error="no"))
        else:
            found.apply(TrialFinished(trial=number, score=score, seconds=1, epochs=1, steps=1))
    found.remaining = Remaining(seconds=left)
    return found


def widths(points, told, space=SPACE):
    return [each["width"] for each in warmed(DEFAULTS, space, Prior(runs=1, points=points), told)]


def test_without_experience_the_defaults_stay_as_they_are():
    assert widths((), history()) == [1, 2, 3]
    assert widths((), history(0.5)) == [1, 2, 3]


@pytest.mark.parametrize("told", [history(), history(None), history(0.5, role="baseline")])
def test_what_won_on_other_data_waits_for_the_first_result_of_a_candidate(told):
    assert widths(past(7, 8), told) == [1, 2, 3]


def test_what_won_on_other_data_follows_the_first_default():
    assert widths(past(7, 8), history(0.5)) == [1, 7, 8, 2, 3]


def test_no_more_than_three_points_of_other_data_are_tried():
    assert widths(past(4, 5, 6, 7, 8), history(0.5)) == [1, 4, 5, 6, 2, 3]


def test_what_won_on_the_same_data_comes_first_of_all():
    assert widths(past(7, 8, same=True), history()) == [7, 1, 2, 3]
    assert widths((*past(7, same=True), *past(8)), history(0.5)) == [7, 1, 8, 2, 3]


@pytest.mark.parametrize(("left", "expected"), [(4.9, [1, 2, 3]), (5.0, [7, 1, 2, 3]), (None, [7, 1, 2, 3])])
def test_a_past_winner_comes_first_only_where_half_of_the_time_it_took_is_there(left, expected):
    assert widths(past(7, same=True, seconds=10.0), history(left=left)) == expected


def test_nothing_comes_twice():
    assert widths((*past(2, same=True), *past(1, 3)), history(0.5)) == [2, 1, 3]


def test_what_a_resumed_run_no_longer_offers_is_passed_over_or_fitted():
    points = (PastPoint(values=point(7, "gone"), seconds=1.0, is_same_data=True), *past(99))
    assert widths(points, history(0.5)) == [1, 5, 2, 3]
    for each in warmed(DEFAULTS, SPACE, Prior(points=points), history(0.5)):
        SPACE.validate(each)


def test_the_past_cost_is_that_of_the_kin_at_the_candidates_pixels():
    prior = Prior(runs=1, costs=(Cost(architecture="net", policy="scratch", seconds=2.0, resolution=32),))
    assert past_seconds(point(1), 5.0, PROFILE, prior) == 10.0
    assert past_seconds({**point(1), "resolution": 64}, 5.0, PROFILE, prior) == 40.0
    assert past_seconds(point(1, "other"), 5.0, PROFILE, prior) is None
