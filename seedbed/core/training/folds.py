"""One candidate judged over folds: each row is predicted by a model that has not seen it; then one learns from all.

Where rows are few, a single validation part is a lottery: of 36 series it would have seven. The model that
is kept is trained on all rows, as the folds were, unless there was no time for that; its score is that of the folds'
predictions together.

What is measured without targets (mean and deviation of the values, a vocabulary) was measured once, on one draw
of four fifths of these rows, for all folds: so a fold's held-out rows may have had a part in that.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

import numpy as np

from seedbed.core.data.splitting.split import Splits
from seedbed.core.errors import TrialError
from seedbed.core.search.policies import POLICIES
from seedbed.core.training.context import ENDING_SHARE, LOOKS, Context, Result
from seedbed.core.training.evaluate import Stopped
from seedbed.core.training.member import CHECKPOINT, PREDICTIONS
from seedbed.core.training.predictions import Predictions, load_predictions
from seedbed.core.training.subset import nested

log = logging.getLogger(__name__)

CHECKED_ROWS = 200
"""Of those that were judged, by which it is checked that learning from them made nothing worse."""

_LEAST_LENGTH = 0.5
"""Of a fold's epochs, what the last training must have come to for its model to be kept."""


def over_folds(context: Context, train: Callable[[Context], Result]) -> Result:
    """Train on all folds but one, for each, and then on all; the context's folder holds the last model.

    Where the last training does not come off, it holds that of a fold.
    """
    pool = np.sort(np.concatenate([context.splits.train, context.splits.valid]))
    folds = context.splits.folds[pool].astype(np.int64)
    pool, folds = pool[folds >= 0], folds[folds >= 0] % context.job.profile.folds
    numbers, folds = np.unique(folds, return_inverse=True)
    if len(numbers) < 2:  # whole groups, all of them in one: nothing would be left to train on
        return train(context)
    parts: list[_Fold] = []
    try:
        for number in range(len(numbers)):
            left = len(numbers) - number
            rows = nested(pool[folds != number], context.splits, context.job.fidelity.subset)
            parts.append(_run_fold(context, train, number, rows, pool[folds == number], left=left))
            context.row_seconds = sum(each.row_seconds * len(each.predictions) for each in parts) / sum(
                len(each.predictions) for each in parts
            )
        context.notes += parts[0].notes
        predictions = _joined([each.predictions for each in parts])
        predictions.save(context.folder / PREDICTIONS)
        has_views = sum(each.has_views for each in parts) > len(parts) / 2
        context.member = replace(context.member, test_time_views=has_views)
        context.member.save(context.folder)
        whole = nested(pool, context.splits, context.job.fidelity.subset)
        result = _train_last(context, train, whole, predictions, parts)
    finally:
        if not context.job.resumable:  # else what was done is needed by whoever goes on; the trial's end removes it
            shutil.rmtree(context.folder / "folds", ignore_errors=True)
    context.best_score = float(context.metric(predictions.targets, predictions.outputs))
    return replace(result, score=context.best_score)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fold:
    number: int
    learnt: int
    predictions: Predictions
    result: Result
    row_seconds: float
    has_views: bool
    notes: tuple[str, ...]


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
        tells=is_first,
        looks=LOOKS if is_first else 1,
        keeps_last=True,
        started=now,
        deadline=None if end is None else now + (end - now) / (left + (len(rows) + len(held)) / len(rows)),
        notes=[],
    )
    result = train(part)
    return _Fold(
        number=number,
        learnt=len(rows),
        predictions=load_predictions(folder / PREDICTIONS),
        result=result,
        row_seconds=part.row_seconds,
        has_views=part.member.test_time_views,
        notes=tuple(part.notes),
    )


def _train_last(
    context: Context,
    train: Callable[[Context], Result],
    pool: np.ndarray,
    judged: Predictions,
    parts: Sequence[_Fold],
) -> Result:
    """Train on all rows for as long as the folds did; where that does not come off, the model of a fold is kept.

    As where others begin to use the machine. What has far fewer epochs, or a head that was not fitted to the end
    while a fold's was, or says less of the rows than those who had not seen them, is no longer what was judged. Of
    the folds' models it is then one that learnt from the most rows, without trouble where there is any such.
    """
    epochs = fmean(each.result.epochs for each in parts)
    job = replace(context.job, fidelity=replace(context.job.fidelity, epochs=epochs), rows_after=0)
    last = replace(on_all_rows(context, pool, judged), job=job, deadline=_end(context))
    stand_in = max(parts, key=lambda each: (not each.notes or _trains(context), each.learnt, -each.number))
    short: list[str] = []
    try:
        result = train(last)
    except Stopped:
        raise
    except Exception as error:  # a candidate's code is a plugin's border; it has been judged already
        log.warning("The last training, on all rows, failed.", exc_info=not isinstance(error, TrialError))
        result = stand_in.result
        short.append(str(error) or type(error).__name__)
    else:
        if result.epochs < _LEAST_LENGTH * median(each.result.epochs for each in parts):
            short.append(f"{result.epochs:.1f} of {epochs:.1f} epochs fitted into its time.")
        elif last.got_worse:
            short.append("It says less of them than models that had not seen them.")
        elif not _trains(context) and last.notes and not stand_in.notes:
            short += last.notes
    context.model = last.model
    context.notes += [note for note in last.notes if note not in (*context.notes, *short)]
    if not short:
        return result
    (_folder_of(context, stand_in.number) / CHECKPOINT).replace(context.folder / CHECKPOINT)
    context.notes.append(f"A fold's model is kept, not that of the last training, on all rows: {' '.join(short)}")
    return stand_in.result


def _trains(context: Context) -> bool:
    """Whether more is trained than a head; then a head that was cut short was only where training began."""
    return POLICIES[context.job.candidate.component("policy")].trains


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
        tells=False,
        looks=1,
        keeps_last=True,
        started=context.clock(),
        notes=[],
        judged=None if judged is None else _few(judged),
    )


def _few(judged: Predictions) -> Predictions:
    """Return some of the predictions, drawn at random: rows may lie in an order of their own."""
    some = np.sort(np.random.default_rng(0).permutation(len(judged))[:CHECKED_ROWS])
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
