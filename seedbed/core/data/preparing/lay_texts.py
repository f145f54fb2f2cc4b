"""Lay texts end to end beside what was measured of them, so that trials elsewhere can read them by row; an edge.

The folder `texts` within the prepared one holds `bytes.npy` (uint8, UTF-8) and `offsets.npy` (int64, (N + 1,)).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seedbed.core.data.dataset import Dataset
from seedbed.core.data.prepared import PreparedText
from seedbed.core.data.preparing.cachefolder import NOT_WHOLE, ArrayFile, filling, read_facts, write_facts
from seedbed.core.data.preparing.prepare_text import encoded_texts
from seedbed.core.data.preparing.stream import pieces
from seedbed.core.errors import DataError, Interrupted

NAME = "texts"
MOST_OF_A_TEXT = 20_000  # characters that models are given: a book would fill the memory of a whole batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """Texts on disk: row i is `offsets()[i]:offsets()[i + 1]` of the bytes, UTF-8."""

    folder: Path
    rows: int


@dataclass(frozen=True, slots=True, eq=False)
class LaidTexts:
    """Texts that can be read by row number."""

    content: np.memmap
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of(self, rows: np.ndarray) -> list[str]:
        """Return the texts of these rows (n,), of each the beginning."""
        begins = self.offsets[rows]
        ends = np.minimum(self.offsets[rows + 1], begins + 4 * MOST_OF_A_TEXT)  # no character takes more than 4 bytes
        spans = zip(begins.tolist(), ends.tolist(), strict=True)
        return [bytes(self.content[begin:end]).decode(errors="ignore")[:MOST_OF_A_TEXT] for begin, end in spans]


def open_texts(prepared: Path) -> LaidTexts:
    """Open the texts that lie in a prepared folder.

    Raises:
        DataError: they are missing or damaged.
    """
    folder = prepared / NAME
    try:
        laid = read_facts(folder, Laid)
        content, offsets = np.load(folder / "bytes.npy", mmap_mode="r"), np.load(folder / "offsets.npy")
    except NOT_WHOLE as error:
        raise DataError(f"{folder} holds no texts ({error}); prepare them again.") from error
    if len(offsets) != laid.rows + 1 or offsets[-1] != len(content):
        raise DataError(f"{folder}: the arrays do not fit prepared.json; delete the folder and prepare again.")
    return LaidTexts(content, offsets)


def lay_texts(
    dataset: Dataset,
    prepared: PreparedText,
    *,
    cancelled: Callable[[], bool] | None = None,
) -> None:
    """Write the texts of a dataset into its prepared folder, unless they lie there already.

    Raises:
        DataError: the cache has no room.
        Interrupted: `cancelled()` became true.
    """
    with suppress(DataError):  # missing or damaged: made below
        open_texts(prepared.folder)
        return
    needed = 2 * int(prepared.characters().sum(dtype=np.int64)) + 8 * len(dataset)
    lengths = []
    with filling(prepared.folder / NAME, needed, "The texts", lambda folder: open_texts(folder.parent)) as partial:
        with (partial / "bytes.npy").open("wb") as file:
            array = ArrayFile(file, "|u1")
            for _, piece in pieces(dataset, "text"):
                if cancelled is not None and cancelled():
                    raise Interrupted("Stopped while the texts were laid out; run again for all.")
                ends, content = encoded_texts(piece)
                array.append(content)
                lengths.append(np.diff(ends).astype(np.int64))
            array.finish()
        np.save(partial / "offsets.npy", np.concatenate([[0], np.cumsum(np.concatenate(lengths))]))
        write_facts(Laid(folder=prepared.folder / NAME, rows=len(dataset)), partial)
