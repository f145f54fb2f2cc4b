"""The honest order of the trials: scores with intervals, groups of equals, and the baseline to beat."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import msgspec
import numpy as np

from seedbed.core.errors import DataError
from seedbed.core.protocols import Metric
from seedbed.core.search.candidate import Role
from seedbed.core.search.history import History, Status
from seedbed.core.training.predictions import Predictions, align, bootstrap, row_scores

log = logging.getLogger(__name__)

Direction = Literal["max", "min"]

NO_TRIAL = -1
"""The trial number of rows that no trial stands behind: the majority class."""

_Z = 1.959964  # the normal distribution's 97.5 % quantile
_QUANTILES = (0.025, 0.975)
_EQUAL = 1e-9  # sums in another order differ by less; scores of different models by more


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One trial as the leaderboard receives it; it is ranked by `predictions`, `score` is only shown.

    Trials that finished or were stopped are ranked if they have predictions.
    """

    trial: int
    status: Status
    role: Role
    label: str
    seconds: float
    score: float | None = None
    reason: str = ""
    predictions: Predictions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the leaderboard; `rank` is None for what could not be ranked, and `reason` says why.

    `low` and `high` bound the score's 95 % interval, `best_probability` is the share of resampled
    validation parts on which this row comes first, `tie_group` counts from 1.
    """

    rank: int | None = None
    trial: int
    status: Status
    score: float | None = None
    low: float | None = None
    high: float | None = None
    tie_group: int | None = None
    seconds: float
    candidate: str
    role: Role
    reason: str = ""
    best_probability: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """Rows in order, the ranked ones first; `examples` is the number of validation rows they share."""

    rows: tuple[Row, ...]
    metric: str
    direction: Direction
    examples: int

    @property
    def best(self) -> Row | None:
        """The first row with a checkpoint behind it, be it a candidate or a baseline (see its `role`)."""
        return next((row for row in self.rows if row.rank is not None and row.trial != NO_TRIAL), None)

    @property
    def beats_baseline(self) -> bool:
        """Whether the best candidate scores strictly better than every baseline.

        The interval of the difference is left out on purpose: with few validation rows it would call
        useful models useless. How sure the difference is can be read off the tie groups.
        """
        best = {row.role: row for row in reversed(self.rows) if row.rank is not None}
        if "candidate" not in best or "baseline" not in best:
            return "candidate" in best
        gain = (best["candidate"].score or 0.0) - (best["baseline"].score or 0.0)
        return (gain if self.direction == "max" else -gain) > 0

    def to_json(self) -> list[dict[str, Any]]:
        """Return the rows for JSON, floats rounded to six digits."""
        return [
            {key: round(value, 6) if isinstance(value, float) else value for key, value in asdict(row).items()}
            for row in self.rows
        ]

    @classmethod
    def from_json(
        cls, found: Sequence[dict[str, Any]], *, metric: str, direction: Direction, examples: int = 0
    ) -> Leaderboard:
        """Read rows back.

        Raises:
            DataError: these are no rows of a leaderboard.
        """
        try:
            rows = msgspec.convert(found, tuple[Row, ...])
        except msgspec.ValidationError as error:
            raise DataError(f"This is no leaderboard: {error}; rank the run again.") from error
        return cls(rows=rows, metric=metric, direction=direction, examples=examples)


def entries_from(history: History, load: Callable[[int], Predictions | None]) -> tuple[Entry, ...]:
    """Describe every trial of a run; `load` finds the predictions of a trial, None where there are none."""
    entries = []
    for trial in history:
        entry = Entry(
            trial=trial.number,
            status=trial.status,
            role=trial.role,
            label=trial.candidate.label,
            seconds=trial.seconds,
            score=trial.score,
            reason=trial.reason,
        )
        if trial.has_result and trial.status in ("finished", "stopped"):
            try:
                entry = replace(entry, predictions=load(trial.number))
            except DataError as error:  # one unreadable file must not cost the others their places
                entry = replace(entry, reason=str(error))
        entries.append(entry)
    return tuple(entries)


def majority_entry(predictions: Predictions, class_counts: Sequence[int]) -> Entry:
    """Return the baseline that always answers with the class frequencies of the training part.

    `predictions` lends its rows and targets, `class_counts` (K,) are those of the training part.

    Raises:
        DataError: the counts are of another number of classes, or all zero.
    """
    counts = np.asarray(class_counts, dtype=np.float64)
    if counts.shape != (predictions.classes,) or counts.sum() <= 0:
        raise DataError(f"{list(class_counts)} does not count the examples of {predictions.classes} classes.")
    frequencies = np.tile((counts / counts.sum()).astype(np.float32), (len(predictions), 1))
    return Entry(
        trial=NO_TRIAL,
        status="finished",
        role="baseline",
        label="majority class",
        seconds=0.0,
        predictions=Predictions(predictions.rows, predictions.targets, frequencies),
    )


def rank(
    entries: Sequence[Entry],
    metric: Metric,
    direction: Direction,
    *,
    name: str = "",
    seed: int = 0,
    draws: int = 1000,
) -> Leaderboard:
    """Order the entries by their score on the validation rows they share; the input's order plays no part.

    Equal scores are ordered by log loss (it tells models apart long after accuracy cannot), then by
    time, then by trial number. Models are compared by the paired bootstrap
    (Efron & Tibshirani 1993, ch. 16): every draw resamples the rows once for all models, so that rows
    which are hard for all of them cancel out. A row joins the tie group above it while the 95 % interval
    of its distance to that group's leader reaches zero. What has no rank stands at the end.

    Raises:
        DataError: the ranked entries share no validation row, or disagree on its target.
    """
    ranked, others = _scored(entries, metric)
    sign = 1.0 if direction == "max" else -1.0
    ranked.sort(key=lambda entry: (-sign * (entry.score or 0.0), _log_loss(entry), entry.seconds, entry.trial))
    others.sort(key=lambda entry: entry.trial)
    members = [entry.predictions for entry in ranked if entry.predictions is not None]
    rows = [_row(entry) for entry in others]
    if members:
        samples = bootstrap(members, metric, seed=seed, draws=draws)
        rows = [*_ranked_rows(ranked, samples, sign, _is_proportion(members, metric)), *rows]
    examples = len(members[0]) if members else 0
    return Leaderboard(rows=tuple(rows), metric=name, direction=direction, examples=examples)


def _log_loss(entry: Entry) -> float:
    """Return the mean negative log-likelihood of an entry's predictions, rounded so that noise decides nothing."""
    found = entry.predictions
    if found is None:
        return math.inf
    given = found.probabilities[np.arange(len(found)), found.targets]
    return round(-float(np.log(np.maximum(given, 1e-7)).mean()), 6)


def _is_proportion(members: Sequence[Predictions], metric: Metric) -> bool:
    """Whether the score is a share of rows, as accuracy is."""
    table = row_scores(members, metric)
    return table is not None and bool(((table == 0) | (table == 1)).all())


def _scored(entries: Sequence[Entry], metric: Metric) -> tuple[list[Entry], list[Entry]]:
    """Split into entries with a score on the shared rows, and others with the reason why there is none."""
    found: list[Entry] = []
    others: list[Entry] = []
    for entry in entries:
        is_usable = entry.predictions is not None and entry.status in ("finished", "stopped")
        (found if is_usable else others).append(entry)
    ranked = []
    aligned = align([entry.predictions for entry in found if entry.predictions is not None])
    for entry, predictions in zip(found, aligned, strict=True):
        try:
            score = float(metric(predictions.targets, predictions.probabilities))
            reason = f"the metric gave {score}"
        except Exception as error:  # a plugin's border
            log.warning("The metric failed on trial %s.", entry.trial, exc_info=True)
            score, reason = math.nan, f"the metric failed: {error}"
        if math.isfinite(score):
            ranked.append(replace(entry, score=score, predictions=predictions))
        else:
            others.append(replace(entry, score=None, reason=reason))
    return ranked, others


def _ranked_rows(ranked: Sequence[Entry], samples: np.ndarray, sign: float, is_proportion: bool) -> list[Row]:
    """Rows of entries in rank order; `samples` (draws, T) follows that order."""
    gains = sign * samples
    first = gains >= gains.max(axis=1, keepdims=True) - _EQUAL
    chances = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)  # a shared first place counts in parts
    groups = _tie_groups(gains)
    rows = []
    for index, entry in enumerate(ranked):
        score = entry.score or 0.0
        if is_proportion and entry.predictions is not None:
            low, high = _wilson(score, len(entry.predictions))
        else:
            low, high = np.quantile(samples[:, index], _QUANTILES)
        row = _row(entry)
        rows.append(
            replace(
                row,
                rank=index + 1,
                # The bootstrap of a biased score (macro F1) may leave out the score itself.
                low=float(min(low, score)),
                high=float(max(high, score)),
                tie_group=groups[index],
                best_probability=float(chances[index]),
            )
        )
    return rows


def _tie_groups(gains: np.ndarray) -> list[int]:
    """Number the groups of columns of `gains` (draws, T; greater is better), the best column first."""
    groups: list[int] = []
    leader = 0
    for index in range(gains.shape[1]):
        if not groups:
            groups.append(1)
        elif np.quantile(gains[:, leader] - gains[:, index], _QUANTILES[0]) <= _EQUAL:
            groups.append(groups[-1])
        else:
            leader = index
            groups.append(groups[-1] + 1)
    return groups


def _wilson(share: float, examples: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927).

    For a single share it is nearer to 95 % than the bootstrap, which calls 30 right of 30 certain.
    """
    scale = 1 + _Z**2 / examples
    centre = (share + _Z**2 / (2 * examples)) / scale
    half = _Z / scale * math.sqrt(share * (1 - share) / examples + _Z**2 / (4 * examples**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def _row(entry: Entry) -> Row:
    return Row(
        trial=entry.trial,
        status=entry.status,
        score=entry.score,
        seconds=entry.seconds,
        candidate=entry.label,
        role=entry.role,
        reason=entry.reason,
    )
