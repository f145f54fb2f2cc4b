"""Training jobs whose run is gone: the next one goes on with them, and nothing is paid for twice."""

import os
import signal
import subprocess
import sys
import time

from plugins.counting_runner import LOOKS, open_gates
from plugins.following import SECONDS, job_names, looks, until, until_looks
from plugins.training_jobs.conftest import TESTS

from seedbed.core.search.events import TERMINAL, TrialFinished


def test_a_run_that_was_killed_finds_its_job_and_follows_it_from_the_beginning(service, backend, job, tmp_path):
    asked = job()
    open_gates(tmp_path / "gate", [0, 1])
    environment = os.environ | service.env | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    script = (
        "from plugins.training_jobs.driver_process import main; import pathlib, sys; main(pathlib.Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], env=environment)
    limit = time.monotonic() + SECONDS
    while not (tmp_path / "seen").exists():
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    created = service.calls.count("CreateTrainingJob")
    with backend() as found:
        found.submit(asked)
        events = until_looks(found, 2, [])
        open_gates(tmp_path / "gate", range(LOOKS))
        until(found, TERMINAL, events)
    assert isinstance(events[-1], TrialFinished), events[-1]
    assert looks(events) == [1, 2, 3, 4, 5, 6]
    assert service.calls.count("CreateTrainingJob") == created
    assert service.wait(job_names(events)[0])["TrainingJobStatus"] == "Completed"


def test_a_run_that_is_left_ends_its_job_and_goes_on_with_what_that_had_done(service, backend, job, tmp_path):
    open_gates(tmp_path / "gate", [0, 1])
    with backend() as found:
        found.submit(job())
        (first,) = job_names(until_looks(found, 2, []))
    assert service.wait(first)["TrainingJobStatus"] == "Stopped"
    open_gates(tmp_path / "gate", range(LOOKS))
    with backend() as found:
        found.submit(job())
        events = until(found, TERMINAL)
    assert isinstance(events[-1], TrialFinished), events[-1]
    assert job_names(events)[-1].endswith("-0000-2")
    assert looks(events) == [1, 2, 3, 4, 5, 6]  # the first two from the log of the first job


def test_a_job_that_ended_while_nobody_listened_is_brought_home(service, backend, job, tmp_path):
    open_gates(tmp_path / "gate", range(LOOKS))
    with backend() as found:
        found.submit(job())
        until(found, TERMINAL)
    created = service.calls.count("CreateTrainingJob")
    with backend() as found:
        found.submit(job())
        events = until(found, TERMINAL)
    assert isinstance(events[-1], TrialFinished)
    assert looks(events) == [1, 2, 3, 4, 5, 6]
    assert service.calls.count("CreateTrainingJob") == created


def test_a_job_that_cannot_be_ended_is_named_and_the_others_are_ended(service, backend, job, caplog):
    with backend() as found:
        for trial in (0, 1):
            found.submit(job(trial))
        names: list[str] = []
        while len(names) < 2:
            names += job_names(found.poll(0.2))
        service.fail_next("StopTrainingJob", "AccessDeniedException", "You may not do that")
    assert [each for each in caplog.records if "may still run, and be billed" in each.getMessage()]
    ended = [service.client("sagemaker").describe_training_job(TrainingJobName=each) for each in names]
    assert sum(each["TrainingJobStatus"] in ("Stopping", "Stopped") for each in ended) == 1
    for each in names:
        service.client("sagemaker").stop_training_job(TrainingJobName=each)
