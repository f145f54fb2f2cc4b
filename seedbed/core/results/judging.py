"""Scores every model of a board on the rows that all of them share, reading their predictions one after another.

What is read is kept while it is little; of thousands of trials it does not all fit into memory, and is read again.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from seedbed.core.errors import DataError
from seedbed.core.protocols import Metric
from seedbed.core.results.leaderboard import Direction, Entry
from seedbed.core.results.resampling import Resampler, Taken
from seedbed.core.training.predictions import Predictions, align, proper_losses, tempered

log = logging.getLogger(__name__)

_HELD_BYTES = 400_000_000
_TEMPERED = 100
"""The best of them, whose proper losses are taken at their best temperatures: of thousands that takes too long."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """A model that has a score; `loss` tells it from those with the same score, 0 where there are none."""

    entry: Entry
    score: float
    loss: float = 0.0
    taken: Taken


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verdict:
    """The judged models, the best first; the others, each with the reason; and what they were judged on.

    `reference` has the shared rows; without any model there is none, and no `resampler`.
    """

    judged: Sequence[Judged]
    others: Sequence[Entry]
    reference: Predictions | None = None
    resampler: Resampler | None = None


def judge(entries: Sequence[Entry], metric: Metric, direction: Direction, *, seed: int, draws: int) -> Verdict:
    """Score the entries that have predictions, and put them in order; `rank` says how equals are ordered.

    Raises:
        DataError: they share no validation row, or disagree on its target.
    """
    shelf = _Shelf(entries)
    readable, others = _readable(shelf)
    if shelf.reference is None:
        return Verdict(judged=(), others=others)
    resampler = Resampler(metric, shelf.reference, len(readable), seed=seed, draws=draws)
    found: dict[int, Judged] = {}
    for place in readable:
        entry, predictions = entries[place], shelf.aligned(place)
        try:
            score = float(metric(predictions.targets, predictions.outputs))
            reason = f"the metric gave {score}"
            taken = resampler.take(predictions, score) if math.isfinite(score) else None
        except Exception as error:  # a plugin's border
            log.warning("The metric failed on trial %s.", entry.trial, exc_info=True)
            taken, reason = None, f"the metric failed: {error}"
        if taken is None:
            others.append(replace(entry, score=None, reason=reason))
        else:
            found[place] = Judged(entry=replace(entry, score=score), score=score, taken=taken)
    sign = 1.0 if direction == "max" else -1.0
    judged = sorted(_told_apart(found, shelf, sign), key=lambda each: _place(each, sign))
    return Verdict(judged=judged, others=others, reference=shelf.reference, resampler=resampler)


def _place(judged: Judged, sign: float) -> tuple[float, float, int, int]:
    return -sign * judged.score, judged.loss, judged.entry.size_bytes, judged.entry.trial


class _Shelf:
    """The predictions of a board's entries, by their places on it, brought to the rows of `reference`."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.reference: Predictions | None = None
        self._held: dict[int, Predictions] = {}
        self._bytes = 0

    def read(self, place: int) -> Predictions:
        """Return what an entry predicts, of whatever rows; raises as `Entry.read`."""
        found = self._held.get(place)
        if found is None:
            found = self.entries[place].read()
            self._bytes += sum(each.nbytes for each in (found.rows, found.targets, found.outputs))
            if self._bytes <= _HELD_BYTES:
                self._held[place] = found
        return found

    def aligned(self, place: int) -> Predictions:
        """Return what an entry predicts of the shared rows, or of its own as long as none are."""
        members = [self.read(place)] if self.reference is None else [self.reference, self.read(place)]
        return align(members)[-1]


def _readable(shelf: _Shelf) -> tuple[list[int], list[Entry]]:
    """Return the places of what can be ranked, and the rest; the shelf's reference then has the rows that all share."""
    places, others = [], []
    for place, entry in enumerate(shelf.entries):
        if entry.predictions is None or entry.status not in ("finished", "stopped"):
            others.append(entry)
            continue
        try:
            predictions = shelf.read(place)
        except DataError as error:  # one unreadable file must not cost the others their places
            others.append(replace(entry, reason=str(error)))
            continue
        places.append(place)
        shelf.reference = predictions if shelf.reference is None else align((shelf.reference, predictions))[0]
    return places, others


def _told_apart(found: dict[int, Judged], shelf: _Shelf, sign: float) -> list[Judged]:
    """Give those that share a score their proper losses, rounded so that noise decides nothing."""
    alike = Counter(each.score for each in found.values())
    best = sorted((sign * each.score for each in found.values()), reverse=True)[:_TEMPERED]
    apart = []
    for place, each in found.items():
        if alike[each.score] > 1:
            predictions = shelf.aligned(place)
            if sign * each.score >= best[-1]:
                predictions = tempered(predictions)
            loss = float(proper_losses(predictions.targets, predictions.outputs).mean())
            each = replace(each, loss=round(loss, 6))
        apart.append(each)
    return apart
