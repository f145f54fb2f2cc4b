"""Fewer rows to learn from, for cheaper trials: the same ones for every trial, each subset within the larger one."""

from __future__ import annotations

import numpy as np

from seedbed.core.data.splitting.splits import Splits

_SEED = 0  # of nothing but the order in which rows join


def nested(rows: np.ndarray, splits: Splits, share: float) -> np.ndarray:
    """Return a share of `rows` (n,) int64, rising: of every class that share, and at least one row.

    Rows join in a fixed random order, so what a smaller share holds a larger one holds too.
    """
    if share >= 1.0 or not len(rows):
        return rows
    order = np.random.default_rng(_SEED).permutation(len(splits.targets))[rows]
    if splits.kind != "classification":
        return np.sort(rows[np.argsort(order)[: max(round(share * len(rows)), 1)]])
    found = []
    for label in np.unique(splits.targets[rows]):
        own = np.flatnonzero(splits.targets[rows] == label)
        found.append(own[np.argsort(order[own])[: max(round(share * len(own)), 1)]])
    return np.sort(rows[np.concatenate(found)])
