"""Find texts that are nearly the same: MinHash over shingles for candidates, the Jaccard index to decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from seedbed.core.data.checking.likeness import linked
from seedbed.core.data.checking.text_likeness import batches, byte_lengths, column_bytes, equal_rows, mix, normalise

if TYPE_CHECKING:
    import pyarrow as pa

    from seedbed.core.data.dataset import Dataset

MOST_ROWS = 200_000
LEAST_JACCARD = 0.7

_WINDOW = 8  # bytes of a shingle: each is read as one number
_LEAST_SHINGLES = 24  # in a shorter text, another word makes another text
_MOST_SHINGLES = 48 * 2**20  # of all texts together; above, of every text the same share is taken, chosen by its hash
_HASHES, _BAND = 64, 4  # of pairs with a Jaccard index of 0.7 a share of 0.988 meets in one of 16 bands, at 0.3 of 0.12
_LEAST_ESTIMATE = 0.5  # of a Jaccard index by 64 hashes: 3.5 standard errors below LEAST_JACCARD
_SHINGLES_AT_ONCE = 2**21


def near_duplicate_texts(
    dataset: Dataset,
    digests: np.ndarray,
    name: str = "text",
    *,
    least_jaccard: float = LEAST_JACCARD,
    most_rows: int = MOST_ROWS,
    seed: int = 0,
    cancelled: Callable[[], bool] | None = None,
) -> np.ndarray:
    """Return pairs (M, 2) of rows whose normalised texts share most of their shingles of 8 bytes, lower row first.

    Candidates meet in a band of their MinHash signatures (Broder 1997; Leskovec, Rajaraman & Ullman, "Mining of
    Massive Datasets", 3.4). Of equal texts (`digests`, of `text_digests`) the first speaks for all. The pairs link
    every group; they are not all the pairs in it. Texts under 31 bytes are left out. Of more than `most_rows`
    different texts a seeded sample is compared.

    Raises:
        Interrupted: `cancelled()` became true.
    """
    rows = np.unique(digests, return_index=True)[1]
    rows = np.sort(rows[digests[rows] > 0])
    if len(rows) > most_rows:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most_rows, replace=False))
    share = max(column_bytes(dataset, name) * len(rows) // max(len(dataset), 1) // _MOST_SHINGLES, 1)

    def read(some: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        for start, values in batches(dataset, name, rows=rows[some], cancelled=cancelled):
            yield start, *_shingles(normalise(values), share)

    signatures, counts = _sign(read(np.arange(len(rows))), len(rows), seed)
    found = np.zeros((0, 2), dtype=np.int64)
    for some in _portions(_meetings(signatures, np.flatnonzero(counts >= _LEAST_SHINGLES)), counts):
        group = linked(len(rows), found)
        some = some[group[some[:, 0]] != group[some[:, 1]]]  # of a group, each new member is compared once
        alike = (signatures[some[:, 0]] == signatures[some[:, 1]]).mean(axis=1) >= _LEAST_ESTIMATE
        some = some[alike]
        wanted, places = np.unique(some, return_inverse=True)
        parts = list(read(wanted))
        if parts:
            hashes, lengths = (np.concatenate([part[k] for part in parts]) for k in (1, 2))
            index = _jaccard(hashes, lengths, places.reshape(-1, 2))
            found = np.concatenate([found, some[index >= least_jaccard]])
    return np.sort(rows[found], axis=1)


def _shingles(texts: pa.Array, share: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the hashes, uint64, of the shingles of all texts in a row, and how many each text has (n,).

    Of about `share` shingles one is kept, and of equal ones all or none.
    """
    counts = np.maximum(byte_lengths(texts) - _WINDOW + 1, 0).astype(np.int64)
    if not counts.any():
        return np.zeros(0, dtype=np.uint64), counts
    _, ends, data = texts.buffers()
    edges = np.frombuffer(ends, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    windows: np.ndarray = np.ndarray((len(data) - _WINDOW + 1,), dtype="<u8", buffer=data, strides=(1,))
    inside = np.zeros(edges[-1] - edges[0] + 1, dtype=np.int8)  # +1 where the windows of a text begin, -1 at their end
    np.add.at(inside, edges[:-1] - edges[0], 1)
    np.add.at(inside, edges[:-1] - edges[0] + counts, -1)
    is_whole = np.cumsum(inside, dtype=np.int8)[:-1] > 0
    hashes = mix(windows[edges[0] : edges[-1]][is_whole[: len(windows) - edges[0]]])
    if share > 1:
        kept = hashes % np.uint64(share) == 0
        owners = np.repeat(np.arange(len(texts)), counts)
        return hashes[kept], np.bincount(owners[kept], minlength=len(texts))
    return hashes, counts


def _sign(parts: Iterator[tuple[int, np.ndarray, np.ndarray]], count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the MinHash signatures, uint32 (count, 64), of texts, and how many shingles each has (count,)."""
    signatures = np.zeros((count, _HASHES), dtype=np.uint32)
    counts = np.zeros(count, dtype=np.int64)
    factors = np.random.default_rng(seed).integers(0, 2**32, _HASHES, dtype=np.uint32) | np.uint32(1)
    for start, hashes, lengths in parts:
        counts[start : start + len(lengths)] = lengths
        filled = start + np.flatnonzero(lengths)
        if not len(filled):
            continue
        edges = (np.cumsum(lengths) - lengths)[lengths > 0]
        short = (hashes >> np.uint64(32)).astype(np.uint32)
        for place, factor in enumerate(factors):
            signatures[filled, place] = np.minimum.reduceat(short * factor, edges)
    return signatures, counts


def _meetings(signatures: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return pairs (M, 2) of places that agree in a band of their signatures: with the first there and with the next.

    A band that thousands agree in gives thousands of pairs, and not millions.
    """
    pairs = []
    for start in range(0, _HASHES, _BAND):
        band = signatures[places, start : start + _BAND].astype(np.uint64)
        keys = mix(mix(band[:, 0] << np.uint64(32) | band[:, 1]) ^ (band[:, 2] << np.uint64(32) | band[:, 3]))
        order = np.argsort(keys, kind="stable")
        meets = keys[order][1:] == keys[order][:-1]
        following = np.stack([order[:-1][meets], order[1:][meets]], axis=1)
        pairs += [places[following], places[equal_rows(keys)]]
    return np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0)


def _portions(pairs: np.ndarray, counts: np.ndarray) -> Iterator[np.ndarray]:
    """Split pairs so that the texts of each part have a bounded number of shingles."""
    work = np.cumsum(counts[pairs].sum(axis=1)) // _SHINGLES_AT_ONCE
    yield from np.split(pairs, np.flatnonzero(np.diff(work)) + 1)


def _jaccard(hashes: np.ndarray, lengths: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return the Jaccard index (M,) of the sets of shingles of pairs of texts; those of text k follow those of k-1."""
    starts = np.cumsum(lengths) - lengths
    one, owners = _keys(hashes, starts, lengths, pairs[:, 0])
    other, others = _keys(hashes, starts, lengths, pairs[:, 1])
    both = np.bincount(owners[np.isin(one, other, assume_unique=True)], minlength=len(pairs))
    either = np.bincount(owners, minlength=len(pairs)) + np.bincount(others, minlength=len(pairs)) - both
    index: np.ndarray = both / np.maximum(either, 1)
    return index


def _keys(
    hashes: np.ndarray, starts: np.ndarray, lengths: np.ndarray, texts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the set of shingles of each of the texts as numbers of their own, and which of the texts each is of."""
    sizes = lengths[texts]
    owners = np.repeat(np.arange(len(texts)), sizes)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    shingles = hashes[np.repeat(starts[texts], sizes) + within]
    keys, first = np.unique(mix(shingles ^ mix(owners.astype(np.uint64))), return_index=True)
    return keys, owners[first]
