"""How the best score of a run rose."""

from __future__ import annotations

from seedbed.core.data.profile import Profile
from seedbed.core.results.progress import progress_of
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import (
    DataDescribed,
    EpochFinished,
    RunFinished,
    RunStarted,
    TrialFailed,
    TrialFinished,
    TrialStarted,
    TrialStopped,
)
from seedbed.core.search.history import History
from seedbed.core.task import Task


def run(*events, seconds=None, direction="max"):
    task = Task(modality="image", kind="classification", metric="m", direction=direction, classes=("a", "b"))
    described = DataDescribed(profile=Profile(task=task, examples=9, train=5, valid=2, test=2))
    return History([RunStarted(version="0", source="s", seed=0, budget_seconds=seconds), described, *events])


def started(number, at=0.0, role="candidate", **values):
    candidate = Candidate({"n": number, **values})
    return TrialStarted(trial=number, candidate=candidate, fidelity=Fidelity(epochs=1), role=role, at=at)


def look(number, score, at, progress=0.5):
    return EpochFinished(
        trial=number,
        epoch=1,
        progress=progress,
        train_loss=None,
        valid_loss=None,
        score=score,
        seconds=1,
        is_best=True,
        at=at,
    )


def finished(number, score, at=0.0):
    return TrialFinished(trial=number, score=score, seconds=1, epochs=1, steps=1, at=at)


def test_without_a_limit_the_best_goes_by_the_candidates_tried():
    found = progress_of(
        run(*(each for n, score in enumerate((0.5, 0.7, 0.6)) for each in (started(n), finished(n, score))))
    )
    assert (found.unit, found.spent, found.best, found.budget) == ("trials", (1, 2, 3), (0.5, 0.7, 0.7), 3)


def test_the_order_in_which_workers_finish_changes_nothing():
    begun = [started(n) for n in range(3)]
    ends = [finished(n, score) for n, score in enumerate((0.5, 0.7, 0.6))]
    assert progress_of(run(*begun, *ends)) == progress_of(run(*begun, *reversed(ends)))


def test_a_failed_candidate_was_tried_a_baseline_and_what_comes_again_were_not():
    found = progress_of(
        run(
            started(0, role="baseline"),
            finished(0, 0.4),
            started(1),
            TrialFailed(trial=1, error="e"),
            started(2),
            finished(2, 0.6),
            started(3),
            TrialStopped(trial=3, reason="the run's end", resumable=True),
        )
    )
    assert (found.spent, found.best) == ((1, 2), (0.4, 0.6))


def test_a_candidate_begun_again_to_go_further_is_one_try_together():
    again = TrialStarted(trial=1, candidate=Candidate({"n": 0}), fidelity=Fidelity(epochs=2))
    found = progress_of(run(started(0), finished(0, 0.5), again, finished(1, 0.8)))
    assert (found.spent, found.best) == ((1,), (0.8,))


def test_with_a_limit_the_best_goes_by_the_seconds_since_the_first_trial():
    found = progress_of(
        run(
            started(0, at=2.0),
            look(0, 0.5, at=4.0, progress=0.25),
            look(0, 0.6, at=10.0, progress=1.0),
            finished(0, 0.6, at=11.0),
            RunFinished(reason="time", seconds=19.0, at=19.0),
            seconds=20.0,
        )
    )
    assert (found.unit, found.spent, found.best) == ("seconds", (2.0, 8.0, 9.0), (0.5, 0.6, 0.6))
    assert found.to_come == (0.75, 0.0, 0.0)
    assert found.budget == 20.0


def test_a_run_that_ended_early_is_measured_by_what_it_used():
    assert progress_of(run(started(0), finished(0, 0.6, at=5.0), seconds=100.0)).budget == 5.0


def test_looks_count_for_no_more_than_what_the_trial_was_judged_by():
    found = progress_of(run(started(0), look(0, 0.9, at=1.0), finished(0, 0.8, at=2.0), seconds=2.0))
    assert found.best == (0.8, 0.8)


def test_where_less_is_better_the_best_falls():
    events = (started(0), finished(0, 0.5), started(1), finished(1, 0.3), started(2), finished(2, 0.4))
    assert progress_of(run(*events, direction="min")).best == (0.5, 0.3, 0.3)


def test_nothing_scored_is_no_progress():
    assert progress_of(run(started(0), TrialFailed(trial=0, error="e"))) is None
    assert progress_of(History()) is None
