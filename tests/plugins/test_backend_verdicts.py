import os
import subprocess
import sys
from dataclasses import replace

import pytest
from fake_runners import evaluation_job, trial_job

from seedbed.plugins.backends import processes
from seedbed.plugins.backends.supervised import Watch, allowed_seconds


def watch(**changes):
    base = {"since": 100.0, "allowed": 30.0, "grace": 10.0, "stop_asked": None, "patience": 5.0}
    return Watch(**base | changes)


def test_a_verdict_falls_when_seconds_and_grace_are_over():
    assert watch().verdict(139.9) == ""
    assert watch().verdict(140.0) == "still running 10 s past its 30 s: ended by force"
    assert watch(allowed=None).verdict(1e9) == ""


def test_a_job_that_begins_late_was_allowed_less():
    assert allowed_seconds(trial_job(0, "hang"), 0.0) is None
    assert allowed_seconds(trial_job(0, "hang", seconds=30.0), 0.0) == 30.0
    late = replace(trial_job(0, "hang", seconds=30.0), not_after=1000.0)
    assert [allowed_seconds(late, now) for now in (960.0, 980.0, 1001.0)] == [30.0, 20.0, 0.0]
    assert allowed_seconds(evaluation_job("hang", seconds=4.0), 0.0) == 4.0


def test_patience_with_a_stop_begins_with_the_job():
    assert watch(stop_asked=110.0).verdict(114.9) == ""
    assert watch(stop_asked=110.0).verdict(115.0).startswith("stopped on request")
    assert watch(stop_asked=90.0).verdict(104.9) == ""


def test_causes_of_death_are_words():
    assert processes.cause_of_death(-9).startswith("killed by SIGKILL (out of memory? If so, run fewer trials at once")
    assert processes.cause_of_death(-11) == "killed by SIGSEGV"
    assert processes.cause_of_death(-99) == "killed by signal 99"
    assert processes.cause_of_death(3) == "the worker process ended with exit code 3"


@pytest.mark.parametrize(("before", "now", "is_sure"), [(2, 3, True), (2, 2, False), (None, 3, False)])
def test_a_kill_by_the_system_for_want_of_memory_is_told_as_that(monkeypatch, before, now, is_sure):
    monkeypatch.setattr(processes, "memory_kills", lambda: now)
    said = processes.cause_of_death(-9, before)
    assert ("the system had run out of memory; run fewer trials at once (--workers 1)" in said) == is_sure
    assert said.startswith("killed by SIGKILL")
    assert processes.cause_of_death(-15, before) == "killed by SIGTERM"


def test_the_kills_of_a_container_are_its_own_and_else_those_of_the_system(tmp_path):
    group, system = tmp_path / "memory.events", tmp_path / "vmstat"
    assert processes.memory_kills(group, system) == 0
    system.write_text("nr_free_pages 12\noom_kill 7\n")
    assert processes.memory_kills(group, system) == 7
    group.write_text("low 0\noom 4\noom_kill 3\n")
    assert processes.memory_kills(group, system) == 3


def test_the_workers_import_path_is_ours_without_what_every_interpreter_has(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [str(tmp_path), *[each for each in sys.path if "python3" in each]])
    paths = processes.environment(0)["PYTHONPATH"].split(os.pathsep)
    assert str(tmp_path) in paths
    assert not [each for each in paths if each.endswith("site-packages")]
    found = subprocess.run(
        [sys.executable, "-P", "-c", "import seedbed; print(seedbed.__file__)"],
        env=processes.environment(0),
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == processes.seedbed.__file__
