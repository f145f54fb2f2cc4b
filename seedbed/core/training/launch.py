"""Start the processes of a trial through torchrun, pass on what the first one says, and end them all; an edge."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import msgspec
import psutil

from seedbed.core.search.candidate import TrialJob
from seedbed.core.search.events import TERMINAL, Event, TrialFailed, from_line, to_line
from seedbed.core.training.desk import Desk
from seedbed.core.training.devices import pick_device
from seedbed.core.training.evaluate import Stop
from seedbed.core.training.parallel import Ring
from seedbed.core.training.sharing import help_out
from seedbed.core.training.trial import run_trial

_JOB, _EVENTS, _STOP, _LOG = "job.json", "events.jsonl", "stop", "log.txt"
_TICK = 0.02  # s; how late an event may be passed on
_SECONDS_TO_TELL = 5.0  # how long torchrun may take to say which process died

Emit = Callable[[Event], None]


def run_in_processes(job: TrialJob, emit: Emit, should_stop: Stop, desk: Desk) -> None:
    """Run one trial in `job.processes` processes; events as of `run_trial`, whichever of the processes dies."""
    began = time.monotonic()
    place = Path(job.folder) / "processes"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    (place / _EVENTS).touch()
    (place / _JOB).write_bytes(msgspec.json.encode(_of_a_rank(job)))
    with _started(job, place, desk) as launcher, (place / _EVENTS).open("rb") as events:
        last = _pass_on(emit, should_stop, launcher, place, events)
        if last is None or isinstance(last, TrialFailed):
            with contextlib.suppress(subprocess.TimeoutExpired):
                launcher.wait(_SECONDS_TO_TELL)
            last = _failure(job, last, launcher, place, time.monotonic() - began)
    shutil.rmtree(place, ignore_errors=True)
    emit(last)


def _of_a_rank(job: TrialJob) -> TrialJob:
    """Return the job as its processes get it: the time that starting them takes is the trial's."""
    seconds = job.fidelity.seconds
    ends = [each for each in (job.not_after, None if seconds is None else time.time() + seconds) if each is not None]
    threads = max(job.threads // job.processes, 1) if job.threads else 0
    return replace(job, not_after=min(ends, default=None), threads=threads)


@contextmanager
def _started(job: TrialJob, place: Path, desk: Desk) -> Iterator[subprocess.Popen[bytes]]:
    """Start torchrun; at the end all that it started is dead."""
    command = [sys.executable, "-P", "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={job.processes}"]
    command += ["-m", "seedbed.worker", "--rank", str(place / _JOB), "--plugins", json.dumps(desk.plugins)]
    command += ["--parent", str(os.getpid())]
    # Modules are not looked for in the current folder, where a user's random.py may lie.
    surroundings = {**os.environ, "PYTHONSAFEPATH": "1"}
    if job.gpus:
        surroundings["CUDA_VISIBLE_DEVICES"] = ",".join(job.gpus)
    with (place / _LOG).open("ab") as log:
        launcher = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=surroundings)
    try:
        yield launcher
    finally:
        family = []
        with contextlib.suppress(psutil.Error):
            family = psutil.Process(launcher.pid).children(recursive=True)
        launcher.kill()
        launcher.wait()
        for each in family:
            with contextlib.suppress(psutil.Error):
                each.kill()


def _pass_on(
    emit: Emit, should_stop: Stop, launcher: subprocess.Popen[bytes], place: Path, events: BinaryIO
) -> Event | None:
    """Emit what rank 0 says until it has said its last, and return that; None: it never did."""
    rest = b""
    while True:
        is_over = launcher.poll() is not None  # before reading: what it said by then is read
        rest += events.read()
        *lines, rest = rest.split(b"\n")
        for line in lines:
            event = from_line(line)
            if isinstance(event, TERMINAL):
                return event
            emit(event)
        if is_over:
            return None
        if should_stop():
            (place / _STOP).touch()
        time.sleep(_TICK)


def _failure(
    job: TrialJob, said: TrialFailed | None, launcher: subprocess.Popen[bytes], place: Path, seconds: float
) -> TrialFailed:
    """Say that the trial failed: by the process that died first, where torchrun tells, else by what rank 0 said."""
    log = (place / _LOG).read_text(encoding="utf-8", errors="replace")
    found = cause(log)
    if found is None:
        found = said.error if said is not None else f"its processes ended with exit code {launcher.poll()} and no word"
    told = "" if said is None else said.traceback
    return TrialFailed(trial=job.trial, error=found, traceback=f"{told}\n{log[-16_384:]}".strip(), seconds=seconds)


def cause(log: str) -> str | None:
    """Read in what torchrun wrote which process was killed first and by what; None where it tells of no signal.

    A process that raises says more itself, in the log and, if it is rank 0, in its event.
    """
    root = log.rpartition("Root Cause")[2] if "Root Cause" in log else ""
    rank, code = re.search(r"rank\s*:\s*(\d+)", root), re.search(r"exitcode\s*:\s*(-?\d+)", root)
    if rank is None or code is None or int(code[1]) >= 0:
        return None
    try:
        name = signal.Signals(-int(code[1])).name
    except ValueError:
        name = f"signal {-int(code[1])}"
    return f"process {rank[1]} of the trial was killed by {name}"


def be_rank(job: TrialJob, place: Path, desk: Desk) -> None:
    """Be one of the processes of a trial; `place` is where its job lies."""
    device = pick_device(job.device)
    if device.type == "cuda":
        device = pick_device(f"cuda:{Ring.local_rank()}")
    ring = Ring.join(device)
    if not ring.leads:
        help_out(job, desk, ring, device)
        ring.leave()
        return
    desk.ring = ring
    with (place / _EVENTS).open("ab") as events:

        def emit(event: Event) -> None:
            events.write(to_line(event) + b"\n")
            events.flush()

        run_trial(replace(job, device=str(device)), emit, (place / _STOP).exists, desk)
    ring.hand_out(None)
    ring.leave()
