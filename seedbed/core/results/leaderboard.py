"""The honest order of the trials: scores with intervals, groups of equals, and the baseline to beat."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import msgspec
import numpy as np

from seedbed.core.data.profile import Profile
from seedbed.core.errors import DataError
from seedbed.core.protocols import Metric
from seedbed.core.search.candidate import Role
from seedbed.core.search.history import History, Status
from seedbed.core.training.predictions import Predictions, align, bootstrap, proper_losses, row_scores, tempered

log = logging.getLogger(__name__)

Direction = Literal["max", "min"]

NO_TRIAL = -1
"""The trial number of rows that no trial stands behind: what training has in the mean."""

_Z = 1.959964  # the normal distribution's 97.5 % quantile
_QUANTILES = (0.025, 0.975)
_EQUAL = 1e-9  # sums in another order differ by less; scores of different models by more


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One trial as the leaderboard receives it; it is ranked by `predictions`, `score` is only shown.

    Trials that finished or were stopped are ranked if they have predictions. `size_bytes` is what its model
    takes on disk, 0 where that is not known.
    """

    trial: int
    status: Status
    role: Role
    label: str
    seconds: float
    score: float | None = None
    reason: str = ""
    predictions: Predictions | None = None
    size_bytes: int = 0


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
        candidate, baseline = self.first("candidate"), self.first("baseline")
        if candidate is None or baseline is None:
            return candidate is not None
        gain = (candidate.score or 0.0) - (baseline.score or 0.0)
        return (gain if self.direction == "max" else -gain) > 0

    @property
    def is_saturated(self) -> bool:
        """Whether a candidate and a baseline share the best score there is, so that nothing could beat either.

        That is an error of 0, or 1, which is the best of all scores that come with Seedbed; of a score whose
        rows leave no doubt either, as it might be a plugin's that goes beyond 1.
        """
        candidate, baseline = self.first("candidate"), self.first("baseline")
        if candidate is None or baseline is None or candidate.score != baseline.score:
            return False
        if self.direction == "max":
            return candidate.score == candidate.high == 1.0
        return candidate.score == candidate.low == 0.0

    def first(self, role: Role) -> Row | None:
        """Return the best ranked row of a role, None where there is none."""
        return next((row for row in self.rows if row.rank is not None and row.role == role), None)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the rows for JSON, floats rounded to six digits: after the point, or the first of tiny ones."""

        def rounded(value: object) -> object:
            if not isinstance(value, float):
                return value
            return round(value, 6) if abs(value) >= 1e-3 else float(f"{value:.6g}")  # errors may be of nanometres

        return [{key: rounded(value) for key, value in asdict(row).items()} for row in self.rows]

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


def entries_from(
    history: History, load: Callable[[int], Predictions | None], size: Callable[[int], int] = lambda trial: 0
) -> tuple[Entry, ...]:
    """Describe every trial of a run.

    `load` finds the predictions of a trial, None where there are none, and `size` the bytes of its model.
    """
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
                entry = replace(entry, predictions=load(trial.number), size_bytes=size(trial.number))
            except DataError as error:  # one unreadable file must not cost the others their places
                entry = replace(entry, reason=str(error))
        entries.append(entry)
    return tuple(entries)


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

    Equal scores are ordered by a proper loss (it tells models apart long after accuracy cannot), of classes at each
    model's best temperature; equals in that too by size, the smaller first, then by time and trial number. Models are
    compared by the paired bootstrap (Efron & Tibshirani 1993, ch. 16): every draw resamples the rows once for all
    models, so that rows which are hard for all of them cancel out. A row joins the tie group above it while the 95 %
    interval of its distance to that group's leader reaches zero. What has no rank stands at the end.

    Raises:
        DataError: the ranked entries share no validation row, or disagree on its target.
    """
    ranked, others = _scored(entries, metric)
    sign = 1.0 if direction == "max" else -1.0
    alike = Counter(entry.score for entry in ranked)
    losses = {entry.trial: _loss(entry) for entry in ranked if alike[entry.score] > 1}
    ranked.sort(
        key=lambda entry: (
            *(-sign * (entry.score or 0.0), losses.get(entry.trial, 0.0)),
            *(entry.size_bytes, entry.seconds, entry.trial),
        )
    )
    others.sort(key=lambda entry: entry.trial)
    members = [entry.predictions for entry in ranked if entry.predictions is not None]
    rows = [_row(entry) for entry in others]
    if members:
        samples = bootstrap(members, metric, seed=seed, draws=draws)
        # Scores of classes and labels are of the order of 1; errors of values have any unit.
        equal = _EQUAL * (abs(ranked[0].score or 0.0) if members[0].kind == "regression" else 1.0)
        is_proportion = _is_proportion(members, metric, direction)
        rows = [*_ranked_rows(ranked, samples, sign, equal, is_proportion=is_proportion), *rows]
    examples = len(members[0]) if members else 0
    return Leaderboard(rows=tuple(rows), metric=name, direction=direction, examples=examples)


def _loss(entry: Entry) -> float:
    """Return the mean proper loss of an entry's predictions, rounded so that noise decides nothing."""
    if entry.predictions is None:
        return math.inf
    found = tempered(entry.predictions)
    return round(float(proper_losses(found.targets, found.outputs).mean()), 6)


def _is_proportion(members: Sequence[Predictions], metric: Metric, direction: Direction) -> bool:
    """Whether the score is a share of rows, as accuracy is; a loss may be 0 on all rows and is none."""
    if direction == "min" or members[0].kind == "regression":
        return False
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
            score = float(metric(predictions.targets, predictions.outputs))
            reason = f"the metric gave {score}"
        except Exception as error:  # a plugin's border
            log.warning("The metric failed on trial %s.", entry.trial, exc_info=True)
            score, reason = math.nan, f"the metric failed: {error}"
        if math.isfinite(score):
            ranked.append(replace(entry, score=score, predictions=predictions))
        else:
            others.append(replace(entry, score=None, reason=reason))
    return ranked, others


def _ranked_rows(
    ranked: Sequence[Entry], samples: np.ndarray, sign: float, equal: float, *, is_proportion: bool
) -> list[Row]:
    """Rows of entries in rank order; `samples` (draws, T) follows that order, `equal` is no difference."""
    gains = sign * samples
    first = gains >= gains.max(axis=1, keepdims=True) - equal
    chances = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)  # a shared first place counts in parts
    groups = _tie_groups(gains, equal)
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


def _tie_groups(gains: np.ndarray, equal: float) -> list[int]:
    """Number the groups of columns of `gains` (draws, T; greater is better), the best column first."""
    groups: list[int] = []
    leader = 0
    for index in range(gains.shape[1]):
        if not groups:
            groups.append(1)
        elif np.quantile(gains[:, leader] - gains[:, index], _QUANTILES[0]) <= equal:
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
