"""Scores of values: how far predictions (N,) lie from targets (N,), in numpy, as scikit-learn has them."""

from __future__ import annotations

import numpy as np

from seedbed import NoOptions
from seedbed.core.protocols import Metric
from seedbed.plugins.metrics.forms import OfWeights, RowMean

_FLAT = 1e-12  # of the targets' squares; a variance below comes from rounding


def mae(options: NoOptions) -> Metric:
    """Build the mean absolute error."""
    return RowMean(lambda targets, predictions: np.asarray(np.abs(predictions.astype(np.float64) - targets)))


def rmse(options: NoOptions) -> Metric:
    """Build the root of the mean squared error."""

    def weighted(targets: np.ndarray, predictions: np.ndarray, weights: np.ndarray) -> np.ndarray:
        squares = np.square(predictions.astype(np.float64) - targets)
        return np.asarray(np.sqrt(weights @ squares / weights.sum(axis=1)))

    return OfWeights(weighted)


def r2(options: NoOptions) -> Metric:
    """Build the coefficient of determination; of targets that are all the same 1 where each is met, else 0."""

    def weighted(targets: np.ndarray, predictions: np.ndarray, weights: np.ndarray) -> np.ndarray:
        centred = targets - targets.mean()  # or else the variance would drown in the squares of the mean
        count = weights.sum(axis=1)
        squares = weights @ np.square(centred)
        variation = squares - np.square(weights @ centred) / count
        left = weights @ np.square(predictions.astype(np.float64) - targets)
        is_flat = variation <= _FLAT * squares
        explained = 1.0 - left / np.where(is_flat, 1.0, variation)
        return np.asarray(np.where(is_flat, (left <= _FLAT * squares).astype(np.float64), explained))

    return OfWeights(weighted)
