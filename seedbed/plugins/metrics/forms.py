"""The two forms of a metric that a leaderboard can resample thousands of times."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

PerRow = Callable[[np.ndarray, np.ndarray], np.ndarray]
Weighted = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class RowMean:
    """A metric that is the mean of a score for each row: (targets, predictions) → (N,).

    Of fewer classes than `least_classes` it is the same whatever a model says.
    """

    def __init__(self, per_row: PerRow, *, least_classes: int = 0) -> None:
        self.per_row = per_row
        self.least_classes = least_classes

    def __call__(self, targets: np.ndarray, predictions: np.ndarray) -> float:
        """Score all rows."""
        return float(self.per_row(targets, predictions).mean())


class OfWeights:
    """A metric of rows that come several times: (targets, predictions, weights (D, N)) → scores (D,).

    Weights are counts, whole numbers in float64, so that sums are exact in any order. Where that says nothing of all
    rows, not a number, their score is `otherwise`.
    """

    def __init__(self, weighted: Weighted, otherwise: float = math.nan) -> None:
        self.weighted, self._otherwise = weighted, otherwise

    def __call__(self, targets: np.ndarray, predictions: np.ndarray) -> float:
        """Score all rows, each once."""
        found = float(self.weighted(targets, predictions, np.ones((1, len(targets))))[0])
        return found if math.isfinite(found) else self._otherwise
