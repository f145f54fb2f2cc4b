"""Series of unequal length, standardised and padded into one batch with a mask; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seedbed.core.data.prepared import PreparedSeries

MOST_VALUES = 2**26  # of a sample: 0.3 GB and a second or two, and ample for a mean
MOST_DEVIATIONS = 60_000.0  # half precision ends at 65,504

_CHUNK_VALUES = 2**21


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Padded:
    """A batch of series.

    `values` float32 (B, C, T), zero where there is nothing; `mask` bool (B, T), true where a row has a step;
    `cut` counts the rows that are longer than T.
    """

    values: np.ndarray
    mask: np.ndarray
    cut: int


def pad(
    values: np.ndarray,
    offsets: np.ndarray,
    rows: np.ndarray,
    *,
    mean: np.ndarray,
    std: np.ndarray,
    length: int | None = None,
) -> Padded:
    """Gather the rows (B,) of flat values (all steps, C), standardised by `mean` and `std` (C,).

    T is `length`, or that of the longest of these rows; a longer row keeps its first T steps. A missing value
    is 0 after standardising, which is the training mean, and its step counts as there.
    """
    whole = offsets[rows + 1] - offsets[rows]
    steps = whole if length is None else np.minimum(whole, length)
    longest = int(steps.max(initial=0)) if length is None else length
    mask = np.arange(longest) < steps[:, None]
    laid = np.zeros((len(rows), longest, values.shape[1]), dtype=np.float32)
    scaled = (values[_places(offsets[rows], steps)] - mean) / std
    laid[mask] = np.clip(np.nan_to_num(scaled, nan=0.0), -MOST_DEVIATIONS, MOST_DEVIATIONS)
    turned = np.ascontiguousarray(laid.transpose(0, 2, 1))
    return Padded(values=turned, mask=mask, cut=int((whole > steps).sum()))


def series_statistics(prepared: PreparedSeries, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each channel over these rows, float64 (C,), missing values apart.

    Of very many values a seeded sample of rows. A channel that is constant has the size of its values
    (at least 1) for a deviation, so that inputs can be divided by it. Chunks are merged as in Chan, Golub &
    LeVeque 1983, which keeps the digits that sums of squares lose far from zero.
    """
    values, offsets = prepared.values(), prepared.offsets()
    rows = _sample(rows, offsets, prepared.channels)
    steps = offsets[rows + 1] - offsets[rows]
    count, mean, squares = (np.zeros(prepared.channels) for _ in range(3))
    chunk = np.cumsum(steps) // max(_CHUNK_VALUES // prepared.channels, 1)
    for some in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(chunk)) + 1):
        numbers = values[_places(offsets[rows[some]], steps[some])].astype(np.float64)
        there = np.isfinite(numbers)
        more = there.sum(axis=0)
        its_mean = np.where(there, numbers, 0.0).sum(axis=0) / np.maximum(more, 1)
        its_squares = (np.where(there, numbers - its_mean, 0.0) ** 2).sum(axis=0)
        total = np.maximum(count + more, 1)
        gap = its_mean - mean
        mean = mean + gap * more / total
        squares = squares + its_squares + gap**2 * count * more / total
        count = count + more
    std = np.sqrt(squares / np.maximum(count, 1))
    # What float32 rounds away is no spread: relative to the mean, not to 1, as sensors may count in nanovolts.
    is_constant = std <= np.finfo(np.float32).eps * np.abs(mean)
    return mean, np.where(is_constant, np.maximum(np.abs(mean), 1.0), std)


def _sample(rows: np.ndarray, offsets: np.ndarray, channels: int) -> np.ndarray:
    """Return as many of the rows, at random, as have `MOST_VALUES` values; at least one."""
    shuffled = np.random.default_rng(0).permutation(rows)
    total = np.cumsum(offsets[shuffled + 1] - offsets[shuffled]) * channels
    if not len(rows) or total[-1] <= MOST_VALUES:
        return rows
    return np.sort(shuffled[: max(int(np.searchsorted(total, MOST_VALUES, side="right")), 1)])


def _places(begins: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return the indices of several ranges, each of so many steps, one after another."""
    before = np.cumsum(steps) - steps
    return np.repeat(begins - before, steps) + np.arange(int(steps.sum()))
