"""What ends a worker from outside or below, each for real: the system's killer, a crash in native code, a hang."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_runners import trial_job
from test_backend_local import end_of, local  # noqa: F401 - a fixture

from seedbed.core.search.attempting import Pulse
from seedbed.core.search.events import TrialFailed, TrialFinished
from seedbed.plugins.backends.supervised import Watch

MB = 2**20


@contextmanager
def small_group(limit):
    """Make a control group of processes that has so many bytes of memory; skips where that is not allowed."""
    older, newer = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    root, file = (older, "memory.limit_in_bytes") if older.is_dir() else (newer, "memory.max")
    group = root / f"seedbed-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / file).write_text(str(limit))
    except OSError as error:
        if group.is_dir():
            group.rmdir()
        pytest.skip(f"a control group with a limit of memory needs rights that this process lacks: {error}")
    try:
        yield group
    finally:
        group.rmdir()


def test_a_job_that_the_system_kills_for_want_of_memory_fails_as_that(local):  # noqa: F811
    with small_group(64 * MB) as group, local() as backend:
        event = end_of(backend, trial_job(0, "eat_memory", group=str(group), bytes=256 * MB))
        assert isinstance(end_of(backend, trial_job(1, "finish")), TrialFinished)
    assert isinstance(event, TrialFailed)
    assert event.error.startswith("killed by SIGKILL: the system had run out of memory; run fewer trials at once")


def test_a_crash_in_native_code_leaves_its_stack_in_the_event(local):  # noqa: F811
    with local() as backend:
        event = end_of(backend, trial_job(0, "crash_in_native_code"))
        assert isinstance(end_of(backend, trial_job(1, "finish")), TrialFinished)
    assert isinstance(event, TrialFailed)
    assert event.error == "killed by SIGSEGV"
    assert "in crash_in_native_code" in event.traceback


@pytest.mark.parametrize("do", ["hang", "ignore_sigterm", "freeze"])
def test_a_job_without_a_time_limit_that_hangs_is_ended_for_want_of_a_sign_of_life(local, do):  # noqa: F811
    with local(silence=0.5, mercy=0.2) as backend:
        event = end_of(backend, trial_job(0, do))
        assert isinstance(end_of(backend, trial_job(1, "finish")), TrialFinished)
    assert isinstance(event, TrialFailed)
    assert event.error == "no sign of life for 0.5 s: ended by force"


def test_a_job_that_asks_whether_it_shall_stop_is_alive_however_long_it_says_nothing(local):  # noqa: F811
    with local(silence=2.0) as backend:
        assert isinstance(end_of(backend, trial_job(0, "work_silently", last=3.5)), TrialFinished)


def test_silence_counts_from_the_last_sign_of_life_or_the_beginning_of_the_job():
    watch = Watch(since=100.0, allowed=None, grace=1.0, stop_asked=None, patience=5.0, heard=40.0, silence=60.0)
    assert watch.verdict(159.9) == ""
    assert watch.verdict(160.0) == "no sign of life for 60 s: ended by force"


def test_a_sign_of_life_is_given_once_a_second_and_only_if_asked():
    said, now = [], [0.0]

    pulse = Pulse(lambda: False, lambda: said.append(now[0]), lambda: now[0])
    for tenth in range(25):
        now[0] = tenth / 10
        assert not pulse()
    assert said == [1.0, 2.0]
