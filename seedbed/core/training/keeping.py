"""How a resumable trial keeps up its state while it trains, and takes it up again.

What comes before the loop is done again, and comes out the same: the net with its pretrained weights, the fit of a
head. The clock's decisions are remembered. A fold or a last training (`lap`) that was under way has a state of its own
in its own folder, and one that was done is taken up at its end. What a look was in the middle of is done again.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from seedbed.core.search.candidate import Decision, TrialJob
from seedbed.core.search.events import Event, TrialFinished, from_line, to_line
from seedbed.core.search.parcel import PASSING
from seedbed.core.training.context import Context
from seedbed.core.training.member import CHECKPOINT, JUDGED
from seedbed.core.training.resuming import STATE, identity, load_state, save_state

log = logging.getLogger(__name__)

SAVE_SHARE = 0.05
"""Of the time since the last save, what a save may take; where it takes longer there are fewer."""

FINISHED = "finished.json"
"""The end of a resumable trial: a machine that is started once more finds it, and trains nothing again."""


class Keeper:
    """The state of one training loop of a trial, and of the context around it.

    `found` is what an earlier attempt has left, None where there is none; `epoch` and `scores` are those of its looks.
    """

    def __init__(self, context: Context, clock: Callable[[], float] = time.monotonic) -> None:
        self._context, self._clock = context, clock
        self._last, self._took = -math.inf, 0.0
        self.epoch = 0.0
        self.scores: list[float] = []
        self.found = load_state(context.job)
        if self.found is not None:
            if (judged := context.folder / JUDGED).is_file():
                judged.replace(context.folder / CHECKPOINT)
            self._take_up(self.found["around"])
            log.info("Trial %s goes on from epoch %.2f.", context.job.trial, self.epoch)

    def note(self, epoch: float, scores: list[float]) -> None:
        """Remember what came of a look."""
        self.epoch, self.scores = epoch, list(scores)

    def keep(self, state: Callable[[], Mapping[str, Any]], *, at_once: bool = False) -> None:
        """Put down the loop's state if it is time for that, or `at_once`."""
        began = self._clock()
        if not at_once and self._took > SAVE_SHARE * (began - self._last):
            return
        save_state(self._context.job, {**state(), "around": self._around()})
        self._last = self._clock()
        self._took = self._last - began

    def _around(self) -> dict[str, Any]:
        context = self._context
        return {
            "epoch": self.epoch,
            "scores": self.scores,
            "best_score": context.best_score,
            "seen": list(context.seen),
            "notes": list(context.notes),
            "look_seconds": context.look_seconds,
            "row_seconds": context.row_seconds,
            "passed": context.passed,
            "age": context.seconds,
            "decided": [list(each) for each in context.decisions.log],
            "untold": [list(each) for each in context.decisions.untold],
        }

    def _take_up(self, found: Mapping[str, Any]) -> None:
        context = self._context
        self.epoch, self.scores = found["epoch"], list(found["scores"])
        context.best_score, context.look_seconds = found["best_score"], found["look_seconds"]
        context.row_seconds, context.passed = found["row_seconds"], found["passed"]
        context.seen[:], context.notes[:] = found["seen"], found["notes"]
        context.started = context.clock() - found["age"]
        context.decisions.go_on(decisions_of(found["decided"]), decisions_of(found["untold"]))


def decisions_of(rows: list[list[Any]]) -> tuple[Decision, ...]:
    """Read decisions back from JSON."""
    return tuple((str(name), value) for name, value in rows)


def remembered(job: TrialJob) -> tuple[Decision, ...]:
    """Return what the clock had decided in a resumable trial by the latest of the states that it has left."""
    if not job.resumable:
        return ()
    folder, logs = Path(job.folder), list[tuple[Decision, ...]]([()])
    for place in (folder, *sorted((folder / "folds").glob("*"))):
        if (place / STATE).is_dir() and (found := load_state(replace(job, folder=str(place)))) is not None:
            logs.append(decisions_of(found["around"]["decided"]))
    return max(logs, key=len)


def forget(job: TrialJob) -> None:
    """Remove the states of a trial that needs them no more."""
    if job.resumable:
        for place in PASSING:
            shutil.rmtree(Path(job.folder) / place, ignore_errors=True)
        (Path(job.folder) / JUDGED).unlink(missing_ok=True)


def read_end(job: TrialJob) -> TrialFinished | None:
    """Return how a resumable trial has ended, where an earlier attempt at it came to its end."""
    file = Path(job.folder) / FINISHED
    if not job.resumable or not file.is_file():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        event = from_line(found["event"])
    except (OSError, ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
        log.warning("%s cannot be read (%s); the trial begins anew.", file, error)
        return None
    return event if found["of"] == identity(job) and isinstance(event, TrialFinished) else None


def end_with(job: TrialJob, emit: Callable[[Event], None], event: Event) -> None:
    """Tell a trial's last event; of what a resumable one would have gone on from, only its end stays."""
    if isinstance(event, TrialFinished) and job.resumable:
        file = Path(job.folder) / FINISHED
        partial = file.with_name(f"{FINISHED}.partial")
        partial.write_text(json.dumps({"of": identity(job), "event": to_line(event).decode()}), encoding="utf-8")
        partial.replace(file)
    forget(job)
    emit(event)
