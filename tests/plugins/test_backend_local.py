import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from fake_runners import evaluation_job, trial_job

from seedbed.core.errors import PluginError
from seedbed.core.protocols import Workplace
from seedbed.core.search.events import (
    TERMINAL,
    EpochFinished,
    EvaluationFailed,
    TrialFailed,
    TrialFinished,
    TrialStopped,
)
from seedbed.plugins.backends import LocalOptions, processes
from seedbed.plugins.backends.local import LocalBackend

RUNNER = "fake_runners:run"


@pytest.fixture
def local(tmp_path, monkeypatch):
    """Makes backends whose workers find the fake runners."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))

    def make(*, workers=1, threads=0, runner=RUNNER, **options):
        place = Workplace(folder=tmp_path, lookup=None, workers=workers, threads=threads)
        return LocalBackend(LocalOptions(runner=runner, **options), place)

    return make


def ends(backend, count=1, limit=20.0):
    """Poll until so many jobs have ended; return their terminal events and all others."""
    last, others, deadline = [], [], time.monotonic() + limit
    while len(last) < count and time.monotonic() < deadline:
        for event in backend.poll(1.0):
            (last if isinstance(event, TERMINAL) else others).append(event)
    assert len(last) == count, f"{len(last)} of {count} jobs ended within {limit} s: {last}"
    return last, others


def end_of(backend, job):
    backend.submit(job)
    return ends(backend)[0][0]


def started(backend):
    """Wait for the first event of a job that then goes on."""
    deadline = time.monotonic() + 20
    while not (events := backend.poll(1.0)):
        assert time.monotonic() < deadline
    assert isinstance(events[0], EpochFinished)


def vanishes(pid, limit=5.0):
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def pid_in(file, limit=10.0):
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if file.exists() and (text := file.read_text()):
            return int(text)
        time.sleep(0.02)
    raise AssertionError(f"{file} was never written")


def test_a_worker_stays_warm_between_jobs(local):
    with local() as backend:
        assert backend.free_slots() == 1
        backend.submit(trial_job(0, "finish"))
        assert backend.free_slots() == 0
        assert not backend.idle()
        (first,), others = ends(backend)
        assert [type(each) for each in others] == [EpochFinished]
        assert backend.idle()
        assert backend.free_slots() == 1
        second = end_of(backend, trial_job(1, "finish"))
    assert (first.trial, second.trial) == (0, 1)
    assert first.notes == second.notes != (str(os.getpid()),)


def test_two_workers_work_at_the_same_time(local, tmp_path):
    (tmp_path / "met").mkdir()
    with local(workers=2) as backend:
        assert backend.free_slots() == 2
        for trial in range(2):
            backend.submit(trial_job(trial, "meet", folder=str(tmp_path / "met")))
        last, _ = ends(backend, 2)
    assert len({event.notes for event in last}) == 2


def test_a_job_that_raises_or_exits_fails_and_keeps_the_worker(local):
    with local() as backend:
        error = end_of(backend, trial_job(0, "raise_error"))
        left = end_of(backend, trial_job(1, "raise_exit"))
        silent = end_of(backend, trial_job(2, "say_nothing"))
        broken = end_of(backend, trial_job(3, "report_nan"))
        assert isinstance(end_of(backend, trial_job(4, "finish")), TrialFinished)
    assert all(isinstance(each, TrialFailed) for each in (error, left, silent, broken))
    assert error.error == "ValueError: the loss is a banana \\udc80"
    assert "raise_error" in error.traceback
    assert "SystemExit" in left.error
    assert "without saying how" in silent.error
    assert "finite" in broken.error


def test_a_job_killed_by_a_signal_fails_with_its_name_and_a_fresh_worker_takes_over(local, tmp_path):
    with local() as backend:
        before = end_of(backend, trial_job(0, "finish"))
        killed = end_of(backend, trial_job(1, "kill_itself"))
        after = end_of(backend, trial_job(2, "finish"))
    assert isinstance(killed, TrialFailed)
    assert killed.error.startswith("killed by SIGKILL (out of memory?")
    assert "I ate all the memory" in killed.traceback
    assert str(tmp_path / "workers" / "worker-0.log") in killed.traceback
    assert isinstance(after, TrialFinished)
    assert after.notes != before.notes


def test_a_death_costs_the_other_workers_nothing(local):
    with local(workers=2) as backend:
        backend.submit(trial_job(0, "obey"))
        started(backend)
        assert end_of(backend, trial_job(1, "exit_at_once")).error == "the worker process ended with exit code 7"
        backend.stop(0)
        (stopped,), _ = ends(backend)
    assert isinstance(stopped, TrialStopped)


@pytest.mark.parametrize("do", ["hang", "ignore_sigterm", "freeze"])
def test_a_job_past_its_deadline_is_ended_by_force(local, do):
    with local(mercy=0.2) as backend:
        event = end_of(backend, trial_job(0, do, seconds=0.1, grace=0.3))
        assert isinstance(end_of(backend, trial_job(1, "finish")), TrialFinished)
    assert isinstance(event, TrialFailed)
    assert event.error == "still running 0.3 s past its 0.1 s: ended by force"
    assert 0.4 <= event.seconds < 3


def test_the_clock_of_a_job_begins_when_its_worker_is_ready(local, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "slow_start.py").write_text("import time; time.sleep(1)\nfrom fake_runners import run\n")
    with local(runner="slow_start:run") as backend:
        assert isinstance(end_of(backend, trial_job(0, "finish", seconds=0.1, grace=0.5)), TrialFinished)


def test_a_stop_is_honoured(local):
    with local() as backend:
        backend.submit(trial_job(5, "obey"))
        started(backend)
        backend.stop(4)
        backend.stop(5)
        (event,), _ = ends(backend)
    assert event == TrialStopped(trial=5, reason="asked to", seconds=1)


def test_a_job_that_ignores_a_stop_is_ended_by_force_and_counts_as_stopped(local):
    with local(patience=0.2) as backend:
        backend.submit(trial_job(0, "hang"))
        started(backend)
        backend.stop(0)
        (event,), _ = ends(backend)
    assert isinstance(event, TrialStopped)
    assert "ended by force after 0.2 s" in event.reason


def test_a_job_without_a_worker_waits_and_can_be_stopped(local):
    with local() as backend:
        backend.submit(trial_job(0, "obey"))
        backend.submit(trial_job(1, "finish"))
        backend.submit(trial_job(2, "finish"))
        assert backend.free_slots() == 0
        backend.stop(2)
        backend.stop(0)
        last, _ = ends(backend, 3)
        assert backend.idle()
    by_trial = {event.trial: type(event) for event in last}
    assert by_trial == {0: TrialStopped, 1: TrialFinished, 2: TrialStopped}


def test_what_plugins_print_and_read_never_touches_the_protocol(local, tmp_path):
    with local() as backend:
        event = end_of(backend, trial_job(0, "print_much"))
    assert isinstance(event, TrialFinished)
    log = (tmp_path / "workers" / "worker-0.log").read_text()
    assert '{"event": "TrialFinished"}' in log
    assert "from native code" in log
    assert "from a child" in log
    assert "read: ''" in log


def test_an_evaluation_that_fails_says_so(local):
    with local(patience=0.1) as backend:
        assert isinstance(end_of(backend, evaluation_job("raise_error")), EvaluationFailed)
        assert isinstance(end_of(backend, evaluation_job("exit_at_once")), EvaluationFailed)
        late = end_of(backend, evaluation_job("hang", seconds=0.1, grace=0.1))
    assert late.error == "still running 0.1 s past its 0.1 s: ended by force"


def test_threads_reach_the_worker_and_ctrl_c_does_not(local):
    with local(threads=3) as backend:
        event = end_of(backend, trial_job(0, "show_environment"))
        os.kill(int(event.notes[0]), signal.SIGINT)
        assert end_of(backend, trial_job(1, "finish")).notes == event.notes[:1]
        assert os.getpgid(int(event.notes[0])) != os.getpgid(0)
    assert event.notes[1] == "3"


@pytest.mark.parametrize("do", ["leave_child_and_die", "fork_and_die"])
def test_children_of_a_dead_worker_die_with_it(local, tmp_path, do):
    with local() as backend:
        event = end_of(backend, trial_job(0, do, file=str(tmp_path / "pid")))
        assert event.error.startswith("killed by SIGKILL (out of memory?")
        assert vanishes(pid_in(tmp_path / "pid"))


def test_children_of_a_worker_that_overran_die_with_it_even_in_sessions_of_their_own(local, tmp_path):
    with local(mercy=0.2) as backend:
        end_of(backend, trial_job(0, "leave_child_and_hang", seconds=0.5, grace=0.5, file=str(tmp_path / "pid")))
        assert vanishes(pid_in(tmp_path / "pid"))


def test_a_child_that_holds_the_pipe_out_of_reach_does_not_hide_the_death(local, tmp_path):
    with local() as backend:
        event = end_of(backend, trial_job(0, "fork_and_die", escape=True, file=str(tmp_path / "pid")))
    os.kill(pid_in(tmp_path / "pid"), signal.SIGKILL)
    assert event.error.startswith("killed by SIGKILL (out of memory?")


def test_leaving_ends_workers_and_their_children_within_a_second(local, tmp_path):
    with local(workers=2) as backend:
        backend.submit(trial_job(0, "leave_child_and_hang", file=str(tmp_path / "pid")))
        backend.submit(trial_job(1, "freeze"))
        child = pid_in(tmp_path / "pid")
        workers = [each.pid for each in psutil.Process().children() if "seedbed.worker" in each.cmdline()]
        assert len(workers) == 2
        began = time.monotonic()
    assert time.monotonic() - began < 1.2  # 1 s, and something for a busy machine
    assert vanishes(child)
    assert all(vanishes(worker) for worker in workers)


PARENT = """
import sys, time
sys.path[:0] = {paths!r}
from pathlib import Path
from fake_runners import trial_job
from seedbed.core.protocols import Workplace
from seedbed.plugins.backends import LocalOptions
from seedbed.plugins.backends.local import LocalBackend

place = Workplace(folder=Path({folder!r}), lookup=None)
with LocalBackend(LocalOptions(runner="fake_runners:run"), place) as backend:
    backend.submit(trial_job(0, "leave_child_and_hang", file={file!r}))
    time.sleep(600)
"""


def test_workers_and_their_children_end_with_a_parent_that_is_killed(tmp_path):
    paths = [str(Path(__file__).parent), str(Path(processes.seedbed.__file__).parent.parent)]
    file = tmp_path / "pid"
    script = PARENT.format(paths=paths, folder=str(tmp_path), file=str(file))
    parent = subprocess.Popen([sys.executable, "-c", script])
    child = psutil.Process(pid_in(file))
    worker = child.parent()
    assert worker is not None
    assert worker.ppid() == parent.pid
    parent.kill()
    parent.wait()
    assert vanishes(worker.pid)
    assert vanishes(child.pid)


def test_where_no_worker_can_start_the_cause_is_told(local, tmp_path):
    with local(workers=2, runner="no_such_module:run") as backend:
        backend.submit(trial_job(0, "finish"))
        with pytest.raises(PluginError, match=r"No module named 'no_such_module'.*worker-\d\.log.*seedbed doctor"):
            ends(backend)
        with pytest.raises(PluginError, match="no_such_module"):
            backend.submit(trial_job(1, "finish"))
        with pytest.raises(PluginError, match="no_such_module"):
            backend.free_slots()
    assert "Traceback" in (tmp_path / "workers" / "worker-0.log").read_text()


def test_a_worker_that_keeps_dying_at_its_start_is_given_up(local, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "deadly.py").write_text(f"open({str(tmp_path / 'starts')!r}, 'a').write('x')\nimport os; os._exit(9)\n")
    with local(runner="deadly:run") as backend:
        backend.submit(trial_job(0, "finish"))
        with pytest.raises(PluginError, match="the worker process ended with exit code 9"):
            ends(backend)
    assert (tmp_path / "starts").read_text() == "xx"


def test_a_job_whose_worker_died_at_its_start_goes_to_the_next(local, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "once.py").write_text(
        "import os, pathlib\n"
        f"flag = pathlib.Path({str(tmp_path / 'flag')!r})\n"
        "if not flag.exists():\n    flag.touch()\n    os._exit(9)\n"
        "from fake_runners import run\n"
    )
    with local(runner="once:run") as backend:
        assert isinstance(end_of(backend, trial_job(0, "finish")), TrialFinished)


def test_a_worker_that_hangs_at_its_start_is_given_up(local, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "sleepy.py").write_text("import time; time.sleep(600)")
    with (
        local(runner="sleepy:run", start_seconds=0.5, mercy=0.1) as backend,
        pytest.raises(PluginError, match=r"not ready after 0\.5 s"),
    ):
        ends(backend)
