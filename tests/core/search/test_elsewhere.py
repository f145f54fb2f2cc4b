from dataclasses import replace

import pytest
from fake_study import BASELINE, Counting, Scene, finished, look, obeys

from seedbed.core.search.budget import Budget
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.elsewhere import Ways, was_told
from seedbed.core.search.events import TrialBilled, TrialPlaced, TrialStarted, TrialStopped
from seedbed.core.search.history import History
from seedbed.core.search.planned import Planned


@pytest.fixture
def scene(tmp_path):
    return lambda **parts: Scene(tmp_path, **parts)


def began(number=0, places=(("job-0", 1),)):
    start = TrialStarted(trial=number, candidate=Candidate({"n": number}), fidelity=Fidelity(epochs=5))
    return [start, *(TrialPlaced(trial=number, place=place, attempt=attempt) for place, attempt in places)]


class Job:
    trial = 0


def at(progress, score=0.5):
    return replace(look(Job, score), progress=progress, epoch=10 * progress)


def test_a_backend_without_a_word_of_it_runs_jobs_here():
    ways = Ways(object())
    assert (ways.joins, ways.is_late, ways.hosts, ways.delay(), ways.gpus) == (False, False, False, 0.0, 1)


def test_a_look_is_told_once_though_the_log_is_read_from_its_beginning():
    trial = History([*began(), at(0.2), at(0.4)]).trials[0]
    assert was_told(at(0.2), trial)
    assert was_told(at(0.4, score=0.9), trial)  # done again after its machine was lost
    assert not was_told(at(0.5), trial)
    assert was_told(TrialPlaced(trial=0, place="job-0", attempt=1), trial)
    assert not was_told(TrialPlaced(trial=0, place="job-0", attempt=2), trial)
    assert not was_told(finished(Job), trial)


def test_looks_of_a_trial_that_runs_here_are_never_dropped():
    trial = History([*began(places=()), at(0.4)]).trials[0]
    assert not was_told(at(0.2), trial)


def test_a_trial_is_billed_once_for_each_place():
    bills = [TrialBilled(trial=0, seconds=s, place=p) for s, p in ((30.0, "job-0"), (31.0, "job-0"), (7.0, "job-0-2"))]
    assert History([*began(), *bills]).trials[0].billed_seconds == 38.0
    assert History(began()).trials[0].billed_seconds is None


def test_where_a_trial_runs_does_not_move_a_plan():
    here, there = Planned(4), Planned(4)
    for event in began(places=()):
        here.take(event)
    for event in [*began(), TrialBilled(trial=0, seconds=1.0, place="job-0")]:
        there.take(event)
    assert here.history.trials == there.history.trials


def test_a_trial_that_was_under_way_is_joined_and_what_was_told_is_dropped(scene):
    def goes_on(job, is_stopped):
        yield from (at(0.2), at(0.4), at(0.6), finished(job, 0.7))

    found = scene(budget=Budget(trials=1), script=goes_on, history=History([*began(), at(0.2), at(0.4)]))
    found.backend.joins = True
    found.run()
    assert [(job.trial, job.candidate.values) for job in found.backend.jobs] == [(0, {"n": 0})]
    assert [each.progress for each in found.history.trials[0].curve] == [0.2, 0.4, 0.6]
    assert found.history.trials[0].score == 0.7


def test_an_interrupted_study_leaves_what_can_be_joined_open(scene):
    found = scene(budget=Budget(trials=9), script=obeys, slots=2)
    found.backend.joins = True
    found.cancel_at = 3
    assert found.run() == "interrupted"
    assert found.backend.stopped == []
    assert [trial.status for trial in found.history] == ["running", "running"]


def test_files_that_come_late_make_no_bundle_of_a_look(scene):
    def is_pruned(job, is_stopped):
        yield look(job)
        yield TrialStopped(trial=job.trial, reason="asked to")

    found = scene(budget=Budget(trials=1), script=is_pruned)
    found.backend.late = True
    results = []
    found.study.on_result = lambda number: results.append(found.history.trials[number].status)
    found.run()
    assert results == ["stopped"]


@pytest.mark.parametrize(("seconds", "started"), [(90.0, 1), (70.4, 0)])
def test_a_candidate_begins_only_if_its_machine_is_there_in_time(scene, seconds, started):
    strategy = Counting(count=1)
    found = scene(budget=Budget(seconds=seconds), strategy=strategy, baselines=(BASELINE,))
    found.backend.delay = lambda: 68.0
    found.run()
    assert len(found.backend.jobs) == 1 + started  # the baseline does not wait for a machine
    if started:
        assert strategy.left[0].seconds == pytest.approx(90.0 - 2.0 - 68.0)
        assert found.backend.jobs[1].fidelity.seconds == pytest.approx(90.0 - 2.0 - 68.0)
