"""Backends, readers and checks, each with one fault, which its name tells; the kit must find it."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import traceback
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import resolve_name

from seedbed import BackendSpec, CheckSpec, Finding, ReaderSpec, hookimpl
from seedbed.core.search.events import TERMINAL, TrialFailed
from seedbed.registry.conformance.pictures import read_pictures


@dataclass(frozen=True)
class Options:
    runner: str = ""


class Backend:
    """One thread for each job, without a fault; each of those below adds one."""

    def __init__(self, options, workplace):
        self.run = resolve_name(options.runner)
        self.events, self.stops, self.running = deque(), {}, 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for stop in self.stops.values():
            stop.set()

    def free_slots(self):
        return 1 - self.running

    def submit(self, job):
        self.running += 1
        self.stops[job.trial] = threading.Event()
        threading.Thread(target=self.work, args=(job, self.stops[job.trial]), daemon=True).start()

    def work(self, job, stop):
        try:
            self.run(job, self.emit, stop.is_set, None)
        except Exception as error:
            self.emit(self.failure(job, error))

    def failure(self, job, error):
        return TrialFailed(trial=job.trial, error=str(error), traceback=traceback.format_exc())

    def emit(self, event):
        self.events.append(event)

    def stop(self, trial):
        if trial in self.stops:
            self.stops[trial].set()

    def poll(self, timeout):
        if not self.events:
            threading.Event().wait(min(timeout, 0.02))
        found = [self.events.popleft() for _ in range(len(self.events))]
        self.running -= any(isinstance(event, TERMINAL) for event in found)
        return found

    def idle(self):
        return self.running <= 0 and not self.events


class SaysItTwice(Backend):
    def emit(self, event):
        super().emit(event)
        if isinstance(event, TERMINAL):
            super().emit(event)


class LosesTheEnd(Backend):
    def emit(self, event):
        if not isinstance(event, TERMINAL):
            super().emit(event)


class KeepsTheTraceback(Backend):
    def failure(self, job, error):
        return replace(super().failure(job, error), traceback="")


class DoesNotListen(Backend):
    def stop(self, trial):
        pass


class KnowsEveryJob(Backend):
    def stop(self, trial):
        self.stops[trial].set()


class LeavesAProcess(Backend):
    def submit(self, job):
        self.child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        super().submit(job)


class Reader:
    def __init__(self, options):
        pass

    def recognises(self, path):
        return any(path.iterdir())

    def read(self, source, context):
        if not Path(source).exists():
            raise FileNotFoundError(source)
        return read_pictures(Path(source))


class Shuffles(Reader):
    def read(self, source, context):
        found = super().read(source, context)
        return replace(found, rows=found.rows.shuffle(seed=random.randrange(2**30)))


class LeavesOutThePart(Reader):
    def read(self, source, context):
        found = super().read(source, context)
        return replace(found, rows=found.rows.remove_columns("part"))


class TakesEveryFolder(Reader):
    def recognises(self, path):
        return True


def complains_about_clean_data(options):
    return lambda given: [Finding(check="x", severity="error", evidence="Bad.", remedy="Buy new.")]


def writes_beside_the_data(options):
    def check(given):
        (given.prepared.folder / "seen").touch()
        return []

    return check


def finds_something_new_each_time(options):
    return lambda given: [Finding(check="x", severity="info", evidence=str(random.random()))]


@hookimpl
def register_backends():
    yield from _specs(
        BackendSpec,
        {
            "says_it_twice": SaysItTwice,
            "loses_the_end": LosesTheEnd,
            "keeps_the_traceback": KeepsTheTraceback,
            "does_not_listen": DoesNotListen,
            "knows_every_job": KnowsEveryJob,
            "leaves_a_process": LeavesAProcess,
        },
        options=Options,
    )


@hookimpl
def register_readers():
    yield from _specs(
        ReaderSpec,
        {
            "shuffles": Shuffles,
            "leaves_out_the_part": LeavesOutThePart,
            "takes_every_folder": TakesEveryFolder,
            "speaks_python": Reader,
        },
        folders=True,
    )
    yield from _specs(ReaderSpec, {"cannot_be_found": Reader})


@hookimpl
def register_checks():
    faults = (complains_about_clean_data, writes_beside_the_data, finds_something_new_each_time)
    yield from _specs(CheckSpec, {fault.__name__: fault for fault in faults})


def _specs(cls, builders, **facts):
    for name, build in builders.items():
        yield cls(name=name, summary="It has a fault.", build=f"{__name__}:{build.__name__}", **facts)
