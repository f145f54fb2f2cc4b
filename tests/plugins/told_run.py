"""Events of a run, for the monitors to tell."""

from __future__ import annotations

from dataclasses import replace

from seedbed.core.data.profile import Finding, Profile
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import (
    BundleSaved,
    DataDescribed,
    EpochFinished,
    FindingMade,
    RunStarted,
    StageEntered,
    TrialFailed,
    TrialFinished,
    TrialStarted,
)
from seedbed.core.search.history import History
from seedbed.core.task import Task

CANDIDATE = Candidate({"architecture": "small_resnet", "policy": "scratch", "optimizer": "sgd"})
BROKEN = Finding(
    check="broken_images",
    severity="warning",
    evidence="7 files cannot be decoded.",
    remedy="They are left out.",
    rows=tuple(f"[{n}].png" for n in range(7)),
    count=7,
)


def profile(metric="accuracy"):
    return Profile(
        task=Task(modality="image", kind="classification", metric=metric, classes=("a", "b")),
        examples=1797,
        train=1152,
        valid=285,
        test=360,
        height=8,
        width=8,
        channels=1,
        mean=(0.3,),
        std=(0.3,),
    )


def started(trial):
    return TrialStarted(trial=trial, candidate=CANDIDATE, fidelity=Fidelity(seconds=20.0))


def epoch(trial, score=0.9):
    return EpochFinished(
        trial=trial,
        epoch=2.5,
        progress=0.4,
        train_loss=1.0,
        valid_loss=1.0,
        score=score,
        seconds=3.0,
        is_best=True,
        lr=0.01,
    )


def finished(trial, score):
    return TrialFinished(trial=trial, score=score, seconds=5.0, epochs=6.0, steps=100)


RUN = (
    RunStarted(version="0.1.0", source="photos/", seed=0, budget_seconds=60.0),
    StageEntered(stage="reading", detail="photos/", at=0.1),
    FindingMade(finding=BROKEN, at=0.2),
    DataDescribed(profile=profile(), at=0.3),
    StageEntered(stage="searching", at=0.4),
    started(0),
    epoch(0, 0.81),
    finished(0, 0.81),
    BundleSaved(trials=(0,), weights=(1.0,), score=0.81, at=5.0),
    started(1),
    started(2),
    epoch(2, 0.92),
    TrialFailed(trial=1, error="RuntimeError: boom\nsecond line", at=6.0),
)


def show(monitor, events, history=None):
    history = history or History()
    for event in events:
        history.apply(event)
        monitor.on_event(event, history)
    return history


FOLDED = DataDescribed(profile=replace(profile(), folds=5), at=1.0)
