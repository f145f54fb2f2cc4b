"""How well a fact beside the point, as a file's size or another column, tells the target: what a model may cheat by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_MOST_ROWS = 200_000
_FEWEST_ROWS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """How often the target is right if it is guessed from the fact alone, and by its most frequent value.

    Both shares are of `rows` rows that the guess was not learnt from.
    """

    accuracy: float
    majority: float
    rows: int

    @property
    def gain(self) -> float:
        """The share of the majority guess's errors that the fact takes away, at least 0."""
        return max(self.accuracy - self.majority, 0.0) / max(1.0 - self.majority, 1e-9)


def telling(facts: np.ndarray, targets: np.ndarray, seed: int = 0) -> Telling | None:
    """Learn on one half of the rows what each value of a fact stands for, and judge it on the other.

    Args:
        facts: int64 (N,), values numbered; targets: int64 (N,), classes. Rows where either is -1 are left out.

    Returns None where there are too few rows, or one class. Values that the first half has not are
    guessed by the majority, so that a number which is different in every row tells nothing.
    """
    rows = np.flatnonzero((facts >= 0) & (targets >= 0))
    if len(rows) < _FEWEST_ROWS or len(np.unique(targets[rows])) < 2:
        return None
    rows = np.random.default_rng(seed).permutation(rows)[:_MOST_ROWS]
    learnt, judged = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    usual = int(np.bincount(targets[learnt]).argmax())
    guesses = np.full(int(facts[rows].max()) + 1, usual, dtype=np.int64)
    values, best = _most_frequent(facts[learnt], targets[learnt])
    guesses[values] = best
    truth: np.ndarray = targets[judged]
    return Telling(
        accuracy=float((guesses[facts[judged]] == truth).mean()),
        majority=float((truth == usual).mean()),
        rows=len(judged),
    )


def correlation(facts: np.ndarray, targets: np.ndarray) -> float | None:
    """Return the absolute correlation of two float columns (N,), over rows where both are finite; None for too few."""
    both = np.isfinite(facts) & np.isfinite(targets)
    # not by the deviation: that of equal fractions is not quite 0
    if both.sum() < _FEWEST_ROWS or not np.ptp(facts[both]) or not np.ptp(targets[both]):
        return None
    return float(abs(np.corrcoef(facts[both], targets[both])[0, 1]))


def numbered(values: np.ndarray, most: int = 64) -> np.ndarray:
    """Number values (N,) or rows (N, D) of whole numbers: equal ones alike; above `most` distinct, by quantile."""
    if values.ndim == 2:
        _, numbers = np.unique(values, axis=0, return_inverse=True)
        return np.asarray(numbers.reshape(-1), dtype=np.int64)
    distinct, numbers = np.unique(values, return_inverse=True)
    if len(distinct) > most:
        edges = np.unique(np.quantile(values, np.linspace(0, 1, most + 1)[1:-1]))
        numbers = np.searchsorted(edges, values, side="right")
    return np.asarray(numbers, dtype=np.int64)


def _most_frequent(facts: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct facts and the most frequent target of each."""
    pairs, counts = np.unique(np.stack([facts, targets], axis=1), axis=0, return_counts=True)
    order = np.lexsort((-counts, pairs[:, 0]))
    values, first = np.unique(pairs[order, 0], return_index=True)
    return values, pairs[order, 1][first]
