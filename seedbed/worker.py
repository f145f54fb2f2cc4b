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
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import msgspec
import psutil

from seedbed.core.search.attempting import Pulse, Run, attempt, on_desk
from seedbed.core.search.candidate import EvaluationJob, Job, TrialJob
from seedbed.core.search.events import to_line

if TYPE_CHECKING:
    from seedbed.core.work import Desk

log = logging.getLogger(__name__)

RUNNER = "seedbed.core.work:run"
"""What executes jobs, unless a test or the conformance kit puts another in its place."""

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


def serve(inbox: Iterable[Assignment], outbox: Outbox, run: Run) -> None:
    """Run job after job until the inbox ends."""
    for assignment in inbox:
        alive = msgspec.json.encode({"alive": assignment.job.trial})
        pulse = Pulse(assignment.stop.is_set, partial(outbox.say, alive))
        attempt(assignment.job, lambda event: outbox.say(to_line(event)), pulse, run)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Be a worker process until the parent says "exit" or is gone."""
    options = _parser().parse_args(arguments)
    if options.rank:
        _be_rank(Path(options.rank), tuple(json.loads(options.plugins)), options.parent)
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
        run = open_runner(options.runner, tuple(json.loads(options.plugins)), options.threads)
    except BaseException:  # a broken torch raises what it likes
        trace = traceback.format_exc()
        log.error("This worker cannot start.\n%s", trace)
        outbox.say(msgspec.json.encode({"broken": trace}))
        end_at_once(1)
    outbox.say(msgspec.json.encode({"ready": {"pid": os.getpid(), "seconds": time.monotonic() - began}}))
    serve(inbox, outbox, run)
    end_at_once()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m seedbed.worker", description="Run jobs for a parent process.")
    parser.add_argument("--plugins", default="[]", help="JSON list: with what the parent opened its registry")
    parser.add_argument("--threads", type=int, default=0, help="compute threads; 0 leaves torch's default")
    parser.add_argument("--parent", type=int, default=0, help="process id without which to end")
    parser.add_argument("--rank", default="", help="file of a trial's job: be one of its processes, under torchrun")
    parser.add_argument(
        "--runner",
        default=RUNNER,
        help="module:function, what executes a job; for tests and for the conformance kit. "
        "Any but the default starts without torch, without plugins, and gets None for a desk",
    )
    return parser


def open_runner(runner: str, plugins: tuple[str, ...], threads: int) -> Run:
    """Do what takes long and is needed by every job: import torch, find the plugins; return what runs jobs."""
    desk = _open_desk(plugins, threads) if runner == RUNNER else None
    return on_desk(resolve_name(runner), desk)


def _open_desk(plugins: tuple[str, ...], threads: int) -> Desk:
    """Lay out what stays warm between jobs."""
    import torch

    from seedbed.core.training.startup import spare_dynamo

    spare_dynamo()
    if threads > 0:
        torch.set_num_threads(threads)
    from seedbed.api import open_registry
    from seedbed.core.work import Desk

    return Desk(open_registry(plugins), plugins=plugins)


def _be_rank(file: Path, plugins: tuple[str, ...], parent: int) -> NoReturn:
    """Be one of several processes of a trial, whose job lies in a file; torchrun has started all of them."""
    faulthandler.enable()
    threading.Thread(target=_outlive_nobody, args=(parent,), daemon=True).start()
    job = msgspec.json.decode(file.read_bytes(), type=TrialJob)
    desk = _open_desk(plugins, job.threads)
    from seedbed.core.training.launch import be_rank

    be_rank(job, file.parent, desk)
    end_at_once()


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
