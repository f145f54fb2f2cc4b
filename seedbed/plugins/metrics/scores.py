"""Scores of answers and of probabilities, in numpy.

They are scikit-learn's (with zero_division=0, over the classes that are true or predicted somewhere), to
which the tests hold them. The leaderboard computes them hundreds of times a model, and over counts they take
a tenth of the time of `sklearn.metrics.f1_score`; besides, its import would cost every worker seconds.

Targets (N,) are classes, targets (N, K) labels, of which a model gives those from one half on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seedbed import NoOptions
from seedbed.core.protocols import Metric
from seedbed.core.training.predictions import answers
from seedbed.plugins.metrics import AverageOptions, TopKOptions
from seedbed.plugins.metrics.forms import OfWeights, RowMean

_CHUNK = 4_000_000  # cells of a matrix of labels that are counted at once: 16 MB
_TINY = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, slots=True)
class _Counts:
    """What averaged scores are made of: for D weightings of the rows, arrays (D, K) over the classes."""

    hits: np.ndarray
    true: np.ndarray
    predicted: np.ndarray

    @classmethod
    def of(cls, targets: np.ndarray, predictions: np.ndarray, weights: np.ndarray) -> _Counts:
        """Count classes or labels, each row as often as its weight says."""
        if targets.ndim == 2:
            return _label_counts(targets, answers(predictions, "multilabel"), weights)
        found = answers(predictions, "classification")
        right = found == targets

        def count(codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
            return np.stack([np.bincount(codes, each, predictions.shape[1]) for each in weights])

        return cls(count(targets[right], weights[:, right]), count(targets, weights), count(found, weights))

    def averaged(self, average: str, numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
        """Return the average over classes of a ratio, which is 0 where nothing is divided by nothing."""
        if average == "micro":
            return np.asarray(numerator.sum(axis=1) / np.maximum(denominator.sum(axis=1), 1))
        ratios = numerator / np.maximum(denominator, 1)
        shares = self.true if average == "weighted" else (self.true + self.predicted) > 0
        return np.asarray((ratios * shares).sum(axis=1) / np.maximum(shares.sum(axis=1), 1))


def _label_counts(targets: np.ndarray, found: np.ndarray, weights: np.ndarray) -> _Counts:
    """Count the labels of a matrix (N, K), some rows at a time."""
    hits, true, predicted = np.zeros((3, len(weights), targets.shape[1]))
    step = max(1, _CHUNK // targets.shape[1])
    for start in range(0, len(targets), step):
        part = slice(start, start + step)
        # Sums of whole numbers are exact in float32 up to 16 million, four times the rows of a part.
        marks, given, some = targets[part].astype(np.float32), found[part].astype(np.float32), weights[:, part]
        some = some.astype(np.float32)
        hits += some @ (marks * given)
        true += some @ marks
        predicted += some @ given
    return _Counts(hits, true, predicted)


def accuracy(options: NoOptions) -> Metric:
    """Build the share of right answers; a row of labels is right where each of them is."""

    def per_row(targets: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        if targets.ndim == 2:
            is_right = (answers(predictions, "multilabel") == targets).all(axis=1)
        else:
            is_right = answers(predictions, "classification") == targets
        return np.asarray(is_right, dtype=np.float64)

    return RowMean(per_row)


def hamming_loss(options: NoOptions) -> Metric:
    """Build the share of wrong labels."""
    return RowMean(lambda targets, predictions: (answers(predictions, "multilabel") != targets).mean(axis=1))


def log_loss(options: NoOptions) -> Metric:
    """Build the mean negative log-likelihood, of labels that of one; a probability of 0 counts as 1.2e-7."""

    def per_row(targets: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        if targets.ndim == 2:
            labels = np.where(targets > 0, predictions, 1.0 - predictions.astype(np.float64))
            return np.asarray(-np.log(np.clip(labels, _TINY, 1.0)).mean(axis=1))
        given = predictions[np.arange(len(targets)), targets].astype(np.float64)
        return np.asarray(-np.log(np.clip(given, _TINY, 1.0)))

    return RowMean(per_row)


def brier_score(options: NoOptions) -> Metric:
    """Build the Brier score (1950): the squared distance from the truth, in [0, 2].

    As scikit-learn's, that of two classes is halved, so that it is that of the second alone; of labels it is
    the mean of theirs.
    """

    def per_row(targets: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        if targets.ndim == 2:
            return np.asarray(np.square(predictions - targets.astype(np.float64)).mean(axis=1))
        given = predictions[np.arange(len(targets)), targets].astype(np.float64)
        squares = np.einsum("nk,nk->n", predictions, predictions, dtype=np.float64)
        distances = np.maximum(squares - 2.0 * given + 1.0, 0.0)
        return np.asarray(distances / 2.0 if predictions.shape[1] == 2 else distances)

    return RowMean(per_row)


def top_k(options: TopKOptions) -> Metric:
    """Build the share of rows whose target is among the k most probable; of equals, the first counts."""

    def per_row(targets: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        given = predictions[np.arange(len(targets)), targets][:, None]
        is_before = np.arange(predictions.shape[1]) < targets[:, None]
        ahead = ((predictions > given) | ((predictions == given) & is_before)).sum(axis=1)
        return np.asarray((ahead < options.k).astype(np.float64))

    return RowMean(per_row, least_classes=options.k + 1)


def balanced_accuracy(options: NoOptions) -> Metric:
    """Build the mean recall over the classes that occur in the targets."""

    def weighted(targets: np.ndarray, predictions: np.ndarray, weights: np.ndarray) -> np.ndarray:
        counts = _Counts.of(targets, predictions, weights)
        recalls = counts.hits / np.maximum(counts.true, 1)
        return np.asarray(recalls.sum(axis=1) / np.maximum((counts.true > 0).sum(axis=1), 1))

    return OfWeights(weighted)


def f1(options: AverageOptions) -> Metric:
    """Build the F1 score: 2 hits / (true + predicted), averaged over classes."""

    def weighted(targets: np.ndarray, predictions: np.ndarray, weights: np.ndarray) -> np.ndarray:
        counts = _Counts.of(targets, predictions, weights)
        return counts.averaged(options.average, 2 * counts.hits, counts.true + counts.predicted)

    return OfWeights(weighted)


def precision(options: AverageOptions) -> Metric:
    """Build precision: hits / predicted, averaged over classes."""

    def weighted(targets: np.ndarray, predictions: np.ndarray, weights: np.ndarray) -> np.ndarray:
        counts = _Counts.of(targets, predictions, weights)
        return counts.averaged(options.average, counts.hits, counts.predicted)

    return OfWeights(weighted)


def recall(options: AverageOptions) -> Metric:
    """Build recall: hits / true, averaged over classes."""

    def weighted(targets: np.ndarray, predictions: np.ndarray, weights: np.ndarray) -> np.ndarray:
        counts = _Counts.of(targets, predictions, weights)
        return counts.averaged(options.average, counts.hits, counts.true)

    return OfWeights(weighted)
