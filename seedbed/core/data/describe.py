"""Measure what plugins fit their components to: the profile of prepared and split data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seedbed.core.data.mirror import mirror_cost
from seedbed.core.data.prepared import Prepared, PreparedImages, PreparedSeries, PreparedText
from seedbed.core.data.preparing.padding import series_statistics
from seedbed.core.data.preparing.prepare_text import word_counts
from seedbed.core.data.preparing.tokens import Tokens
from seedbed.core.data.profile import Lengths, Profile
from seedbed.core.data.splitting.split import Splits
from seedbed.core.task import Task

MOST_ROWS = 20_000
MOST_BYTES = 128 * 2**20  # 680 images of 256 by 256 pixels in colour: half a second, and ample for a mean


def describe(prepared: Prepared, splits: Splits, task: Task, tokens: Tokens | None = None) -> Profile:
    """Return the profile; statistics, lengths and class counts are those of the training rows.

    The lengths of texts are counted in `tokens`, where there are any, and else in words.
    """
    plain = Profile(
        task=task,
        examples=len(splits.train) + len(splits.valid) + len(splits.test),
        train=len(splits.train),
        valid=len(splits.valid),
        test=len(splits.test),
        fingerprint=prepared.fingerprint,
    )
    return _with_inputs(_with_targets(plain, splits), prepared, splits, tokens)


def _with_targets(profile: Profile, splits: Splits) -> Profile:
    targets = splits.targets[splits.train]
    if profile.task.kind == "regression":
        scale = float(np.abs(targets).max(initial=0.0)) or 1.0  # numbers near 1e300 would overflow
        mean = scale * float((targets / scale).mean()) if len(targets) else 0.0
        spread = scale * float((targets / scale).std()) if len(targets) else 0.0
        return replace(profile, target_mean=mean, target_std=spread if spread > 1e-12 * abs(mean) else 1.0)
    if profile.task.kind == "multilabel":
        counts = targets.sum(axis=0, dtype=np.int64)
    else:
        counts = np.bincount(targets, minlength=len(splits.classes))
    return replace(profile, class_counts=tuple(counts.tolist()))


def _with_inputs(profile: Profile, prepared: Prepared, splits: Splits, tokens: Tokens | None) -> Profile:
    if isinstance(prepared, PreparedImages):
        mean, std = pixel_statistics(prepared, splits.train)
        return replace(
            profile,
            height=prepared.height,
            width=prepared.width,
            channels=prepared.channels,
            mean=mean,
            std=std,
            # The measurement is a classifier's; of values and of several labels nothing is known.
            mirror_cost=mirror_cost(prepared, splits) if profile.task.kind == "classification" else None,
        )
    if isinstance(prepared, PreparedSeries):
        means, deviations = series_statistics(prepared, splits.train)
        return replace(
            profile,
            channels=prepared.channels,
            mean=tuple(means.tolist()),
            std=tuple(deviations.tolist()),
            lengths=lengths_of(prepared.lengths(), splits.train),
        )
    if tokens is not None:
        lengths = lengths_of(tokens.lengths(), splits.train)
        return replace(profile, lengths=lengths, vocabulary=tokens.vocabulary)
    if isinstance(prepared, PreparedText):
        return replace(profile, lengths=lengths_of(word_counts(prepared), splits.train))
    return profile


def lengths_of(lengths: np.ndarray, rows: np.ndarray) -> Lengths:
    """Summarise the lengths (N,) of these rows; all are 0 where there are no rows."""
    if not len(rows):
        return Lengths(least=0, usual=0, most=0, longest=0)
    found = lengths[rows]
    # A quantile between two rows would be the length of none.
    usual, most = np.quantile(found, (0.5, 0.95), method="inverted_cdf")
    return Lengths(least=int(found.min()), usual=int(usual), most=int(most), longest=int(found.max()))


def pixel_statistics(prepared: PreparedImages, rows: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
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
