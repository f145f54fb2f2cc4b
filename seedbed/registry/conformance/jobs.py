"""Jobs that do what their candidate says, for contracts of backends: no training, no torch.

A backend whose options have a field `runner` ("module:function") is tested with `run` below in the place of
the engine's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from seedbed.core.search.candidate import Candidate, Fidelity, Job, TrialJob
from seedbed.core.search.events import EpochFinished, Event, TrialFinished, TrialStopped
from seedbed.registry.conformance.samples import profile_of

RUNNER = f"{__name__}:run"
Behaviour = Literal["finish", "fail", "wait"]

_PATIENCE = 60.0  # seconds; a job that nobody stops must not run for ever


def job_that(behaviour: Behaviour, *, trial: int, folder: Path) -> TrialJob:
    """Return a job that finishes, that fails, or that waits until it is asked to stop."""
    return TrialJob(
        trial=trial,
        candidate=Candidate({"architecture": "small", "policy": behaviour}),
        fidelity=Fidelity(epochs=1),
        profile=profile_of(),
        data=str(folder / "data"),
        splits=str(folder / "splits.parquet"),
        folder=str(folder / "trials" / f"{trial:04}"),
        seed=0,
    )


def run(job: Job, emit: Callable[[Event], None], should_stop: Callable[[], bool], desk: object) -> None:
    """Do as the job's candidate says; takes what the engine's own runner takes."""
    assert isinstance(job, TrialJob)
    emit(_look(job.trial))
    behaviour = job.candidate.component("policy")
    if behaviour == "fail":
        raise ValueError("the contract asked for this")
    began = time.monotonic()
    while behaviour == "wait" and not should_stop() and time.monotonic() - began < _PATIENCE:
        time.sleep(0.01)
    if behaviour == "wait":
        emit(TrialStopped(trial=job.trial, reason="asked to", seconds=time.monotonic() - began))
    else:
        emit(TrialFinished(trial=job.trial, score=0.5, seconds=0.1, epochs=1.0, steps=1))


def _look(trial: int) -> EpochFinished:
    return EpochFinished(
        trial=trial,
        epoch=1.0,
        progress=1.0,
        train_loss=1.0,
        valid_loss=1.0,
        score=0.5,
        seconds=0.1,
        is_best=True,
    )
