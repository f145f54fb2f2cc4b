"""What of a run goes on the leaderboard: its trials, and what says the same of every row."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from seedbed.core.data.profile import Profile
from seedbed.core.errors import DataError
from seedbed.core.results.leaderboard import NO_TRIAL, Entry
from seedbed.core.search.history import History, Trial
from seedbed.core.training.predictions import Predictions


def entries_from(
    history: History, load: Callable[[int], Predictions], size: Callable[[int], int] = lambda trial: 0
) -> tuple[Entry, ...]:
    """Describe every trial of a run.

    `load` reads the predictions of a trial, not now but when it is ranked, and `size` finds the bytes of its model.
    """
    return tuple(_entry(trial, load, size) for trial in history)


def _entry(trial: Trial, load: Callable[[int], Predictions], size: Callable[[int], int]) -> Entry:
    is_ranked = trial.has_result and trial.status in ("finished", "stopped")
    result = trial.result
    return Entry(
        trial=trial.number,
        status=trial.status,
        role=trial.role,
        label=trial.label,
        seconds=trial.seconds,
        score=trial.score,
        reason=trial.reason,
        predictions=partial(load, trial.number) if is_ranked else None,
        size_bytes=(size(trial.number) if is_ranked else 0) or (result.size_bytes if result is not None else 0),
        memory_bytes=0 if result is None else result.memory_bytes,
        latency_p50=0.0 if result is None else result.latency_p50,
        latency_p95=0.0 if result is None else result.latency_p95,
        billed_seconds=trial.billed_seconds,
    )


def baseline_entry(predictions: Predictions, profile: Profile) -> Entry:
    """Return the baseline that says the same of every row: what training has most of, or in the mean.

    For classes it is their shares of the training part, for labels each one's, for values their mean.
    `predictions` lends its rows and targets.

    Raises:
        DataError: the profile is of another task.
    """
    labels = {"classification": "majority class", "multilabel": "label shares", "regression": "training mean"}
    kind, counts = profile.task.kind, np.asarray(profile.class_counts, dtype=np.float64)
    total = float(profile.train if kind == "multilabel" else counts.sum())
    if kind != predictions.kind or (kind != "regression" and (len(counts) != predictions.classes or total <= 0)):
        raise DataError(
            f"{list(profile.class_counts)} of {total:g} does not count the examples of {predictions.classes} classes "
            f"for {predictions.kind}; begin the run again."
        )
    same = np.float32(profile.target_mean) if kind == "regression" else (counts / total).clip(0, 1).astype(np.float32)
    outputs = np.broadcast_to(same, predictions.outputs.shape)
    return Entry(
        trial=NO_TRIAL,
        status="finished",
        role="baseline",
        label=labels[kind],
        seconds=0.0,
        predictions=Predictions(predictions.rows, predictions.targets, outputs),
    )
