"""Measure what plugins fit their components to: the profile of prepared and split images."""

from __future__ import annotations

import numpy as np

from seedbed.core.data.mirror import mirror_cost
from seedbed.core.data.prepare import Prepared
from seedbed.core.data.profile import Profile
from seedbed.core.data.split import Splits
from seedbed.core.task import Task

MOST_ROWS = 20_000
MOST_BYTES = 128 * 2**20  # 680 images of 256 by 256 pixels in colour: half a second, and ample for a mean


def describe(prepared: Prepared, splits: Splits, task: Task) -> Profile:
    """Return the profile; pixel statistics and class counts are those of the training rows."""
    mean, std = pixel_statistics(prepared, splits.train)
    return Profile(
        task=task,
        examples=len(splits.train) + len(splits.valid) + len(splits.test),
        train=len(splits.train),
        valid=len(splits.valid),
        test=len(splits.test),
        height=prepared.height,
        width=prepared.width,
        channels=prepared.channels,
        mean=mean,
        std=std,
        class_counts=tuple(
            int(count) for count in np.bincount(splits.targets[splits.train], minlength=len(splits.classes))
        ),
        fingerprint=prepared.fingerprint,
        mirror_cost=mirror_cost(prepared, splits),
    )


def pixel_statistics(prepared: Prepared, rows: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel over a seeded sample of rows, in [0, 1].

    A deviation is at least 1/255, so that inputs can be divided by it.
    """
    most = min(MOST_ROWS, max(MOST_BYTES // prepared.form.bytes, 1))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
    images = prepared.images()
    total = np.zeros(prepared.channels, dtype=np.uint64)
    squares = np.zeros(prepared.channels, dtype=np.uint64)
    for start in range(0, len(rows), 256):
        pixels = images[rows[start : start + 256]].astype(np.uint32)
        total += pixels.sum(axis=(0, 1, 2), dtype=np.uint64)  # whole numbers: exact, in any order
        squares += (pixels * pixels).sum(axis=(0, 1, 2), dtype=np.uint64)
    count = max(len(rows) * prepared.height * prepared.width, 1)
    mean = total.astype(np.float64) / count
    variance = np.maximum(squares.astype(np.float64) / count - mean**2, 1.0)
    return tuple((mean / 255).tolist()), tuple((np.sqrt(variance) / 255).tolist())
