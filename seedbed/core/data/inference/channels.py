"""Series out of the columns they lie in: lists of channels, each a list of float32 of one length within a row; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from seedbed.core.data.inference.cells import parse_series
from seedbed.core.data.reading.arrowforms import lengths_of, lists, nulls_of

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """A batch of series; `uneven` marks rows (n,) whose channels differ in length, `odd` those that are no series."""

    rows: pa.Array
    uneven: np.ndarray
    odd: np.ndarray


def from_lists(arrays: Sequence[pa.Array]) -> Series:
    """Put the lists of several columns side by side, one channel each; a row that lacks them all is missing."""
    lengths = np.stack([lengths_of(array) for array in arrays], axis=1)
    missing = np.stack([nulls_of(array) for array in arrays], axis=1)
    values = np.concatenate([_floats(array.flatten()) for array in arrays])
    # the columns lie end to end; a row's channels are to lie beside each other
    starts = np.concatenate([[0], np.cumsum(lengths.T.ravel())[:-1]]).reshape(lengths.T.shape).T
    kept = np.asarray(~missing.all(axis=1))
    counts = np.where(kept, len(arrays), 0)
    order = _ranges(starts[kept].ravel(), lengths[kept].ravel())
    return _even(counts, lengths[kept].ravel(), values[order], ~kept)


def from_channels(array: pa.Array) -> Series:
    """Take lists of channels as they are."""
    inner = array.flatten()
    return _even(lengths_of(array), lengths_of(inner), _floats(inner.flatten()), nulls_of(array))


def from_steps(array: pa.Array, width: int) -> Series:
    """Turn lists of steps, each a list of `width` values, into lists of channels; what a step lacks is NaN."""
    inner = array.flatten()
    steps, found = lengths_of(array), lengths_of(inner)
    values = _padded(_floats(inner.flatten()), found, np.full(len(found), width)).reshape(-1, width)
    row = np.repeat(np.arange(len(steps)), steps)
    first = np.cumsum(steps) - steps
    step = np.arange(len(row)) - first[row]
    place = (first * width)[row][:, None] + steps[row][:, None] * np.arange(width) + step[:, None]
    turned = np.empty(values.size, dtype=np.float32)
    turned[place.ravel()] = values.ravel()
    uneven = np.zeros(len(steps), dtype=bool)
    uneven[row[found != width]] = True
    counts = np.where(steps > 0, width, 0)
    rows = _built(counts, np.repeat(steps[steps > 0], width), turned, nulls_of(array))
    return Series(rows=rows, uneven=uneven, odd=np.zeros(len(steps), dtype=bool))


def from_cells(arrays: Sequence[pa.Array]) -> Series:
    """Parse cells of text; the channels of several columns follow each other. What does not parse is missing."""
    counts, lengths, values, odd, missing = [], [], [], [], []
    for cells in zip(*(array.to_pylist() for array in arrays), strict=True):
        parsed = [parse_series(cell) if cell and cell.strip() else [] for cell in cells]
        channels = [channel for each in parsed if each is not None for channel in each]
        is_odd = any(each is None for each in parsed)
        if is_odd:
            channels = []
        odd.append(is_odd)
        missing.append(not channels)
        counts.append(len(channels))
        lengths += [len(channel) for channel in channels]
        values += channels
    flat = np.concatenate(values) if values else np.empty(0, dtype=np.float32)
    found = _even(np.array(counts, dtype=np.int64), np.array(lengths, dtype=np.int64), flat, np.array(missing, bool))
    return Series(rows=found.rows, uneven=found.uneven, odd=np.array(odd, dtype=bool))


def from_wide(channels: Sequence[Sequence[pa.Array]]) -> Series:
    """Read columns of numbers as steps; what is missing at the end of a row makes it shorter."""
    matrix = np.stack([np.stack([_floats(array) for array in steps], axis=1) for steps in channels], axis=1)
    rows, many, steps = matrix.shape
    known = ~np.isnan(matrix).all(axis=1)
    lengths = np.where(known.any(axis=1), steps - np.argmax(known[:, ::-1], axis=1), 0)
    within = np.arange(steps) < lengths[:, None]
    values = matrix[np.broadcast_to(within[:, None, :], matrix.shape)]
    counts = np.where(lengths > 0, many, 0)
    built = _built(counts, np.repeat(lengths[lengths > 0], many), values, lengths == 0)
    none = np.zeros(rows, dtype=bool)
    return Series(rows=built, uneven=none, odd=none)


def _even(counts: np.ndarray, lengths: np.ndarray, values: np.ndarray, missing: np.ndarray) -> Series:
    """Fill the shorter channels of a row with NaN; `counts` (n,) channels a row, `lengths` of each in turn."""
    row = np.repeat(np.arange(len(counts)), counts)
    longest = np.zeros(len(counts), dtype=np.int64)
    np.maximum.at(longest, row, lengths)
    wanted = longest[row]
    uneven = np.zeros(len(counts), dtype=bool)
    if (wanted != lengths).any():
        uneven[row[wanted != lengths]] = True
        values = _padded(values, lengths, wanted)
    return Series(rows=_built(counts, wanted, values, missing), uneven=uneven, odd=np.zeros(len(counts), dtype=bool))


def _built(counts: np.ndarray, lengths: np.ndarray, values: np.ndarray, missing: np.ndarray) -> pa.Array:
    import pyarrow as pa

    return lists(counts, lists(lengths, pa.array(values, pa.float32())), missing)


def _padded(values: np.ndarray, lengths: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Make runs of `lengths` end to end as long as `wanted`, which is no shorter, with NaN."""
    padded = np.full(int(wanted.sum()), np.nan, dtype=np.float32)
    padded[_ranges(np.cumsum(wanted) - wanted, lengths)] = values
    return padded


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the numbers start, start + 1, … of every run, end to end."""
    first = np.cumsum(lengths) - lengths
    return np.asarray(np.arange(int(lengths.sum())) + np.repeat(starts - first, lengths), dtype=np.int64)


def _floats(array: pa.Array) -> np.ndarray:
    """Return float32 (n,), NaN where a value is missing; what float32 cannot hold is infinite."""
    import pyarrow as pa

    values = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32)
