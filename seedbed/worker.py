"""The process in which jobs run: jobs and commands come in, events go out, one JSON object a line.

    in     {"job": {"kind": "TrialJob", …}}   {"stop": 7}   {"exit": true}
    out    {"ready": {…}}   {"broken": "traceback"}   {"alive": 7}   {"event": "EpochFinished", …}

Started as `python -m seedbed.worker` by the local backend, which keeps it warm between jobs. "ready" comes once torch
is imported and the plugins are found, so that workers can start while data is still being read. "alive" names the trial
that goes on, at most every second: a job that hangs says nothing. The end of the input means that the parent is gone:
the process ends at once.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import logging
import os
import queue
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any, BinaryIO, NoReturn, TypeVar

import msgspec
import psutil

from seedbed.core.errors import DataError, TrialError
from seedbed.core.search.candidate import EvaluationJob, Job, TrialJob
from seedbed.core.search.events import TERMINAL, EvaluationFailed, Event, TrialFailed, from_line, to_line

log = logging.getLogger(__name__)

RUNNER = "seedbed.core.work:run"
"""What executes jobs, unless a test or the conformance kit puts another in its place."""

PULSE_SECONDS = 1.0

D = TypeVar("D")
Emit = Callable[[Event], None]
Say = Callable[[bytes], None]
Runner = Callable[[Job, Emit, Callable[[], bool], D], None]
"""Runs a job on a desk (what stays warm between jobs), emits its events, ends soon after a stop."""

_JOBS: dict[str, type[TrialJob] | type[EvaluationJob]] = {
    "TrialJob": TrialJob,
    "EvaluationJob": EvaluationJob,
}


@dataclass(frozen=True, slots=True)
class Assignment:
    """A job, and the flag that is raised when it shall end."""

    job: Job
    stop: threading.Event = field(default_factory=threading.Event)


class Inbox:
    """Jobs in the order in which they came; iterating waits for the next one, until "exit"."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Assignment | None] = queue.SimpleQueue()
        self._latest: dict[int, Assignment] = {}

    def __iter__(self) -> Iterator[Assignment]:
        return iter(self._jobs.get, None)

    def close(self) -> None:
        """End the iteration after the jobs that are here already."""
        self._jobs.put(None)

    def listen(self, stream: Iterable[bytes], at_end: Callable[[], object]) -> None:
        """Take in lines until the stream ends, then call `at_end`; run this in a thread of its own."""
        try:
            for line in stream:
                self._take(msgspec.json.decode(line))
        except Exception:
            log.exception("A line from the parent process cannot be understood.")
        at_end()

    def _take(self, message: dict[str, Any]) -> None:
        if "job" in message:
            assignment = Assignment(to_job(message["job"]))
            self._latest[assignment.job.trial] = assignment
            self._jobs.put(assignment)
        elif "stop" in message and (found := self._latest.get(message["stop"])):
            found.stop.set()
        elif "exit" in message:
            self.close()


def to_job(found: dict[str, Any]) -> Job:
    """Read a job from its decoded JSON object, which names its class as "kind"."""
    return msgspec.convert({key: found[key] for key in found if key != "kind"}, _JOBS[found["kind"]])


class Outbox:
    """The way out for events; any thread may use it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def say(self, line: bytes) -> None:
        """Send one line, now."""
        with self._lock:
            self._stream.write(line + b"\n")
            self._stream.flush()


class Pulse:
    """Tells the parent that a job goes on: each time it asks whether it shall stop, it shows that it is alive.

    A thread of its own that says so would be alive even where the job hangs.
    """

    def __init__(self, assignment: Assignment, outbox: Outbox, clock: Callable[[], float] = time.monotonic) -> None:
        self._assignment, self._outbox, self._clock = assignment, outbox, clock
        self._said = clock()

    def __call__(self) -> bool:
        """Whether the job shall end."""
        now = self._clock()
        if now - self._said >= PULSE_SECONDS:
            self._said = now
            self._outbox.say(msgspec.json.encode({"alive": self._assignment.job.trial}))
        return self._assignment.stop.is_set()


class Relay:
    """Passes on the events of one job: those that can be read back, and none after the terminal one."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.is_over = False

    def __call__(self, event: Event) -> None:
        """Send an event; raises TrialError if nobody could read it back."""
        if self.is_over:
            log.warning("%s came after the job's end and is dropped.", type(event).__name__)
            return
        line = to_line(event)
        try:
            from_line(line)
        except DataError as error:  # a score of NaN turns into null, which nobody could read back
            raise TrialError(f"The trial reports what cannot be kept; is every number finite? {error}") from error
        self._say(line)
        self.is_over = isinstance(event, TERMINAL)


def serve(inbox: Iterable[Assignment], outbox: Outbox, run: Runner[D], desk: D) -> None:
    """Run job after job until the inbox ends."""
    for assignment in inbox:
        attempt(assignment.job, outbox.say, Pulse(assignment, outbox), run, desk)


def attempt(job: Job, say: Say, should_stop: Callable[[], bool], run: Runner[D], desk: D) -> None:
    """Run one job so that exactly one terminal event comes of it, whatever the runner does; `say` gets their lines."""
    relay, began = Relay(say), time.monotonic()
    try:
        run(job, relay, should_stop, desk)
    except BaseException as error:  # a plugin's SystemExit must not cost a warm worker either
        log.warning("The job of trial %s raised.", job.trial, exc_info=True)
        if not relay.is_over:
            relay(_failed(job, error, time.monotonic() - began))
    if not relay.is_over:
        relay(_failed(job, TrialError("The job ended without saying how."), time.monotonic() - began))


def _failed(job: Job, error: BaseException, seconds: float) -> Event:
    # Names of files may hold bytes that are no UTF-8 (surrogates in Python), which JSON cannot carry.
    words, trace = (
        text.encode("utf-8", "backslashreplace").decode()
        for text in (f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))
    )
    if isinstance(job, EvaluationJob):
        return EvaluationFailed(error=words, traceback=trace, trial=job.trial)
    return TrialFailed(trial=job.trial, error=words, traceback=trace, seconds=seconds)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Be a worker process until the parent says "exit" or is gone."""
    options = _parser().parse_args(arguments)
    inbound, outbound = private_streams()
    outbox = Outbox(outbound)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to everybody; the parent decides
    faulthandler.enable()  # a crash in native code leaves its stack in the log
    inbox = Inbox()
    threading.Thread(target=inbox.listen, args=(inbound, end_at_once), daemon=True).start()
    if options.parent:
        threading.Thread(target=_outlive_nobody, args=(options.parent,), daemon=True).start()
    try:
        began = time.monotonic()
        run, desk = open_runner(options.runner, tuple(json.loads(options.plugins)), options.threads)
    except BaseException:  # a broken torch raises what it likes
        trace = traceback.format_exc()
        log.error("This worker cannot start.\n%s", trace)
        outbox.say(msgspec.json.encode({"broken": trace}))
        end_at_once(1)
    outbox.say(msgspec.json.encode({"ready": {"pid": os.getpid(), "seconds": time.monotonic() - began}}))
    serve(inbox, outbox, run, desk)
    end_at_once()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m seedbed.worker", description="Run jobs for a parent process.")
    parser.add_argument("--plugins", default="[]", help="JSON list: with what the parent opened its registry")
    parser.add_argument("--threads", type=int, default=0, help="compute threads; 0 leaves torch's default")
    parser.add_argument("--parent", type=int, default=0, help="process id without which to end")
    parser.add_argument(
        "--runner",
        default=RUNNER,
        help="module:function, what executes a job; for tests and for the conformance kit. "
        "Any but the default starts without torch, without plugins, and gets None for a desk",
    )
    return parser


def open_runner(runner: str, plugins: tuple[str, ...], threads: int) -> tuple[Runner[Any], object]:
    """Do what takes long and is needed by every job: import torch, find the plugins.

    Return what runs jobs, and what stays warm between them.
    """
    if runner != RUNNER:
        return resolve_name(runner), None
    import torch

    from seedbed.core.training.startup import spare_dynamo

    spare_dynamo()
    if threads > 0:
        torch.set_num_threads(threads)
    from seedbed.api import open_registry
    from seedbed.core.work import Desk, run

    return run, Desk(open_registry(plugins))


def private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take stdin and stdout for the protocol; what plugins print goes to the log, what they read is empty.

    The duplicates are not inherited by programs that a plugin starts.
    """
    inbound, outbound = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return inbound, outbound


def _outlive_nobody(parent: int) -> None:
    """End this process once the parent is gone, even if someone else still holds the pipe open.

    A process that the parent forked inherits the pipe, and the end of the input then never comes.
    Linux's PR_SET_PDEATHSIG is no way out: it fires when the *thread* that started us ends.
    """
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(parent)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(1.0)
    end_at_once()


def end_at_once(code: int = 0) -> NoReturn:
    """End this process and all that it started, without clean-up: nothing here must outlive the parent."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    os._exit(code)


if __name__ == "__main__":
    main()
