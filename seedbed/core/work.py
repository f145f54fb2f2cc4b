"""What a worker does with a job, the same in this process, in another, and on another machine."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from seedbed.core.results.predict import Model
from seedbed.core.results.scoring import score_all
from seedbed.core.search.candidate import EvaluationJob, Job, TrialJob
from seedbed.core.search.events import BundleEvaluated, EvaluationFailed, Event
from seedbed.core.training.desk import Desk
from seedbed.core.training.evaluate import Stop
from seedbed.core.training.predictions import Predictions
from seedbed.core.training.trial import run_trial

__all__ = ["Desk", "run"]


def run(job: Job, emit: Callable[[Event], None], should_stop: Stop, desk: Desk) -> None:
    """Do a job; its events end with exactly one terminal one."""
    if isinstance(job, TrialJob):
        run_trial(job, emit, should_stop, desk)
    else:
        evaluate_bundle(job, emit, should_stop, desk)


def evaluate_bundle(job: EvaluationJob, emit: Callable[[Event], None], should_stop: Stop, desk: Desk) -> None:
    """Score a bundle on rows that played no part in making it, loaded afresh as `predict` loads it."""
    began = time.monotonic()
    try:
        splits = desk.open_splits(job.splits)
        rows = splits.test if job.part == "test" else splits.valid
        rows = rows[splits.targets[rows] >= 0]
        model = Model(Path(job.bundle), desk.lookup, job.device)
        probabilities = model.predict_prepared(Path(job.data), rows, should_stop)
        targets = splits.targets[rows]
        Predictions(rows, targets, probabilities).save(Path(job.output))
        metrics = score_all(targets, probabilities, job.profile.task, desk.lookup)
        honest = ~np.isin(rows, splits.leaked) if job.part == "test" else np.ones(len(rows), dtype=bool)
        apart = {}
        if honest.any() and not honest.all():
            apart = score_all(targets[honest], probabilities[honest], job.profile.task, desk.lookup)
    except Exception as error:  # plugins' code runs here
        emit(
            EvaluationFailed(
                error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc(), trial=job.trial
            )
        )
        return
    emit(
        BundleEvaluated(
            part=job.part,
            metrics=metrics,
            examples=len(rows),
            seconds=time.monotonic() - began,
            leaked=int((~honest).sum()),
            metrics_without_leaked=apart,
        )
    )
