"""Runners for containers in tests: what a job does is written in its candidate, and files say how far it is."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from fake_runners import epoch, finished

from seedbed.core.search.events import TrialFailed, TrialRefused, TrialStopped


def run(job, emit, should_stop, desk):
    globals()[str(job.candidate.values.get("do", "tuned"))](job, emit, should_stop)


def finish(job, emit, should_stop):
    emit(replace(epoch(job, 0.91), valid_loss=0.31, train_loss=0.2, epoch=3.0))
    emit(replace(finished(job, job.data), score=0.93, epochs=3.0))


def obey(job, emit, should_stop):
    emit(epoch(job))
    while not should_stop():
        time.sleep(0.01)
    emit(TrialStopped(trial=job.trial, reason="asked to", seconds=1))


def ignore_the_stop(job, emit, should_stop):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    emit(finished_child(job, child.pid))
    while not should_stop():
        time.sleep(0.01)
    emit(epoch(job))
    time.sleep(600)


def finished_child(job, pid):
    return replace(epoch(job), epoch=float(pid))


def leave_an_orphan(job, emit, should_stop):
    """Its grandchild loses its parent, ends, and would stay a zombie if nobody asked for it."""
    code = "import subprocess as s, sys; print(s.Popen([sys.executable, '-c', ''], stdout=s.DEVNULL).pid)"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    while Path("/proc", done.stdout.strip()).exists():
        time.sleep(0.01)
    emit(finished(job, "reaped"))


def signal_a_fork(job, emit, should_stop):
    child = os.fork()
    if not child:
        time.sleep(600)
    os.kill(child, 15)
    _, status = os.waitpid(child, 0)
    emit(finished(job, str(os.waitstatus_to_exitcode(status)), f"stop={should_stop()}"))


def lose_its_losses(job, emit, should_stop):
    emit(replace(epoch(job, 0.5), train_loss=float("inf"), valid_loss=float("nan")))
    emit(finished(job))


def report_nan(job, emit, should_stop):
    emit(epoch(job, float("nan")))


def fail_at_length(job, emit, should_stop):
    emit(TrialFailed(trial=job.trial, error="it \u00e4ched", traceback="begin" + "\u00e4\n" * 400_000 + "end"))


def refuse(job, emit, should_stop):
    emit(TrialRefused(trial=job.trial, reason="too large"))


def kill_itself(job, emit, should_stop):
    emit(epoch(job))
    os.kill(os.getpid(), 9)


def print_much(job, emit, should_stop):
    sys.stdout.write("seedbed-event {}\n")
    os.write(1, b"seedbed-event from native code\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    emit(finished(job))


def tuned(job, emit, should_stop):
    folder = Path(job.folder)
    folder.mkdir(parents=True)
    (folder / "weights").write_text("w")
    told = (*(f"{name}={value}" for name, value in job.candidate.values.items()), *job.candidate.versions)
    emit(epoch(job))
    emit(finished(job, *told))
