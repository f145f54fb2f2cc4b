"""Lay series end to end in one memory-mapped array that all trials share; an edge.

A prepared folder holds `values.npy` (float32, (all steps, C)), `offsets.npy` (int64, (N + 1,)) and
`prepared.json`. Its name is the fingerprint of the values. The table is read twice, a piece at a time: once
for fingerprint and sizes, and, where the cache does not have it, once for the values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from seedbed.core.data.dataset import Dataset
from seedbed.core.data.prepared import PreparedSeries
from seedbed.core.data.preparing.cachefolder import NOT_WHOLE, ArrayFile, filling, read_facts, write_facts
from seedbed.core.data.preparing.stream import pieces
from seedbed.core.errors import DataError, Interrupted

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1  # raise it when equal series would give other values


def open_series(folder: Path) -> PreparedSeries:
    """Open a prepared folder.

    Raises:
        DataError: it is missing, damaged or of another version.
    """
    try:
        prepared = read_facts(folder, PreparedSeries)
        shape, offsets = prepared.values().shape, prepared.offsets()
    except NOT_WHOLE as error:
        raise DataError(f"{folder} holds no prepared series ({error}); prepare them again.") from error
    if len(offsets) != prepared.rows + 1 or shape != (offsets[-1], prepared.channels):
        raise DataError(f"{folder}: the arrays do not fit prepared.json; delete the folder and prepare again.")
    return prepared


def prepare_series(
    dataset: Dataset,
    cache: Path,
    *,
    report: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    channels: int | None = None,
) -> PreparedSeries:
    """Lay out the series of a dataset, or open what an earlier call left in the cache.

    `report(done, total)` is called as rows are done. `channels` is what a model takes; else it is the
    number that most rows have. Rows of another number, and those without any value, have no steps.

    Raises:
        DataError: there is no series, none can be used, or the cache has no room.
        Interrupted: `cancelled()` became true.
    """
    if not len(dataset):
        raise DataError(f"{dataset.source} holds no series.")
    survey = _survey(dataset, channels, cancelled)
    folder = cache / survey.fingerprint
    with suppress(DataError):  # missing or damaged: made below
        return open_series(folder)
    width = channels or survey.usual_channels()
    unreadable = survey.unreadable(width, asked=channels is not None)
    if len(unreadable) == len(dataset):
        row, reason = unreadable[0]
        raise DataError(
            f"None of the series in {dataset.source} ({len(dataset)}) can be used: row {row} {reason}. "
            "Each row needs a list of numbers, or one list for each channel."
        )
    keeps = np.ones(len(dataset), dtype=bool)
    keeps[[row for row, _ in unreadable]] = False
    offsets = np.concatenate([[0], np.cumsum(np.where(keeps, survey.steps, 0))])
    with filling(folder, int(offsets[-1]) * width * 4 + offsets.nbytes, "The prepared series", open_series) as partial:
        np.save(partial / "offsets.npy", offsets)
        with (partial / "values.npy").open("wb") as file:
            _write(dataset, keeps, width, file, report, cancelled)
        prepared = PreparedSeries(
            folder=folder,
            rows=len(dataset),
            fingerprint=folder.name,
            unreadable=unreadable,
            notes=survey.notes(keeps),
            channels=width,
        )
        write_facts(prepared, partial)
    return open_series(folder)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Block:
    """Some rows: `channels` (n,) how many each has, `lengths` of all these, and their `values` end to end.

    `values` is float32 and NaN where a number is missing; `infinite` counts those that were not finite.
    """

    channels: np.ndarray
    lengths: np.ndarray
    values: np.ndarray
    infinite: int

    @property
    def owners(self) -> np.ndarray:
        """The row of each channel, in the block."""
        return np.repeat(np.arange(len(self.channels)), self.channels)

    def steps(self) -> np.ndarray:
        """Return the length of each row's longest channel, int64 (n,)."""
        steps = np.zeros(len(self.channels), dtype=np.int64)
        np.maximum.at(steps, self.owners, self.lengths)
        return steps

    def sums(self, of_channels: np.ndarray) -> np.ndarray:
        """Add up a number of each channel by rows, int64 (n,)."""
        sums = np.zeros(len(self.channels), dtype=np.int64)
        np.add.at(sums, self.owners, of_channels)
        return sums

    def missing(self) -> np.ndarray:
        """Return how many values of each channel are missing."""
        is_missing = np.isnan(self.values)
        if not is_missing.any():
            return np.zeros_like(self.lengths)
        before = np.concatenate([[0], np.cumsum(is_missing)])
        ends = np.cumsum(self.lengths)
        return np.asarray(before[ends] - before[ends - self.lengths])


def _block(piece: pa.Array) -> _Block:
    import pyarrow as pa
    import pyarrow.compute as pc

    lists = piece.flatten()
    flat = lists.flatten().cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False)
    infinite = int(np.isinf(flat).sum())
    return _Block(
        channels=pc.list_value_length(piece).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64),
        lengths=pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64),
        values=np.where(np.isfinite(flat), flat, np.float32(np.nan)),  # one NaN for all: equal data, equal bytes
        infinite=infinite,
    )


def _blocks(dataset: Dataset, cancelled: Callable[[], bool] | None) -> Iterator[tuple[int, _Block]]:
    for start, piece in pieces(dataset, "series"):
        if cancelled is not None and cancelled():
            raise Interrupted("Stopped while the series were being prepared; run again for all.")
        yield start, _block(piece)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Survey:
    """Of each row (N,): channels, steps of the longest, numbers that stand there, and how many of these are NaN."""

    fingerprint: str
    channels: np.ndarray
    steps: np.ndarray
    values: np.ndarray
    missing: np.ndarray
    infinite: int

    def usual_channels(self) -> int:
        """Return the number of channels that most rows with a value have; of equals the least."""
        counts = np.bincount(self.channels[self.values > self.missing], minlength=2)
        return int(counts.argmax())

    def unreadable(self, width: int, *, asked: bool) -> tuple[tuple[int, str], ...]:
        """Return the rows that cannot be used, with the reason."""
        wanted = f"the model takes {width}" if asked else f"most rows have {width}"
        found = []
        for row in np.flatnonzero((self.values == self.missing) | (self.channels != width)).tolist():
            if not self.values[row]:
                reason = "is empty"
            elif self.values[row] == self.missing[row]:
                reason = "holds no number"
            else:
                count = int(self.channels[row])
                reason = f"has {count} channel{'' if count == 1 else 's'}, {wanted}"
            found.append((row, reason))
        return tuple(found)

    def notes(self, keeps: np.ndarray) -> tuple[str, ...]:
        """Say what was seen in the rows that can be used."""
        missing = self.missing[keeps]
        uneven = int((self.values != self.steps * self.channels)[keeps].sum())
        notes = []
        if missing.any():
            among = f"of {int(self.values[keeps].sum()):,} values are missing"
            notes.append(f"{int(missing.sum()):,} {among}, in {int((missing > 0).sum()):,} of {keeps.sum():,} series.")
        if self.infinite:
            notes.append(f"{self.infinite:,} values are infinite or exceed 32-bit floats; they count as missing.")
        if uneven:
            notes.append(f"{uneven:,} series have channels of unequal length; the shorter ones end in missing values.")
        return tuple(notes)


def _survey(dataset: Dataset, channels: int | None, cancelled: Callable[[], bool] | None) -> _Survey:
    rows = len(dataset)
    counts, steps, values, missing = (np.zeros(rows, dtype=np.int64) for _ in range(4))
    infinite = 0
    # One digest each: where pieces begin and end must not matter.
    shapes, lengths, numbers = (hashlib.blake2b(digest_size=16) for _ in range(3))
    for start, block in _blocks(dataset, cancelled):
        place = slice(start, start + len(block.channels))
        counts[place] = block.channels
        steps[place] = block.steps()
        values[place] = block.sums(block.lengths)
        missing[place] = block.sums(block.missing())
        infinite += block.infinite
        shapes.update(block.channels.data)
        lengths.update(block.lengths.data)
        numbers.update(np.ascontiguousarray(block.values).data)
    all_of_it = hashlib.blake2b(f"series {VERSION} {channels} {rows}".encode(), digest_size=12)
    for each in (shapes, lengths, numbers):
        all_of_it.update(each.digest())
    return _Survey(
        fingerprint=all_of_it.hexdigest(),
        channels=counts,
        steps=steps,
        values=values,
        missing=missing,
        infinite=infinite,
    )


def _write(
    dataset: Dataset,
    keeps: np.ndarray,
    width: int,
    file: BinaryIO,
    report: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> None:
    array = ArrayFile(file, "<f4", (width,))
    for start, block in _blocks(dataset, cancelled):
        end = start + len(block.channels)
        array.append(_interleaved(block, keeps[start:end], width))
        if report is not None:
            report(end, len(dataset))
    array.finish()


def _interleaved(block: _Block, keeps: np.ndarray, width: int) -> np.ndarray:
    """Bring the rows that are kept from channel after channel to step after step, (steps, width)."""
    if width == 1 and keeps.all():
        return block.values[:, None]
    steps = block.steps()[keeps]
    first_channel = (np.cumsum(block.channels) - block.channels)[keeps]
    begins = np.cumsum(block.lengths) - block.lengths
    within = np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps)
    laid = np.full((len(within), width), np.nan, dtype=np.float32)
    for channel in range(width):
        of_rows = first_channel + channel
        there = within < np.repeat(block.lengths[of_rows], steps)
        laid[there, channel] = block.values[(np.repeat(begins[of_rows], steps) + within)[there]]
    return laid
