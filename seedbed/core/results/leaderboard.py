"""The honest order of the trials, as a value: rows with scores, intervals, groups of equals and what a model costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import msgspec

from seedbed.core.errors import DataError
from seedbed.core.search.candidate import Role
from seedbed.core.search.history import Status
from seedbed.core.training.predictions import Predictions

Direction = Literal["max", "min"]

NO_TRIAL = -1
"""The trial number of rows that no trial stands behind: what training has in the mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One trial as the leaderboard receives it; it is ranked by `predictions`, `score` is only shown.

    Trials that finished or were stopped are ranked if they have predictions, or a call that reads them: of thousands
    of trials they do not all fit into memory. What a model costs is 0 where that is not known: `size_bytes` on disk,
    `memory_bytes` to predict a row, and in seconds `latency_p50` and `latency_p95` of a row alone.
    `billed_seconds` of its machine were paid for.
    """

    trial: int
    status: Status
    role: Role
    label: str
    seconds: float
    score: float | None = None
    reason: str = ""
    predictions: Predictions | Callable[[], Predictions] | None = None
    size_bytes: int = 0
    memory_bytes: int = 0
    latency_p50: float = 0.0
    latency_p95: float = 0.0
    billed_seconds: float | None = None

    def read(self) -> Predictions:
        """Return the predictions.

        Raises:
            DataError: there are none, or they cannot be read.
        """
        if self.predictions is None:
            raise DataError(f"Trial {self.trial} has no predictions of the validation rows; train it again.")
        return self.predictions if isinstance(self.predictions, Predictions) else self.predictions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the leaderboard; `rank` is None for what could not be ranked, and `reason` says why.

    `score` is what the validation rows say. The first of many owes some of its score to luck; `corrected` is what is
    to be expected of new rows (`optimism`). `low` and `high` bound the 95 % interval that is honest after that choice:
    it is that of the score, and towards the worse it reaches as far as that of the corrected score. So the model that
    is truly best lies in it as well as the one that was picked. `best_probability` is the share of resampled validation
    parts on which this row comes first, `tie_group` counts from 1.

    `latency_p50` and `latency_p95` are seconds of predicting one row alone on the machine of the trial, `memory_bytes`
    what that takes beside the weights, `size_bytes` the model on disk; None where it is not known. `on_front` where no
    other row is at least as good, fast and small, and better in one of these (`front`). `billed_seconds` is what was
    paid for the trial, in seconds of its machine, where one is paid for.
    """

    rank: int | None = None
    trial: int
    status: Status
    score: float | None = None
    corrected: float | None = None
    low: float | None = None
    high: float | None = None
    tie_group: int | None = None
    seconds: float
    candidate: str
    role: Role
    reason: str = ""
    best_probability: float | None = None
    latency_p50: float | None = None
    latency_p95: float | None = None
    memory_bytes: int | None = None
    size_bytes: int | None = None
    on_front: bool = False
    billed_seconds: float | None = None


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
