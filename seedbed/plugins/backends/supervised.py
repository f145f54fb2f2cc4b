"""One worker process as the local backend sees it: what it is doing, since when, and what it says."""

from __future__ import annotations

import contextlib
import logging
import math
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from seedbed.core.errors import DataError
from seedbed.core.search.attempting import failed, stopped
from seedbed.core.search.candidate import EvaluationJob, Job
from seedbed.core.search.events import Event, from_builtins
from seedbed.plugins.backends import processes

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has imported everything and takes up its first job."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The worker cannot start: a plugin, or torch itself, cannot be imported."""

    traceback: str


@dataclass(frozen=True, slots=True)
class Garbled:
    """The worker sent something that is no message."""

    error: str


@dataclass(frozen=True, slots=True)
class Gone:
    """Nothing more will come from the worker."""


@dataclass(frozen=True, slots=True)
class Alive:
    """The worker's job goes on."""


Message = Event | Ready | Alive | Broken | Garbled | Gone


def parse(line: bytes) -> Message:
    """Understand one line from a worker."""
    try:
        found = msgspec.json.decode(line, type=dict)
        if "ready" in found:
            return Ready()
        if "broken" in found:
            return Broken(found["broken"])
        if "alive" in found:
            return Alive()
        return from_builtins(found)
    except (msgspec.DecodeError, DataError) as error:
        return Garbled(f"{line[:80]!r} ({error})")


def job_line(job: Job) -> bytes:
    """Return the line that hands a job to a worker."""
    return msgspec.json.encode({"job": {"kind": type(job).__name__, **msgspec.to_builtins(job)}}) + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A job under way; all in seconds, `since`, `heard` and `stop_asked` readings of one monotonic clock.

    `heard` is when it last gave a sign of life, `silence` how long it may give none.
    """

    since: float
    allowed: float | None
    grace: float
    stop_asked: float | None
    patience: float
    heard: float = 0.0
    silence: float = math.inf

    def verdict(self, now: float) -> str:
        """Why the job must be ended by force now; empty while it need not be."""
        if self.stop_asked is not None and now >= max(self.stop_asked, self.since) + self.patience:
            return f"stopped on request: ended by force after {self.patience:g} s without an answer"
        if self.allowed is not None and now >= self.since + self.allowed + self.grace:
            return f"still running {self.grace:g} s past its {self.allowed:.3g} s: ended by force"
        if now >= max(self.heard, self.since) + self.silence:
            return f"no sign of life for {self.silence:g} s: ended by force"
        return ""


def allowed_seconds(job: Job, unix_now: float) -> float | None:
    """How long a job that begins now was meant to take, None where nobody said."""
    if isinstance(job, EvaluationJob):
        return job.seconds
    if job.script is not None:  # done again, in as much time as that takes
        return None
    seconds = job.fidelity.seconds
    if seconds is None or job.not_after is None:
        return seconds
    return max(min(seconds, job.not_after - unix_now), 0.0)


class Worker:
    """A process, its job, and how its life is going; changed by the backend's thread alone.

    `since` is when the job's clock began, `heard` when something last came of the process, `ending` why we are ending
    it, `takes_jobs` turns false once it cannot be talked to. `strikes` counts the predecessors in a row that died
    before they were ready. `is_lost` turns true if it has died but something it left behind, out of our reach, holds
    its pipe open, so that `Gone` will not come.
    """

    def __init__(self, process: subprocess.Popen[bytes], log_file: Path, *, index: int, strikes: int = 0) -> None:
        self.process = process
        self.log_file = log_file
        self.log_start = log_file.stat().st_size
        self._kills_before = processes.memory_kills()
        self.index = index
        self.strikes = strikes
        self.job: Job | None = None
        self.is_ready = False
        self.takes_jobs = True
        self.is_lost = False
        self.broken = ""
        self.ending = ""
        self.born = self.since = self.heard = time.monotonic()
        self._stop_asked: float | None = None
        self._allowed: float | None = None
        self._kill_at = float("inf")
        self._died_at: float | None = None
        self._family: list[psutil.Process] = []
        self._is_reaped = False

    @property
    def is_stopping(self) -> bool:
        """Whether its job was asked to end."""
        return self._stop_asked is not None

    def listen(self, tell: Callable[[Worker, Message], None]) -> None:
        """Hand on every message, from a thread of its own, `Gone` as the last."""
        threading.Thread(target=self._read, args=(tell,), name=f"seedbed-worker-{self.index}", daemon=True).start()

    def _read(self, tell: Callable[[Worker, Message], None]) -> None:
        assert self.process.stdout is not None  # `processes.start` makes a pipe of it
        with self.process.stdout as stream:
            for line in stream:
                tell(self, parse(line))
        tell(self, Gone())

    def take(self, job: Job) -> bool:
        """Hand over a job; false if the process cannot be talked to any more."""
        if not self._send(job_line(job)):
            return False
        self.job, self._stop_asked = job, None
        self._begin_clock()
        return True

    def is_up(self) -> None:
        """The process is ready; the clock of the job that it was given meanwhile begins now."""
        self.is_ready, self.strikes = True, 0
        self._begin_clock()

    def _begin_clock(self) -> None:
        self.since = time.monotonic()
        self._allowed = allowed_seconds(self.job, time.time()) if self.job is not None else None

    def stop(self) -> None:
        """Ask the job to end."""
        if self.job is not None and self._stop_asked is None:
            self._stop_asked = time.monotonic()
            self._send(msgspec.json.encode({"stop": self.job.trial}) + b"\n")

    def _send(self, line: bytes) -> bool:
        try:
            assert self.process.stdin is not None  # `processes.start` makes a pipe of it
            self.process.stdin.write(line)
            self.process.stdin.flush()
        except OSError:  # it has died; `Gone` is on its way
            self.takes_jobs = False
        return self.takes_jobs

    def look_after(self, now: float, *, patience: float, start_seconds: float, mercy: float, silence: float) -> None:
        """Do what it is time for: end what overran, kill what will not end, sweep up after the dead."""
        if self.process.poll() is not None:
            self._died_at = self._died_at or now
            self.is_lost = now >= self._died_at + 1.0
            self.reap()  # at once: a forked child holds the pipe open, so that `Gone` does not come
        elif self.ending:
            if now >= self._kill_at:
                processes.kill(processes.family(self.process))
        elif not self.is_ready:
            if now >= self.born + start_seconds:
                self.end(f"not ready after {start_seconds:g} s", mercy)
        elif self.job is not None:
            watch = Watch(
                since=self.since,
                allowed=self._allowed,
                grace=self.job.grace,
                stop_asked=self._stop_asked,
                patience=patience,
                heard=self.heard,
                silence=silence,
            )
            if reason := watch.verdict(now):
                self.end(reason, mercy)

    def end(self, reason: str, mercy: float) -> None:
        """Begin to end the process: SIGTERM now, SIGKILL after `mercy` seconds."""
        if self.ending:
            return
        log.warning("Worker %d is ended: %s.", self.index, reason)
        self.ending, self.takes_jobs = reason, False
        self._kill_at = time.monotonic() + mercy
        self._family = processes.family(self.process)
        self.process.terminate()

    def reap(self) -> None:
        """See to it that the process is dead, and all that it started; its exit code is known then."""
        self.takes_jobs = False
        if self._is_reaped:
            return
        try:
            self.process.wait(1.0)  # its pipe closes a moment before it is dead
        except subprocess.TimeoutExpired:  # it closed its pipe and lives on
            processes.kill(processes.family(self.process))
            self.process.wait()
        processes.sweep(self.process)
        processes.kill(self._family)
        with contextlib.suppress(OSError):
            assert self.process.stdin is not None  # `processes.start` makes a pipe of it
            self.process.stdin.close()
        self._is_reaped = True

    def last_words(self) -> str:
        """What is known of the death of this worker, its log's last lines included; it must be reaped."""
        cause = self.ending or processes.cause_of_death(self.process.returncode, self._kills_before)
        lines = processes.tail(self.log_file, self.log_start)
        return f"{cause}\nThe last lines of {self.log_file}:\n{lines}" if lines else cause

    def obituary(self, job: Job) -> Event:
        """The terminal event of the job with which this worker died."""
        seconds = time.monotonic() - self.since
        if self.ending and self.is_stopping:
            return stopped(job, self.ending, seconds)
        words = self.last_words()
        return failed(job, words.splitlines()[0], words, seconds)
