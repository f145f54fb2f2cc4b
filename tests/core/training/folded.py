"""Prepared data whose trials are judged over folds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from core.training.helpers import make_data

from seedbed.core.data.splitting.splits import save_splits

FOLDS = 4


def make_folded(folder):
    """Seventy-two rows in four folds, and three that may not be trained on: fold -1, as that of the test part."""
    found = make_data(folder, rows=90)
    splits = found.splits
    pool = np.sort(np.concatenate([splits.train, splits.valid]))
    folds = np.full(len(splits.targets), -1, dtype=np.int8)
    folds[pool] = np.arange(len(pool)) // 3 % (2 * FOLDS)  # folded once more on the way to four
    folds[pool[:3]] = -1
    splits = replace(splits, folds=folds)
    save_splits(splits, found.split_file)
    return replace(found, splits=splits, profile=replace(found.profile, folds=FOLDS))


def judged(made):
    """The rows that are judged, and the fold of each."""
    rows = np.flatnonzero(made.splits.folds >= 0)
    return rows, made.splits.folds[rows] % FOLDS
