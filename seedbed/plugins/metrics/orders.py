"""Scores of the order in which probabilities put the rows, in numpy: each class against the rest.

They are scikit-learn's, to which the tests hold them, but for one thing: a class that all rows have or none
has no order to be judged, and is left out of the mean, where scikit-learn gives no number at all, or 0.
One sort serves all the resampled rows of a leaderboard, where a function of targets and scores sorts anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from seedbed import NoOptions
from seedbed.core.protocols import Metric
from seedbed.plugins.metrics.forms import OfWeights, Weighted


@dataclass(frozen=True, slots=True)
class _Ranked:
    """For D weightings, the weight (G, D) of the rows of a class, and of all, at a score or above, scores falling."""

    own: np.ndarray
    all: np.ndarray

    @classmethod
    def of(cls, is_own: np.ndarray, scores: np.ndarray, weights: np.ndarray, space: np.ndarray) -> _Ranked:
        """Sort rows (N,) by their scores and add up the weights (N, D); rows of equal scores come together.

        The arrays lie in `space` (3, N, D), used again for every class: fresh memory costs more than the sums do.
        """
        order = np.argsort(-scores, kind="stable")
        every, own, spare = space
        np.take(weights, order, axis=0, out=every, mode="clip")
        np.multiply(every, is_own[order, None], out=own)
        np.cumsum(own, axis=0, out=own)
        np.cumsum(every, axis=0, out=every)
        ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
        if len(ends) == len(order):
            return cls(own, every)
        groups = len(ends)
        np.take(own, ends, axis=0, out=spare[:groups], mode="clip")
        np.take(every, ends, axis=0, out=own[:groups], mode="clip")
        return cls(spare[:groups], own[:groups])


def _areas(ranked: _Ranked) -> np.ndarray:
    """Areas under the ROC curve (D,): the share of pairs in the right order, ties half (Hanley & McNeil 1982)."""
    own, others = ranked.own, ranked.all - ranked.own
    pairs = own[-1] * others[-1]
    middles = own.copy()
    middles[1:] = (own[1:] + own[:-1]) / 2
    middles[0] /= 2
    others[1:] -= others[:-1].copy()
    right = np.einsum("gd,gd->d", middles, others)
    return _ratio(right, pairs)


def _precisions(ranked: _Ranked) -> np.ndarray:
    """Average precision (D,): the precision at each score, by what it adds to recall."""
    gains = ranked.own.copy()
    gains[1:] -= ranked.own[:-1]
    total = ranked.own[-1]
    found = np.einsum("gd,gd->d", gains, ranked.own / np.maximum(ranked.all, 1))
    return _ratio(found, total)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide; not a number where there is nothing to divide by."""
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0))


def _mean(judge: Callable[[_Ranked], np.ndarray], *, is_symmetric: bool) -> Weighted:
    """Return the mean of a score over the classes that have one; not a number where none has.

    Of two classes, a symmetric score is the same for both.
    """

    def weighted(targets: np.ndarray, predictions: np.ndarray, weights: np.ndarray) -> np.ndarray:
        total, counted = np.zeros((2, len(weights)))
        by_row = np.ascontiguousarray(weights.T)
        space = np.empty((3, *by_row.shape))
        is_single = targets.ndim == 1 and predictions.shape[1] == 2 and is_symmetric
        for is_own, scores in _each_class(targets, predictions, first=1 if is_single else 0):
            found = judge(_Ranked.of(is_own, scores, by_row, space))
            total += np.nan_to_num(found)
            counted += np.isfinite(found)
        return _ratio(total, counted)

    return weighted


def _each_class(targets: np.ndarray, predictions: np.ndarray, *, first: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for number in range(first, predictions.shape[1]):
        yield (targets[:, number] > 0 if targets.ndim == 2 else targets == number), predictions[:, number]


def roc_auc(options: NoOptions) -> Metric:
    """Build the mean area under the ROC curve, one class against the rest; chance, 0.5, where none can be judged."""
    return OfWeights(_mean(_areas, is_symmetric=True), otherwise=0.5)


def average_precision(options: NoOptions) -> Metric:
    """Build the mean average precision of the classes that occur; 0 where none does, and there is nothing to find."""
    return OfWeights(_mean(_precisions, is_symmetric=False), otherwise=0.0)
