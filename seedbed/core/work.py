"""What a worker does with a job, the same in this process, in another, and on another machine."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from seedbed.core.data.splitting.splits import Splits, is_known
from seedbed.core.results.predict import Model
from seedbed.core.results.report_tables import describe_scores, save_scores
from seedbed.core.results.scoring import score_all
from seedbed.core.search.candidate import EvaluationJob, Job, TrialJob
from seedbed.core.search.events import BundleEvaluated, EvaluationFailed, Event
from seedbed.core.training.desk import Desk
from seedbed.core.training.evaluate import Stop
from seedbed.core.training.launch import run_in_processes
from seedbed.core.training.predictions import Predictions, load_predictions
from seedbed.core.training.trial import run_trial

__all__ = ["Desk", "run"]


def run(job: Job, emit: Callable[[Event], None], should_stop: Stop, desk: Desk) -> None:
    """Do a job; its events end with exactly one terminal one."""
    if isinstance(job, TrialJob) and job.processes > 1:
        run_in_processes(job, emit, should_stop, desk)
    elif isinstance(job, TrialJob):
        run_trial(job, emit, should_stop, desk)
    else:
        evaluate_bundle(job, emit, should_stop, desk)


def evaluate_bundle(job: EvaluationJob, emit: Callable[[Event], None], should_stop: Stop, desk: Desk) -> None:
    """Score a bundle on rows that played no part in making it, loaded afresh as `predict` loads it."""
    began = time.monotonic()
    try:
        task, splits = job.profile.task, desk.open_splits(job.splits)
        parts = {"test": _predict_test(job, splits, should_stop, desk)} if job.part == "test" else {}
        parts["valid"] = load_predictions(Path(job.valid))
        scored = parts[job.part]
        found = {part: describe_scores(each, task, desk.lookup) for part, each in parts.items()}
        save_scores(Path(job.scores), found)
        honest = np.ones(len(scored), dtype=bool)
        apart = {}
        if job.part == "test":
            honest = ~np.isin(scored.rows, splits.leaked)
        if honest.any() and not honest.all():
            apart = score_all(scored.targets[honest], scored.outputs[honest], task, desk.lookup)
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
            metrics=found[job.part]["metrics"],
            examples=len(scored),
            seconds=time.monotonic() - began,
            leaked=int((~honest).sum()),
            metrics_without_leaked=apart,
        )
    )


def _predict_test(job: EvaluationJob, splits: Splits, should_stop: Stop, desk: Desk) -> Predictions:
    rows = splits.test[is_known(splits.targets[splits.test])]
    model = Model(Path(job.bundle), desk.lookup, job.device)
    source = desk.open_source(job.profile.task.modality, job.data, job.tokens, model.device)
    found = Predictions(rows, splits.targets[rows], model.predict_rows(source, rows, should_stop))
    found.save(Path(job.output))
    return found
