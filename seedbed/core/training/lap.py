"""A last lap, after a candidate was judged: it learns from the rows it was judged by as well.

A validation part is a fifth of what there is to learn from where rows are few, and what is left out of a model for
good is missed in use. What was judged is what the leaderboard shows; the lap only begins where that ended, and
what it makes worse is thrown away.
"""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from seedbed.core.errors import OutOfTime
from seedbed.core.training.context import Context
from seedbed.core.training.evaluate import Stopped
from seedbed.core.training.folds import on_all_rows
from seedbed.core.training.member import CHECKPOINT, JUDGED, PREDICTIONS
from seedbed.core.training.predictions import load_predictions

log = logging.getLogger(__name__)

SINCE = 0.5
"""Where in its schedule the learning rate begins again, and how much of the epochs are done once more at most."""

LEAST_LAP = 0.25
"""Of those epochs, what a lap must come to: a few steps at a high rate that never falls teach nothing."""

_SHARE = 0.3
"""Of a trial's time."""

_NOISE, _LIKE = 2.0, 0.05
"""How many standard errors behind the best a model may still be kept, if only in an ensemble; of scores that are no
share of rows, for which there is no such error, what share of them stands in its place."""

_LEAST_GAIN = 0.1
"""Of all rows, what the validation rows must be for it: a few per cent more teach little."""


def may_learn_more(context: Context) -> bool:
    """Whether the rows it was judged by may be learnt from."""
    is_part = context.keeps_last  # of folds, after which all rows are learnt from anyway
    if is_part or context.job.is_yardstick or not context.job.fidelity.is_full:
        return False
    if context.job.profile.has_own_valid or not len(context.valid_rows):
        return False
    return len(on_all_rows(context).train_rows) > len(context.train_rows)


def has_lap(context: Context) -> bool:
    """Whether a training that is judged goes on with all rows."""
    if not may_learn_more(context):
        return False
    total = len(on_all_rows(context).train_rows)
    return total - len(context.train_rows) >= _LEAST_GAIN * total


def may_be_kept(context: Context, score: float) -> bool:
    """Whether a score is not so far behind the best when the trial began that nobody will use its model."""
    bar, task = context.job.to_beat, context.job.profile.task
    if bar is None:
        return True
    is_share = task.direction == "max" and task.kind != "regression" and 0 <= bar <= 1
    rows = max(len(context.valid_rows), 1)
    slack = _NOISE * math.sqrt(bar * (1 - bar) / rows) if is_share else _NOISE * _LIKE * abs(bar)
    return task.worth(score) >= task.worth(bar) - slack


@contextmanager
def time_for_lap(context: Context) -> Iterator[None]:
    """Keep a share of the trial's time free; what comes after the trial is then the lap's to think of."""
    job, deadline = context.job, context.deadline
    if deadline is not None and math.isfinite(deadline):
        context.deadline = deadline - _SHARE * (deadline - context.clock())
    context.job = replace(job, rows_after=0)
    try:
        yield
    finally:
        context.job, context.deadline = job, deadline


def lap_of(context: Context, epochs: float) -> Context:
    """Return the context of the lap, in a folder of its own, after a training of so many epochs."""
    folder = context.folder / "lap"
    folder.mkdir(exist_ok=True)
    fidelity = replace(context.job.fidelity, epochs=SINCE * epochs)
    judged = load_predictions(context.folder / PREDICTIONS)
    return replace(on_all_rows(context, judged=judged), job=replace(context.job, folder=str(folder), fidelity=fidelity))


def adopt(context: Context, lap: Context, learnt: str) -> None:
    """Let the model of the lap take the place of the one that was judged, unless it is worse on what it learnt.

    `learnt` says how it came by what it knows more.
    """
    if lap.got_worse:
        context.notes.append("Trained on with the validation rows it became worse: it stays as it was judged.")
        return
    if context.job.resumable:  # whoever goes on from here must judge what was judged
        (context.folder / CHECKPOINT).replace(context.folder / JUDGED)
    (lap.folder / CHECKPOINT).replace(context.folder / CHECKPOINT)
    context.knows_valid = True
    context.notes.append(f"After it was judged, {learnt}, with the validation rows as well.")


@contextmanager
def unharmed(context: Context) -> Iterator[None]:
    """Let a model learn more in a context that is judged already: whatever goes wrong, the result stays."""
    try:
        yield
    except (Stopped, OutOfTime) as error:
        if context.job.resumable and isinstance(error, Stopped):  # its machine may be taken away: it goes on elsewhere
            raise
    except Exception:  # a candidate's code is a plugin's border
        log.warning("What was judged could not learn from all rows, and stays as it was.", exc_info=True)
    finally:
        if not context.job.resumable:
            shutil.rmtree(context.folder / "lap", ignore_errors=True)
