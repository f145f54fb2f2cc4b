"""A study among fakes: a strategy that counts, a backend that runs by a script, a clock that moves when told."""

from __future__ import annotations

import math
from dataclasses import replace

from seedbed.core.data.profile import Profile
from seedbed.core.search.candidate import Candidate, Fidelity, Proposal
from seedbed.core.search.compose import Composition
from seedbed.core.search.events import (
    EpochFinished,
    TrialFailed,
    TrialFinished,
    TrialStopped,
)
from seedbed.core.search.history import History
from seedbed.core.search.study import Ground, Study
from seedbed.core.space import Float, Param, Space
from seedbed.core.task import Task

PROFILE = Profile(
    task=Task(modality="image", kind="classification", classes=("a", "b"), metric="accuracy"),
    examples=100,
    train=70,
    valid=20,
    test=10,
    height=8,
    width=8,
    channels=1,
    mean=(0.5,),
    std=(0.5,),
)
BASELINE = Candidate({"yardstick": True})


def composition(*baselines):
    space = Space((Param("n", Float(0, 1000), 0.0),))
    return Composition(space=space, baselines=baselines, refusals=(), versions={"n:1": 7})


class Clock:
    """Moves when told."""

    def __init__(self, at=0.0):
        self.at = at

    def __call__(self):
        return self.at


class Counting:
    """A strategy that proposes the numbers from 0 on, and stops what it is told to."""

    def __init__(self, *, count=math.inf, seconds=None, stops=()):
        self.count, self.seconds, self.stops = count, seconds, stops
        self.draws = []
        self.left = []

    def propose(self, history, rng):
        number = sum(trial.role == "candidate" for trial in history)
        self.draws.append(rng.random())
        self.left.append(history.remaining)
        if number >= self.count:
            return None
        return Proposal(candidate=Candidate({"n": number}), fidelity=Fidelity(epochs=5, seconds=self.seconds))

    def should_stop(self, trial, history):
        return trial.number in self.stops


class Backend:
    """Runs a job by a script of its own; `polls` of the study are its time, `tick` seconds each."""

    def __init__(self, clock, *, slots=1, tick=1.0, script=None):
        self.clock, self.slots, self.tick, self.script = clock, slots, tick, script or finishes
        self.jobs, self.running, self.stopped = [], {}, []

    def free_slots(self):
        return self.slots - len(self.running)

    def submit(self, job):
        self.jobs.append(job)
        self.running[job.trial] = iter(self.script(job, lambda: job.trial in self.stopped))

    def stop(self, trial):
        self.stopped.append(trial)

    def poll(self, timeout):
        self.clock.at += self.tick
        events = []
        for trial, script in list(self.running.items()):
            event = next(script)
            if event is not None:
                events.append(event)
            if isinstance(event, TrialFinished | TrialStopped | TrialFailed):
                del self.running[trial]
        return events

    def idle(self):
        return not self.running


def look(job, score=0.5, *, is_best=True):
    return EpochFinished(
        trial=job.trial, epoch=1, progress=0.5, train_loss=1, valid_loss=1, score=score, seconds=1, is_best=is_best
    )


def finished(job, score=0.5):
    return TrialFinished(trial=job.trial, score=score, seconds=1, epochs=1, steps=1)


def finishes(job, is_stopped):
    yield look(job)
    yield finished(job)


def fails(job, is_stopped):
    yield TrialFailed(trial=job.trial, error="boom")


def obeys(job, is_stopped):
    yield look(job)
    while not is_stopped():
        yield look(job, is_best=False)
    yield TrialStopped(trial=job.trial, reason="asked to")


def obeys_or_finishes(job, is_stopped):
    for _ in range(3):
        yield look(job)
    yield TrialStopped(trial=job.trial, reason="asked to") if is_stopped() else finished(job)


def ignores_everything(job, is_stopped):
    yield look(job)
    while True:
        yield None


class Scene:
    """A study among fakes, and what came of it."""

    def __init__(self, tmp_path, *, strategy=None, budget, at=0.0, seed=0, baselines=(), history=None, **backend):
        self.clock = Clock(at)
        self.backend = Backend(self.clock, **backend)
        self.strategy = strategy or Counting()
        self.history = History() if history is None else history
        self.events, self.results, self.cancel_at = [], [], math.inf
        self.study = Study(
            ground=Ground(profile=PROFILE, data=tmp_path, splits=tmp_path, trials=tmp_path / "trials", seed=seed),
            strategy=self.strategy,
            backend=self.backend,
            budget=budget,
            history=self.history,
            composition=composition(*baselines),
            record=self.record,
            now=self.clock,
            cancelled=lambda: self.clock.at >= self.cancel_at,
            on_result=self.results.append,
        )

    def record(self, event):
        event = replace(event, at=self.clock.at)
        self.events.append(event)
        self.history.apply(event)

    def run(self):
        # A study that does not end would hang the tests: no scene here takes longer than this.
        ends = self.clock.at + 500
        before = self.study.cancelled
        self.study.cancelled = lambda: self.clock.at > ends or before()
        reason = self.study.run()
        assert self.clock.at <= ends, "the study goes on for ever"
        return reason
