"""One trial over two real processes on this machine's processor, and what becomes of it when one of them dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import psutil
import pytest
from core.training.helpers import looks, make_data, trial_job

from seedbed.api import open_registry
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import TERMINAL, TrialFailed, TrialFinished, TrialStopped
from seedbed.core.training.desk import Desk
from seedbed.core.training.evaluate import never
from seedbed.core.training.launch import cause
from seedbed.core.work import run

NET = {
    "architecture": "mlp",
    "architecture.mlp.layers": "256-256",
    "architecture.mlp.hidden_dropout": 0.0,
    "architecture.mlp.input_dropout": 0.0,
    "policy": "scratch",
    "optimizer": "sgd",
    "optimizer.sgd.lr": 0.05,
    "schedule": "one_cycle",
    "batch_size": 15,
}
VERSIONS = {"architecture:mlp": 1, "optimizer:sgd": 1, "schedule:one_cycle": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=90)


@pytest.fixture(scope="module")
def desk():
    return Desk(open_registry(()))


@pytest.fixture
def job(made, tmp_path):
    def make(processes=2, **changes):
        found = trial_job(made, tmp_path / f"{processes}", fidelity=Fidelity(epochs=12))
        candidate = Candidate(NET, VERSIONS)
        return replace(found, candidate=candidate, processes=processes, threads=2, **changes)

    return make


def events_of(job, desk, on_event=lambda event: None, should_stop=never):
    events = []

    def emit(event):
        events.append(event)
        on_event(event)

    run(job, emit, should_stop, desk)
    return events


def test_two_processes_learn_what_one_learns_and_one_of_them_speaks(job, desk):
    alone, together = (events_of(job(processes), desk) for processes in (1, 2))
    assert isinstance(together[-1], TrialFinished), together[-1]
    assert [type(each) for each in together] == [type(each) for each in alone]
    expected, found = looks(alone), looks(together)
    assert len(found) >= 5
    assert [each.epoch for each in found] == [each.epoch for each in expected]
    assert [each.train_loss for each in found] == pytest.approx([each.train_loss for each in expected], rel=2e-3)
    assert [each.valid_loss for each in found] == pytest.approx([each.valid_loss for each in expected], rel=2e-3)
    assert expected[-1].train_loss < 0.7 * expected[0].train_loss
    assert together[-1].score == alone[-1].score
    assert together[-1].steps == alone[-1].steps


def ranks(job):
    """Return the processes of a trial by their rank."""
    file = str(Path(job.folder) / "processes" / "job.json")
    found = {}
    for each in psutil.Process().children(recursive=True):
        try:
            if file in each.cmdline() and "seedbed.worker" in each.cmdline() and "LOCAL_RANK" in each.environ():
                found[int(each.environ()["LOCAL_RANK"])] = each
        except psutil.Error:
            continue
    return found


LONG = Fidelity(epochs=2000)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_is_killed_ends_the_trial_with_an_event_and_the_others(job, desk, victim):
    given = job(fidelity=LONG)
    living = {}

    def kill(event):
        if not living and looks([event]):
            living.update(ranks(given))
            living[victim].kill()

    events = events_of(given, desk, kill)
    assert isinstance(events[-1], TrialFailed), events[-1]
    assert events[-1].error == f"process {victim} of the trial was killed by SIGKILL"
    assert sum(isinstance(each, TERMINAL) for each in events) == 1
    assert set(living) == {0, 1}
    assert not psutil.wait_procs(living.values(), 10.0)[1]


def test_a_stop_reaches_the_process_that_leads_and_ends_all(job, desk):
    given, asked, living = job(fidelity=LONG), threading.Event(), {}

    def ask(event):
        if looks([event]) and not asked.is_set():
            living.update(ranks(given))
            asked.set()

    events = events_of(given, desk, ask, asked.is_set)
    assert isinstance(events[-1], TrialStopped), events[-1]
    assert len(living) == 2
    assert not psutil.wait_procs(living.values(), 10.0)[1]
    assert not (Path(given.folder) / "processes").exists()


def test_a_time_limit_is_kept_by_the_clock_of_one(job, desk):
    began = time.monotonic()
    events = events_of(job(fidelity=Fidelity(seconds=25.0)), desk)
    assert isinstance(events[-1], TrialFinished), events[-1]
    assert time.monotonic() - began < 60.0
    assert events[-1].steps > 0


def test_processes_end_with_the_one_that_started_them(job, desk, tmp_path):
    """What starts them is a process of its own here, and is killed as an out-of-memory killer would."""
    given = job(fidelity=LONG)
    (tmp_path / "job.json").write_bytes(msgspec.json.encode(given))
    script = (
        "import sys, msgspec\n"
        "from seedbed.api import open_registry\nfrom seedbed.core.search.candidate import TrialJob\n"
        "from seedbed.core.training.desk import Desk\nfrom seedbed.core.work import run\n"
        "job = msgspec.json.decode(open(sys.argv[1], 'rb').read(), type=TrialJob)\n"
        "run(job, lambda event: print(type(event).__name__, flush=True), lambda: False, Desk(open_registry(())))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "job.json")], stdout=subprocess.PIPE)
    for line in child.stdout:
        if line.strip() == b"EpochFinished":
            break
    living = ranks(given)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert len(living) == 2
    assert not psutil.wait_procs(living.values(), 20.0)[1]


def test_what_torchrun_says_of_a_signal_is_read_and_an_error_is_left_to_who_raised_it():
    told = "Root Cause (first observed failure):\n[0]:\n  rank      : 1 (local_rank: 1)\n  exitcode  : {} (pid: 5)\n"
    assert cause(told.format(-11)) == "process 1 of the trial was killed by SIGSEGV"
    assert cause(told.format(1)) is None
    assert cause("nothing") is None
