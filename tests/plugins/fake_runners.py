"""Runners for workers in tests: what a job does is written in its candidate; none of them needs torch."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from seedbed.core.data.profile import Profile
from seedbed.core.search.candidate import Candidate, EvaluationJob, Fidelity, TrialJob
from seedbed.core.search.events import EpochFinished, TrialFinished, TrialStopped
from seedbed.core.task import Task

PROFILE = Profile(
    task=Task(modality="image", kind="classification", classes=("a", "b"), metric="accuracy"),
    examples=4,
    train=2,
    valid=2,
    test=0,
    height=8,
    width=8,
    channels=1,
    mean=(0.5,),
    std=(0.5,),
)


def trial_job(trial, do, *, seconds=None, grace=10.0, **more):
    return TrialJob(
        trial=trial,
        candidate=Candidate({"do": do, **more}),
        fidelity=Fidelity(epochs=1, seconds=seconds),
        profile=PROFILE,
        data="data",
        splits="splits",
        folder="folder",
        seed=0,
        grace=grace,
    )


def evaluation_job(do, **more):
    return EvaluationJob(
        bundle=do, profile=PROFILE, part="test", data="d", splits="s", valid="v", output="o", scores="c", **more
    )


def epoch(job, score=0.5):
    return EpochFinished(
        trial=job.trial,
        epoch=1,
        progress=1,
        train_loss=None,
        valid_loss=None,
        score=score,
        seconds=1,
        is_best=True,
    )


def finished(job, *notes):
    return TrialFinished(trial=job.trial, score=0.5, seconds=1, epochs=1, steps=1, notes=(str(os.getpid()), *notes))


def run(job, emit, should_stop, desk):
    do = job.bundle if isinstance(job, EvaluationJob) else job.candidate.values["do"]
    globals()[do](job, emit, should_stop)


def finish(job, emit, should_stop):
    emit(epoch(job))
    emit(finished(job))


def raise_error(job, emit, should_stop):
    raise ValueError("the loss is a banana \udc80")


def raise_exit(job, emit, should_stop):
    sys.exit(3)


def say_nothing(job, emit, should_stop):
    pass


def finish_twice(job, emit, should_stop):
    emit(finished(job))
    emit(finished(job))
    emit(epoch(job))


def report_nan(job, emit, should_stop):
    emit(epoch(job, score=float("nan")))


def kill_itself(job, emit, should_stop):
    sys.stderr.write("I ate all the memory\n")
    os.kill(os.getpid(), signal.SIGKILL)


def crash_in_native_code(job, emit, should_stop):
    ctypes.string_at(0)


def eat_memory(job, emit, should_stop):
    """Joins a control group with little memory, and takes more."""
    Path(job.candidate.values["group"], "cgroup.procs").write_text(str(os.getpid()))
    pages = bytearray(job.candidate.values["bytes"])
    for place in range(0, len(pages), 4096):
        pages[place] = 1


def work_silently(job, emit, should_stop):
    """Goes on for a while without an event, as a long training between two looks."""
    until = time.monotonic() + job.candidate.values["last"]
    while time.monotonic() < until and not should_stop():
        time.sleep(0.01)
    emit(finished(job))


def exit_at_once(job, emit, should_stop):
    os._exit(7)


def hang(job, emit, should_stop):
    emit(epoch(job))
    time.sleep(600)


def ignore_sigterm(job, emit, should_stop):
    # Not signal.signal: that works in the main thread only, and a worker may run jobs wherever it likes.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    hang(job, emit, should_stop)


def freeze(job, emit, should_stop):
    os.kill(os.getpid(), signal.SIGSTOP)


def obey(job, emit, should_stop):
    emit(epoch(job))
    while not should_stop():
        time.sleep(0.01)
    emit(TrialStopped(trial=job.trial, reason="asked to", seconds=1))


def print_much(job, emit, should_stop):
    sys.stdout.write('{"event": "TrialFinished"}\n')
    os.write(1, b"from native code\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    sys.stdout.write(f"read: {sys.stdin.read()!r}\n")
    emit(finished(job))


def show_environment(job, emit, should_stop):
    emit(finished(job, os.environ.get("OMP_NUM_THREADS", ""), str(signal.getsignal(signal.SIGINT))))


def leave_child_and_die(job, emit, should_stop):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    write_pid(job, child.pid)
    os.kill(os.getpid(), signal.SIGKILL)


def fork_and_die(job, emit, should_stop):
    """The child holds the pipe of the events open; in a session of its own it is even out of reach."""
    child = os.fork()
    if not child:
        if job.candidate.values.get("escape"):
            os.setsid()
        time.sleep(30)
        os._exit(0)
    write_pid(job, child)
    time.sleep(0.2)  # time for setsid
    os.kill(os.getpid(), signal.SIGKILL)


def leave_child_and_hang(job, emit, should_stop):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    write_pid(job, child.pid)
    hang(job, emit, should_stop)


def write_pid(job, pid):
    Path(job.candidate.values["file"]).write_text(str(pid))


def meet(job, emit, should_stop):
    """Ends only if another job runs at the same time."""
    folder = Path(job.candidate.values["folder"])
    (folder / str(job.trial)).touch()
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.01)
    emit(finished(job))
