"""How much of what was granted is left: pure, given the history and a reading of the clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seedbed.core.errors import UsageError
from seedbed.core.search.candidate import SCORING_TO_SPARE
from seedbed.core.search.history import History, Remaining


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What a run may spend; None means no limit of that sort.

    `seconds` is wall-clock time from the run's beginning to its very end, of which `reserve` seconds
    are kept back for the ending; `trials` is the number of candidates. The search also ends once a candidate
    scores `target_score` or better, or `patience` candidates in a row have not beaten the best before them.
    """

    seconds: float | None = None
    trials: int | None = None
    reserve: float = 0.0
    target_score: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            raise UsageError(f"A time budget must be positive, but {self.seconds} s was given; try time='10m'.")
        if self.trials is not None and self.trials < 1:
            raise UsageError(f"trials={self.trials} leaves nothing to do; give 1 or more.")
        if not 0 <= self.reserve < float("inf"):
            raise UsageError(f"reserve={self.reserve}: the ending takes 0 seconds or more.")
        if self.target_score is not None and not math.isfinite(self.target_score):
            raise UsageError(f"A target score must be a number, but {self.target_score} was given; try 0.95.")
        if self.patience is not None and self.patience < 1:
            raise UsageError(f"patience={self.patience} would end the search before it began; give 1 or more.")

    def remaining(self, history: History, now: float) -> Remaining:
        """Return what trials may still spend; `now` is seconds since the run began, as is an event's `at`."""
        kept = self.reserve + scoring_seconds(history)
        return Remaining(
            seconds=None if self.seconds is None else max(self.seconds - kept - now, 0.0),
            trials=None if self.trials is None else max(self.trials - count_trials(history), 0),
        )

    def enough(self, history: History) -> str | None:
        """Say why no further trial need begin though the budget may allow it; None where it should."""
        best = history.tally.best
        if history.profile is None or best is None:
            return None
        worth = history.profile.task.worth
        if self.target_score is not None and worth(best) >= worth(self.target_score):
            return f"the target score of {self.target_score:g} is reached"
        if self.patience is not None and history.tally.since_best >= self.patience:
            return f"{self.patience} trials in a row brought nothing better"
        return None

    def is_spent(self, history: History, now: float) -> bool:
        """Whether no further trial may begin."""
        left = self.remaining(history, now)
        return left.seconds == 0 or left.trials == 0


def scoring_seconds(history: History) -> float:
    """Estimate what it takes to score the two slowest models so far on the test part: they may be kept together."""
    rows = history.profile.test if history.profile else 0
    return SCORING_TO_SPARE * rows * sum(history.tally.slowest)


def count_trials(history: History) -> int:
    """Count the candidates that were tried: those that failed too, baselines not, nor what the run's end cut short.

    A stopped trial whose candidate began again later, to go further, is one try together with it.
    """
    return history.tally.candidates


def reserve_for(seconds: float | None, test_seconds: float = 0.0) -> float:
    """Estimate the seconds that the ending takes: bundle, report, and `test_seconds` for the test part.

    3 % of the budget and at least 1.5 s, but never more than half of it: a budget too small for a
    proper ending still gets a trial.
    """
    if seconds is None:
        return 0.0
    return min(max(1.5, 0.03 * seconds) + test_seconds, seconds / 2)
