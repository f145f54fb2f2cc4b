"""A column of a dataset, a piece at a time: memory stays bounded however long the table and its cells are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from seedbed.core.data.dataset import Dataset

PIECE_ROWS = 65_536
PIECE_BYTES = 16 * 2**20


def pieces(dataset: Dataset, name: str, rows: int = PIECE_ROWS) -> Iterator[tuple[int, pa.Array]]:
    """Yield a column in order: the number of the first row, and at most so many rows or `PIECE_BYTES`.

    A single cell may be larger. Nothing is copied where the dataset lies in one piece on disk.
    """
    view = dataset.rows.with_format("arrow", columns=[name])
    for start in range(0, len(dataset), rows):
        place = start
        for chunk in view[start : start + rows].column(name).chunks:
            for piece in _halved(chunk):
                yield place, piece
                place += len(piece)


def pieces_of(dataset: Dataset, name: str, wanted: np.ndarray) -> Iterator[tuple[int, pa.Array]]:
    """Yield only the wanted rows (int64 (n,), rising) of a column: how many came before, and the values."""
    import pyarrow as pa

    done = 0
    for start, piece in pieces(dataset, name):
        end = int(np.searchsorted(wanted, start + len(piece)))
        if end > done:
            yield done, piece.take(pa.array(wanted[done:end] - start))
            done = end
        if done == len(wanted):
            return


def _halved(chunk: pa.Array) -> Iterator[pa.Array]:
    if len(chunk) > 1 and chunk.nbytes > PIECE_BYTES:
        middle = len(chunk) // 2
        yield from _halved(chunk[:middle])
        yield from _halved(chunk[middle:])
    elif len(chunk):
        yield chunk
