import os
import threading
import time
from pathlib import Path

import pytest
from fake_runners import evaluation_job, trial_job

from seedbed.core.protocols import Workplace
from seedbed.core.search.events import (
    TERMINAL,
    EpochFinished,
    EvaluationFailed,
    TrialFailed,
    TrialFinished,
    TrialStopped,
)
from seedbed.plugins.backends import InlineOptions
from seedbed.plugins.backends.inline import InlineBackend


@pytest.fixture
def inline():
    def make(*, runner="fake_runners:run", patience=5.0):
        place = Workplace(folder=Path("unused"), lookup=None)
        return InlineBackend(InlineOptions(runner=runner, patience=patience), place)

    return make


def events_of(backend, job):
    backend.submit(job)
    events, deadline = [], time.monotonic() + 10
    while not (events and isinstance(events[-1], TERMINAL)):
        assert time.monotonic() < deadline
        events += backend.poll(1.0)
    return events


def test_jobs_run_in_this_process_one_at_a_time(inline):
    with inline() as backend:
        assert backend.idle()
        assert backend.free_slots() == 1
        backend.submit(trial_job(0, "obey"))
        assert backend.free_slots() == 0
        assert not backend.idle()
        with pytest.raises(RuntimeError, match="free_slots"):
            backend.submit(trial_job(1, "finish"))
        backend.stop(0)
        events = []
        while not backend.idle():
            events += backend.poll(1.0)
        assert [type(each) for each in events] == [EpochFinished, TrialStopped]
        assert events_of(backend, trial_job(1, "finish"))[-1].notes == (str(os.getpid()),)


def test_a_stop_for_another_trial_stops_nothing(inline):
    with inline() as backend:
        backend.submit(trial_job(3, "obey"))
        backend.stop(2)
        assert [type(each) for each in backend.poll(0.3)] == [EpochFinished]
        assert backend.poll(0.1) == []


@pytest.mark.parametrize("do", ["raise_error", "raise_exit", "say_nothing", "report_nan"])
def test_whatever_a_job_does_it_ends_once_and_the_next_one_runs(inline, do):
    with inline() as backend:
        (event,) = events_of(backend, trial_job(0, do))
        assert isinstance(event, TrialFailed)
        assert event.traceback
        assert isinstance(events_of(backend, trial_job(1, "finish"))[-1], TrialFinished)


def test_events_after_the_end_are_dropped(inline):
    with inline() as backend:
        events = events_of(backend, trial_job(0, "finish_twice"))
        events += events_of(backend, trial_job(1, "finish"))
    assert [type(each) for each in events] == [TrialFinished, EpochFinished, TrialFinished]


def test_an_evaluation_that_raises_fails_as_one(inline):
    with inline() as backend:
        (event,) = events_of(backend, evaluation_job("raise_error"))
    assert isinstance(event, EvaluationFailed)


def test_a_runner_that_cannot_be_imported_fails_the_job(inline):
    with inline(runner="no_such_module:run") as backend:
        (event,) = events_of(backend, trial_job(0, "finish"))
    assert "no_such_module" in event.error


def test_leaving_stops_a_running_job(inline):
    before = threading.active_count()
    with inline() as backend:
        backend.submit(trial_job(0, "obey"))
    assert threading.active_count() == before


def test_leaving_waits_no_longer_than_the_patience(inline, monkeypatch, caplog):
    release = threading.Event()
    monkeypatch.setattr("fake_runners.hang", lambda *_: release.wait(10))
    began = time.monotonic()
    with inline(patience=0.1) as backend:
        backend.submit(trial_job(0, "hang"))
    assert time.monotonic() - began < 2
    assert "left behind" in caplog.text
    release.set()
