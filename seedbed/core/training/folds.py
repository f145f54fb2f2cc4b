"""One candidate judged over folds: each row is predicted by a model that has not seen it; then one learns from all.

Where rows are few, a single validation part is a lottery: of 36 series it would have seven. The model that
is kept is trained on all rows, as the folds were; its score is that of the folds' predictions together.

What is measured without targets (mean and deviation of the values, a vocabulary) was measured once, on one draw
of four fifths of these rows, for all folds: so a fold's held-out rows may have had a part in that.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np

from seedbed.core.data.splitting.split import Splits
from seedbed.core.errors import TrialError
from seedbed.core.search.events import Event
from seedbed.core.training.context import ENDING_SHARE, LOOKS, Context, Result
from seedbed.core.training.member import CHECKPOINT, PREDICTIONS
from seedbed.core.training.predictions import Predictions, load_predictions

CHECKED_ROWS = 200
"""Of those that were judged, by which it is checked that learning from them made nothing worse."""

_LEAST_LENGTH = 0.5
"""Of the folds' epochs, what the last training must have come to for its model to be kept."""


def over_folds(context: Context, train: Callable[[Context], Result]) -> Result:
    """Train on all folds but one, for each, and then on all; the context's folder holds the last model."""
    pool = np.sort(np.concatenate([context.splits.train, context.splits.valid]))
    folds = context.splits.folds[pool].astype(np.int64)
    pool, folds = pool[folds >= 0], folds[folds >= 0] % context.job.profile.folds
    numbers, folds = np.unique(folds, return_inverse=True)
    if len(numbers) < 2:  # whole groups, all of them in one: nothing would be left to train on
        return train(context)
    parts: list[_Fold] = []
    for number in range(len(numbers)):
        left = len(numbers) - number
        parts.append(_run_fold(context, train, number, pool[folds != number], pool[folds == number], left=left))
        context.row_seconds = fmean(each.row_seconds for each in parts)
    predictions = _joined([each.predictions for each in parts])
    predictions.save(context.folder / PREDICTIONS)
    has_views = sum(each.has_views for each in parts) > len(parts) / 2
    context.member = replace(context.member, test_time_views=has_views)
    context.member.save(context.folder)
    result = _train_last(context, train, pool, predictions, epochs=fmean(each.result.epochs for each in parts))
    shutil.rmtree(context.folder / "folds", ignore_errors=True)
    context.best_score = float(context.metric(predictions.targets, predictions.outputs))
    return replace(result, score=context.best_score)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fold:
    predictions: Predictions
    result: Result
    row_seconds: float
    has_views: bool


def _run_fold(
    context: Context, train: Callable[[Context], Result], number: int, rows: np.ndarray, held: np.ndarray, *, left: int
) -> _Fold:
    """Train on `rows` and predict `held`; `left` folds are still to be run, this one among them.

    The last training, on all rows, needs more than a fold's time for as many epochs.
    """
    now, end = context.clock(), _end(context)
    is_first = number == 0
    folder = _folder_of(context, number)
    folder.mkdir(parents=True, exist_ok=True)
    part = replace(
        context,
        job=replace(context.job, folder=str(folder), rows_after=0),
        splits=_with_parts(context.splits, rows, held),
        emit=context.emit if is_first else _silent,  # one curve tells of all
        looks=LOOKS if is_first else 1,
        keeps_last=True,
        started=now,
        deadline=None if end is None else now + (end - now) / (left + (len(rows) + len(held)) / len(rows)),
        notes=context.notes if is_first else [],
    )
    result = train(part)
    return _Fold(
        predictions=load_predictions(folder / PREDICTIONS),
        result=result,
        row_seconds=part.row_seconds,
        has_views=part.member.test_time_views,
    )


def _train_last(
    context: Context, train: Callable[[Context], Result], pool: np.ndarray, judged: Predictions, *, epochs: float
) -> Result:
    """Train on all rows for as long as the folds did; where that does not come off, the model of a fold is kept.

    As where others begin to use the machine. What has fewer epochs, or a head that was not fitted to the end as those
    of the folds were, or says less of the rows than those who had not seen them, is no longer what was judged.
    """
    job = replace(context.job, fidelity=replace(context.job.fidelity, epochs=epochs), rows_after=0)
    last = replace(on_all_rows(context, pool, judged), job=job, deadline=_end(context))
    short: list[str] = []
    try:
        result = train(last)
    except TrialError as error:  # it diverged, or its time was over
        result = Result(score=math.nan, epochs=0.0, steps=0)
        short.append(str(error))
    short += [note for note in last.notes if note not in context.notes]
    if not short and result.epochs < _LEAST_LENGTH * epochs:
        short.append(f"{result.epochs:.1f} of {epochs:.1f} epochs fitted into its time.")
    elif last.got_worse:
        short.append("It says less of them than models that had not seen them.")
    if short:
        (_folder_of(context, 0) / CHECKPOINT).replace(context.folder / CHECKPOINT)
        context.notes.append(
            f"The first fold's model is kept, not that of the last training, on all rows: {' '.join(short)}"
        )
    return result


def _end(context: Context) -> float | None:
    """Return until when models may be trained, with time kept free for the scoring that comes after the trial."""
    if context.deadline is None:
        return None
    most = ENDING_SHARE * (context.deadline - context.started)
    return context.deadline - min(context.scoring_seconds(), most)


def _folder_of(context: Context, number: int) -> Path:
    return context.folder / "folds" / str(number)


def on_all_rows(context: Context, pool: np.ndarray | None = None, judged: Predictions | None = None) -> Context:
    """Return the context in which a model learns from all rows of training and validation, judged by none.

    `pool` (n,) are these rows, where not all of them may be trained on. Of what was `judged` before, the model is held
    to a few rows.
    """
    if pool is None:
        learnable = context.splits.valid[context.splits.folds[context.splits.valid] >= 0]
        pool = np.sort(np.concatenate([context.splits.train, learnable]))
    return replace(
        context,
        splits=_with_parts(context.splits, pool, pool[:0]),
        emit=_silent,
        looks=1,
        keeps_last=True,
        started=context.clock(),
        notes=[],
        judged=None if judged is None else _few(judged),
    )


def _few(judged: Predictions) -> Predictions:
    """Return some of the predictions, from the first to the last."""
    some = np.linspace(0, len(judged) - 1, min(CHECKED_ROWS, len(judged))).astype(np.int64)
    return Predictions(rows=judged.rows[some], targets=judged.targets[some], outputs=judged.outputs[some])


def _with_parts(splits: Splits, train: np.ndarray, valid: np.ndarray) -> Splits:
    return replace(splits, train=train, valid=valid)


def _joined(members: list[Predictions]) -> Predictions:
    rows = np.concatenate([each.rows for each in members])
    order = np.argsort(rows)
    return Predictions(
        rows=rows[order],
        targets=np.concatenate([each.targets for each in members])[order],
        outputs=np.concatenate([each.outputs for each in members])[order],
    )


def _silent(event: Event) -> None:
    """Say nothing."""
