"""Batches of rows of like length, so that little of a padded batch is padding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

_JITTER = 0.1  # lengths within a tenth of each other change places from epoch to epoch


def bucketed(
    lengths: np.ndarray, batch_size: int, rng: np.random.Generator, *, max_tokens: int | None = None
) -> Iterator[np.ndarray]:
    """Yield one epoch of batches: positions in `lengths` (N,), each exactly once, batches in random order.

    A batch has at most `batch_size` rows; sizes differ by one at most, so that no epoch ends with a batch of
    a single row, over which a batch norm has no variance. With `max_tokens`, a padded batch also has at most so
    many tokens, unless a single row has more, and sizes differ as they must.
    """
    if not len(lengths):
        return
    blurred = lengths * rng.uniform(1 - _JITTER, 1 + _JITTER, len(lengths))
    order = np.lexsort((rng.random(len(lengths)), blurred))  # rows of length 0, too, in random order
    if max_tokens is None:
        batches = np.array_split(order, -(-len(order) // batch_size))
    else:
        batches = np.split(order, _cuts(lengths[order], batch_size, max_tokens))
    for number in rng.permutation(len(batches)):
        yield batches[number]


def padding_waste(lengths: np.ndarray, batches: Iterable[np.ndarray]) -> float:
    """Return the share of padded batches that is padding, in [0, 1)."""
    padded = full = 0
    for batch in batches:
        padded += int(lengths[batch].max()) * len(batch)
        full += int(lengths[batch].sum())
    return 1 - full / padded if padded else 0.0


def _cuts(lengths: np.ndarray, batch_size: int, max_tokens: int) -> list[int]:
    """Return where a new batch begins: rows are taken in order while the padded batch stays within bounds."""
    cuts: list[int] = []
    start = 0
    while True:
        some = lengths[start : start + batch_size]
        padded = np.maximum.accumulate(some) * np.arange(1, len(some) + 1)
        start += max(int(np.searchsorted(padded, max_tokens, side="right")), 1)
        if start >= len(lengths):
            return cuts
        cuts.append(start)
