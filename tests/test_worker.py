import importlib
import io
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from seedbed.core.search.attempting import on_desk
from seedbed.core.search.events import TrialFailed, TrialFinished, TrialStopped, from_line
from seedbed.plugins.backends.processes import environment
from seedbed.plugins.backends.supervised import job_line
from seedbed.worker import Inbox, Outbox, serve, to_job


@pytest.fixture
def fakes(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "plugins"))
    return importlib.import_module("fake_runners")


def served(lines, run):
    """Let a worker's loop read these lines and return the events that it writes."""
    inbox, out = Inbox(), io.BytesIO()
    inbox.listen(lines, at_end=inbox.close)
    serve(inbox, Outbox(out), run)
    return [from_line(line) for line in out.getvalue().splitlines()]


@pytest.fixture
def worker(fakes):
    """Starts real worker processes and ends what a test has left of them."""
    begun = []

    def start(*arguments):
        command = [sys.executable, "-P", "-m", "seedbed.worker", *arguments]
        pipe = subprocess.PIPE
        begun.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment(0)))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def test_a_job_is_read_back_as_it_was_sent(fakes):
    for job in (
        fakes.trial_job(7, "finish", seconds=1.5, lr=1e-3, layers=3, flag=True),
        fakes.evaluation_job("best", seconds=2.0),
    ):
        assert to_job(msgspec.json.decode(job_line(job))["job"]) == job


def test_jobs_run_in_order_on_one_desk(fakes):
    desk = []

    def run(job, emit, should_stop, desk):
        desk.append(job.trial)
        emit(fakes.finished(job))

    events = served([job_line(fakes.trial_job(trial, "")) for trial in (3, 1, 2)], on_desk(run, desk))
    assert [event.trial for event in events] == desk == [3, 1, 2]


def test_exit_ends_the_loop_before_later_jobs(fakes):
    lines = [
        job_line(fakes.trial_job(0, "finish")),
        b'{"exit": true}\n',
        job_line(fakes.trial_job(1, "finish")),
    ]
    assert {event.trial for event in served(lines, on_desk(fakes.run, None))} == {0}


def test_a_stop_reaches_its_job_alone_and_not_a_later_one_of_the_same_number(fakes):
    def run(job, emit, should_stop):
        emit(TrialStopped(trial=job.trial, reason="") if should_stop() else fakes.finished(job))

    first, second = (job_line(fakes.trial_job(trial, "")) for trial in (1, 2))
    events = served([b'{"stop": 2}\n', first, second, b'{"stop": 2}\n', second], run)
    assert [type(event) for event in events] == [TrialFinished, TrialStopped, TrialFinished]


@pytest.mark.parametrize(
    ("do", "words"),
    [
        ("raise_error", "ValueError: the loss is a banana"),
        ("raise_exit", "SystemExit: 3"),
        ("say_nothing", "without saying how"),
        ("report_nan", "is every number finite"),
    ],
)
def test_whatever_a_job_does_one_terminal_event_comes_of_it(fakes, do, words):
    (event,) = served([job_line(fakes.trial_job(0, do))], on_desk(fakes.run, None))
    assert isinstance(event, TrialFailed)
    assert words in event.error
    assert "Traceback" in event.traceback or do == "say_nothing"


def test_events_after_the_terminal_one_are_dropped(fakes):
    (event,) = served([job_line(fakes.trial_job(0, "finish_twice"))], on_desk(fakes.run, None))
    assert isinstance(event, TrialFinished)


def test_the_process_is_ready_before_its_jobs_and_ends_on_exit(fakes, worker):
    process = worker("--runner", "fake_runners:run")
    assert msgspec.json.decode(process.stdout.readline())["ready"]["pid"] == process.pid
    process.stdin.write(job_line(fakes.trial_job(0, "finish")) + b'{"exit": true}\n')
    process.stdin.flush()
    assert process.wait(10) == 0
    assert [type(from_line(line)).__name__ for line in process.stdout] == ["EpochFinished", "TrialFinished"]


def test_the_end_of_the_input_ends_the_process_in_the_midst_of_a_job(fakes, worker):
    process = worker("--runner", "fake_runners:run")
    process.stdin.write(job_line(fakes.trial_job(0, "hang")))
    process.stdin.flush()
    process.stdout.readline()
    assert b"EpochFinished" in process.stdout.readline()
    process.stdin.close()
    process.stdin = None
    assert process.wait(5) == 0


def test_the_end_of_the_input_ends_the_process_before_it_is_ready(worker, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "sleepy_runner.py").write_text("import time; time.sleep(600)")
    process = worker("--runner", "sleepy_runner:run")
    process.stdin.close()
    process.stdin = None
    assert process.wait(5) == 0


def test_the_process_ends_after_its_parent_even_if_the_input_stays_open(worker):
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = worker("--runner", "fake_runners:run", "--parent", str(parent.pid))
    assert b"ready" in process.stdout.readline()
    parent.communicate()
    assert process.wait(5) == 0


def test_a_process_that_cannot_start_says_why_and_ends(worker):
    process = worker("--runner", "no_such_module:run")
    report = msgspec.json.decode(process.stdout.readline())["broken"]
    assert report.strip().endswith("ModuleNotFoundError: No module named 'no_such_module'")
    assert process.wait(5) == 1


def test_a_fake_runner_needs_no_torch(worker, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "spy.py").write_text("import sys; assert not {'torch', 'numpy', 'timm'} & set(sys.modules)")
    process = worker("--runner", "spy:__name__")
    assert b"ready" in process.stdout.readline()
