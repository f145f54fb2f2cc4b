"""What a history keeps up at every event is what a walk over all its trials would find."""

from __future__ import annotations

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import TrialFailed, TrialFinished, TrialRefused, TrialStarted, TrialStopped
from seedbed.core.search.history import History
from seedbed.core.search.tally import kin_of

POINTS = [{"architecture": a, "policy": p} for a in "xy" for p in ("probe", "scratch")]


def started(number, point, role="candidate"):
    return TrialStarted(trial=number, candidate=Candidate(point), fidelity=Fidelity(epochs=1), role=role)


def ended(number, how):
    return {
        "finished": TrialFinished(trial=number, score=0.5, seconds=1, epochs=1, steps=1, row_seconds=number / 100),
        "stopped": TrialStopped(trial=number, reason="weak"),
        "cut short": TrialStopped(trial=number, reason="the run ended", resumable=True),
        "refused": TrialRefused(trial=number, reason="too large"),
        "failed": TrialFailed(trial=number, error="no"),
        "running": None,
    }[how]


HOWS = ("finished", "stopped", "cut short", "refused", "failed", "running")
TRIALS = st.lists(
    st.tuples(st.sampled_from(POINTS), st.sampled_from(HOWS), st.sampled_from(["candidate", "candidate", "baseline"])),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(TRIALS)
def test_what_is_kept_up_is_what_a_walk_finds(trials):
    history = History()
    for number, (point, how, role) in enumerate(trials):
        history.apply(started(number, point, role))
        if (event := ended(number, how)) is not None:
            history.apply(event)
    told = list(history)
    assert history.next_number == len(trials)
    assert history.running == [each for each in told if not each.is_finished]
    assert history.scored == [each for each in told if each.has_result]
    for point in POINTS:
        assert history.tried(point) == any(t.candidate.values == point and not t.resumable for t in told)
        alike = [t for t in told if t.result is not None and kin_of(t.candidate.values) == kin_of(point)]
        assert history.alike(point) == alike
    rows = sorted(t.result.row_seconds for t in told if t.result is not None and t.role == "candidate")
    assert list(history.tally.slowest) == rows[-2:]
    last = {repr(t.candidate.values): t.number for t in told if t.role == "candidate"}
    counted = [
        t
        for t in told
        if t.role == "candidate"
        and not t.resumable
        and not (t.status == "stopped" and last[repr(t.candidate.values)] > t.number)
    ]
    assert history.tally.candidates == len(counted)


def test_a_mean_of_weights_is_no_try_of_the_search():
    history = History()
    for number in range(2):
        history.apply(started(number, POINTS[0]))
        history.apply(ended(number, "finished"))
    before = copy.deepcopy(history.tally)
    values = Candidate(POINTS[0])
    history.apply(TrialStarted(trial=2, candidate=values, fidelity=Fidelity(epochs=1), ingredients=(0, 1)))
    assert history.next_number == 3
    assert list(history.tally.running) == [2]
    history.apply(TrialFinished(trial=2, score=0.9, seconds=1, epochs=0, steps=0))
    assert history.tally.scored == {0, 1, 2}
    for name in ("candidates", "best", "since_best", "points", "finished", "latest", "slowest"):
        assert getattr(history.tally, name) == getattr(before, name), name
