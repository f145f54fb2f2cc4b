"""Find texts and series that are in a dataset twice, by digests of what they say and not of how it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from seedbed.core.errors import Interrupted

if TYPE_CHECKING:
    import pyarrow as pa

    from seedbed.core.data.dataset import Dataset

_BATCH_BYTES = 8 * 2**20
_MOST_BATCH_ROWS = 50_000


def text_digests(dataset: Dataset, name: str = "text", *, cancelled: Callable[[], bool] | None = None) -> np.ndarray:
    """Return a 64-bit digest, uint64 (N,), of every text of a column; 0 where it is missing or blank.

    Texts are equal that are so after `normalise`. Among five million different ones, the probability that any two
    share a digest is under one in a million.

    Raises:
        Interrupted: `cancelled()` became true.
    """
    import pandas as pd

    digests = np.zeros(len(dataset), dtype=np.uint64)
    for start, values in batches(dataset, name, cancelled=cancelled):
        texts = normalise(values)
        # SipHash of Python strings: 0.4 µs each, where blake2b in a loop takes 0.8.
        hashed = pd.util.hash_array(texts.to_numpy(zero_copy_only=False), categorize=False)
        digests[start : start + len(texts)] = np.where(byte_lengths(texts) > 0, np.maximum(hashed, 1), 0)
    return digests


def series_digests(
    dataset: Dataset, name: str = "series", *, cancelled: Callable[[], bool] | None = None
) -> np.ndarray:
    """Return a 64-bit digest, uint64 (N,), of the values of every series, lists of numbers or lists of such lists.

    0 where it is missing or empty. 0.0 and -0.0 are one number, and so are NaN and a missing value.

    Raises:
        Interrupted: `cancelled()` became true.
    """
    digests = np.zeros(len(dataset), dtype=np.uint64)
    for start, values in batches(dataset, name, cancelled=cancelled):
        digests[start : start + len(values)] = _digest(values)
    return digests


def equal_rows(digests: np.ndarray) -> np.ndarray:
    """Return pairs (M, 2) of rows with equal digests, the first of each set with every other; 0 is left out."""
    order = np.argsort(digests, kind="stable")
    order = order[digests[order] > 0]
    ranked = digests[order]
    is_head = np.ones(len(order), dtype=bool)
    is_head[1:] = ranked[1:] != ranked[:-1]
    heads = order[np.maximum.accumulate(np.where(is_head, np.arange(len(order)), 0))]
    return np.stack([heads[~is_head], order[~is_head]], axis=1)


def normalise(values: pa.Array) -> pa.Array:
    """Return texts as they are compared: NFKC, lower case, every run of white space one space, none at the ends."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.fill_null(values.cast(pa.large_string()), "")
    texts = pc.utf8_trim_whitespace(pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC")))
    # Splitting takes three times as long as all else together, and few texts need it.
    ragged = pc.match_substring_regex(texts, r"[\t-\r\x1c-\x1f\x{85}\x{1680}\x{2028}\x{2029}]|  ")
    if pc.any(ragged).as_py():
        words = pc.utf8_split_whitespace(texts.filter(ragged))
        texts = pc.replace_with_mask(texts, ragged, pc.binary_join(words, pa.scalar(" ", pa.large_string())))
    return texts


def batches(
    dataset: Dataset, name: str, *, rows: np.ndarray | None = None, cancelled: Callable[[], bool] | None = None
) -> Iterator[tuple[int, pa.Array]]:
    """Yield the values of a column, of all rows or of those given, in batches of some megabytes, and where each starts.

    Raises:
        Interrupted: `cancelled()` became true.
    """
    column = dataset.rows.with_format("arrow", columns=[name])
    total = len(dataset) if rows is None else len(rows)
    each = column_bytes(dataset, name) // max(len(dataset), 1)
    step = int(np.clip(_BATCH_BYTES // max(each, 1), 1, _MOST_BATCH_ROWS))
    for start in range(0, total, step):
        if cancelled is not None and cancelled():
            raise Interrupted("Stopped while rows were compared.")
        part = slice(start, min(start + step, total))
        yield start, column[part if rows is None else rows[part]].column(name).combine_chunks()


def column_bytes(dataset: Dataset, name: str) -> int:
    """Return the size of a column in memory."""
    return int(dataset.rows.data.column(name).nbytes)


def byte_lengths(texts: pa.Array) -> np.ndarray:
    """Return the length (n,) of every text in bytes."""
    import pyarrow.compute as pc

    lengths: np.ndarray = pc.binary_length(texts).to_numpy(zero_copy_only=False)
    return lengths


def mix(numbers: np.ndarray) -> np.ndarray:
    """Spread the bits of uint64 numbers evenly (splitmix64, Steele, Lea & Flood 2014)."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    spread: np.ndarray = mixed ^ (mixed >> np.uint64(31))
    return spread


def _digest(values: pa.Array) -> np.ndarray:
    """Return a digest of each value: of a number by its bits, of a list by the digests of its items, in order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kinds = pa.types
    if not (kinds.is_list(values.type) or kinds.is_large_list(values.type) or kinds.is_fixed_size_list(values.type)):
        numbers = pc.fill_null(values.cast(pa.float64()), float("nan")).to_numpy(zero_copy_only=False) + 0.0
        return mix(np.where(np.isnan(numbers), np.nan, numbers).view(np.uint64))
    items = _digest(values.flatten())  # without what lies behind missing lists
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    places = (np.arange(len(items)) - np.repeat(starts, lengths)).astype(np.uint64)
    digests = np.zeros(len(lengths), dtype=np.uint64)
    filled = lengths > 0
    if filled.any():
        sums = np.add.reduceat(mix(items ^ mix(places)), starts[filled])
        digests[filled] = np.maximum(mix(sums ^ lengths[filled].astype(np.uint64)), 1)
    return digests
