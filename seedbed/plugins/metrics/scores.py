"""The scores themselves, in numpy.

The averaged ones are scikit-learn's (with zero_division=0), to which the tests hold them. Over the
confusion matrix they take 0.2 ms where `sklearn.metrics.f1_score` takes 3 ms (6,000 rows, 10 classes,
scikit-learn 1.9.1, numpy 2.4.6, a 2-core CPU), and the leaderboard computes them hundreds of times a
model; besides, `import sklearn.metrics` would cost every worker 5 s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from seedbed import NoOptions
from seedbed.core.protocols import Metric
from seedbed.plugins.metrics import AverageOptions, TopKOptions


class _RowMean:
    """A metric that is the mean of a score for each row."""

    def __init__(self, per_row: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self.per_row = per_row

    def __call__(self, targets: np.ndarray, predictions: np.ndarray) -> float:
        return float(self.per_row(targets, predictions).mean())


@dataclass(frozen=True, slots=True)
class _Counts:
    """What averaged scores are made of: arrays (C,) over the classes that are true or predicted somewhere."""

    hits: np.ndarray
    true: np.ndarray
    predicted: np.ndarray

    @classmethod
    def of(cls, targets: np.ndarray, predictions: np.ndarray) -> _Counts:
        """Count for class indices (N,) and probabilities (N, K)."""
        answers, classes = predictions.argmax(axis=1), predictions.shape[1]
        hits = np.bincount(targets[targets == answers], minlength=classes)
        true = np.bincount(targets, minlength=classes)
        predicted = np.bincount(answers, minlength=classes)
        present = (true + predicted) > 0
        return cls(hits[present], true[present], predicted[present])

    def averaged(self, average: str, numerator: np.ndarray, denominator: np.ndarray) -> float:
        """Return the average over classes of a ratio, which is 0 where nothing is divided by nothing."""
        if average == "micro":
            return float(numerator.sum() / denominator.sum())
        ratios = numerator / np.maximum(denominator, 1)
        return float(np.average(ratios, weights=self.true if average == "weighted" else None))


def accuracy(options: NoOptions) -> Metric:
    """Build the share of right answers."""
    return _RowMean(lambda targets, predictions: (predictions.argmax(axis=1) == targets).astype(np.float64))


def log_loss(options: NoOptions) -> Metric:
    """Build the mean negative log-likelihood; a probability of 0 counts as float32's rounding unit."""
    tiny = np.finfo(np.float32).eps

    def per_row(targets: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        given = predictions[np.arange(len(targets)), targets].astype(np.float64)
        losses: np.ndarray = -np.log(np.clip(given, tiny, 1.0))
        return losses

    return _RowMean(per_row)


def top_k(options: TopKOptions) -> Metric:
    """Build the share of rows whose target is among the k most probable; of equals, the first counts."""

    def per_row(targets: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        order = np.argsort(-predictions, axis=1, kind="stable")[:, : options.k]
        hits: np.ndarray = (order == targets[:, None]).any(axis=1)
        return hits.astype(np.float64)

    return _RowMean(per_row)


def balanced_accuracy(options: NoOptions) -> Metric:
    """Build the mean recall over the classes that occur in the targets."""

    def score(targets: np.ndarray, predictions: np.ndarray) -> float:
        counts = _Counts.of(targets, predictions)
        occurs = counts.true > 0
        return float((counts.hits[occurs] / counts.true[occurs]).mean())

    return score


def f1(options: AverageOptions) -> Metric:
    """Build the F1 score: 2 hits / (true + predicted), averaged over classes."""

    def score(targets: np.ndarray, predictions: np.ndarray) -> float:
        counts = _Counts.of(targets, predictions)
        return counts.averaged(options.average, 2 * counts.hits, counts.true + counts.predicted)

    return score


def precision(options: AverageOptions) -> Metric:
    """Build precision: hits / predicted, averaged over classes."""

    def score(targets: np.ndarray, predictions: np.ndarray) -> float:
        counts = _Counts.of(targets, predictions)
        return counts.averaged(options.average, counts.hits, counts.predicted)

    return score


def recall(options: AverageOptions) -> Metric:
    """Build recall: hits / true, averaged over classes."""

    def score(targets: np.ndarray, predictions: np.ndarray) -> float:
        counts = _Counts.of(targets, predictions)
        return counts.averaged(options.average, counts.hits, counts.true)

    return score
