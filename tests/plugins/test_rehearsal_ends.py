"""How a rehearsal ends: without a trace in this process, and without a container that outlives it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from plugins.rehearsed import image, prepare, training, until

pytest.importorskip("moto")

from seedbed.plugins.amazon.rehearsal import Rehearsal
from seedbed.plugins.amazon.rehearsal.container import Watchdog

HOLDER = """
import sys
from pathlib import Path
from plugins.rehearsed import image, prepare, training
from seedbed.plugins.amazon.rehearsal import Rehearsal, container

if "plain" in sys.argv:
    container.namespaces = lambda: None
folder = Path(sys.argv[1])
with Rehearsal(folder / "fleet", image=image) as rehearsal:
    prepare(rehearsal)
    rehearsal.client("sagemaker").create_training_job(**training("held", hold=0, deaf="yes", gates=folder))
    sys.stdin.read()
"""


def containers_below(folder):
    """The processes of this machine whose home is below `folder`."""
    found = []
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if each.environ().get("HOME", "").startswith(f"{folder}{os.sep}"):
                found.append(each)
    return found


def test_two_rehearsals_after_another_know_nothing_of_each_other(tmp_path):
    environment = dict(os.environ)
    for number in (1, 2):
        with Rehearsal(tmp_path / str(number), image=image) as rehearsal:
            assert rehearsal.client("s3").list_buckets()["Buckets"] == []
            assert rehearsal.client("sagemaker").list_training_jobs()["TrainingJobSummaries"] == []
            prepare(rehearsal)
            rehearsal.client("sagemaker").create_training_job(**training("same", epochs=1))
            assert rehearsal.wait("same")["TrainingJobStatus"] == "Completed", rehearsal.log("same")
    assert dict(os.environ) == environment


def test_leaving_ends_the_containers_that_run(tmp_path):
    with Rehearsal(tmp_path / "fleet", image=image, grace=60) as rehearsal:
        prepare(rehearsal)
        request = training("left", hold=0, deaf="yes", gates=tmp_path)
        rehearsal.client("sagemaker").create_training_job(**request)
        until((tmp_path / "epoch-0").exists)
        assert containers_below(tmp_path)
    assert not containers_below(tmp_path)


@pytest.mark.parametrize("way", ["namespaces", "plain"])
def test_no_container_outlives_the_process_that_was_killed(tmp_path, way):
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), str(tests.parent)])
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), way],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        until(lambda: (tmp_path / "epoch-0").exists() or holder.poll() is not None)
        assert containers_below(tmp_path)
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        holder.stdin.close()
    until(lambda: not containers_below(tmp_path))


def test_without_namespaces_a_worker_is_told_its_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("seedbed.plugins.amazon.rehearsal.container.namespaces", lambda: None)
    with Rehearsal(tmp_path / "fleet", image=image, grace=5) as rehearsal:
        prepare(rehearsal)
        sm = rehearsal.client("sagemaker")
        sm.create_training_job(**training("plain", epochs=9, hold=1, look="yes", gates=tmp_path))
        until((tmp_path / "epoch-1").exists)
        sm.stop_training_job(TrainingJobName="plain")
        assert rehearsal.wait("plain")["TrainingJobStatus"] == "Stopped"
        assert "heard SIGTERM" in rehearsal.log("plain")
        assert "SAGEMAKER_BASE_DIR" in (tmp_path / "seen.json").read_text()
        sm.create_training_job(**training("plain-crash", crash=0))
        assert rehearsal.wait("plain-crash")["FailureReason"] == "AlgorithmError: boom at 0, exit code: 3"


def test_what_ends_after_the_watchdog_need_not_be_forgotten_by_it():
    watchdog = Watchdog()
    watchdog.close()
    watchdog.release(1)
    with pytest.raises(RuntimeError, match="closed"):
        watchdog.guard(1)
