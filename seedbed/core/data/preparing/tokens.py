"""Texts as numbers, in one memory-mapped array that all trials share; an edge.

A folder of tokens holds `ids.npy` (uint16, or uint32 for a large vocabulary, (all tokens,)), `offsets.npy`
(int64, (N + 1,)) and `prepared.json`. Its name stands for the texts, the vocabulary and the cut.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seedbed.core.data.dataset import Dataset
from seedbed.core.data.preparing.blocks import usable_cpus
from seedbed.core.data.preparing.cachefolder import NOT_WHOLE, ArrayFile, filling, read_facts, write_facts
from seedbed.core.data.preparing.stream import pieces
from seedbed.core.data.preparing.vocabulary import Encoded, Vocabulary, strings
from seedbed.core.errors import DataError, Interrupted

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1  # raise it when equal texts would give other tokens
LONGEST = 512

_CHUNK_ROWS = 1024
_CHARACTERS_A_TOKEN = 16  # three to five are usual: text beyond that many is not even looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A folder of tokens: those of row i are `ids()[offsets()[i]:offsets()[i + 1]]`, at least one.

    `vocabulary` is how many ids there are, `longest` the most tokens a row may have, `cut` how many rows had more.
    """

    folder: Path
    rows: int
    fingerprint: str
    vocabulary: int
    longest: int
    cut: int = 0

    def ids(self) -> np.memmap:
        """Open the tokens, read-only: uint16 or uint32 (all tokens,)."""
        opened: np.memmap = np.load(self.folder / "ids.npy", mmap_mode="r")
        return opened

    def offsets(self) -> np.ndarray:
        """Return where each row begins and the last one ends, int64 (N + 1,)."""
        found: np.ndarray = np.load(self.folder / "offsets.npy")
        return found

    def lengths(self) -> np.ndarray:
        """Return the tokens of each row, int64 (N,)."""
        return np.diff(self.offsets())

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be told."""
        if not self.cut:
            return ()
        return (f"{self.cut:,} of {self.rows:,} texts are longer than {self.longest} tokens; their beginning is read.",)


def open_tokens(folder: Path) -> Tokens:
    """Open a folder of tokens.

    Raises:
        DataError: it is missing, damaged or of another version.
    """
    try:
        tokens = read_facts(folder, Tokens)
        count, offsets = len(tokens.ids()), tokens.offsets()
    except NOT_WHOLE as error:
        raise DataError(f"{folder} holds no tokens ({error}); make them again.") from error
    if len(offsets) != tokens.rows + 1 or offsets[-1] != count:
        raise DataError(f"{folder}: the arrays do not fit prepared.json; delete the folder and prepare again.")
    return tokens


def tokenise(
    dataset: Dataset,
    vocabulary: Vocabulary,
    cache: Path,
    fingerprint: str,
    *,
    longest: int = LONGEST,
    report: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    threads: int = 0,
) -> Tokens:
    """Turn the texts of a dataset into tokens, or open what an earlier call left in the cache.

    `fingerprint` is that of the prepared texts. Of each text the first `longest` tokens are kept. `threads` is
    the most to use (0: one a core).

    Raises:
        DataError: there is no text, or the cache has no room.
        Interrupted: `cancelled()` became true.
    """
    total = len(dataset)
    if not total:
        raise DataError(f"{dataset.source} holds no texts.")
    key = f"tokens {VERSION} {fingerprint} {vocabulary.fingerprint} {longest}"
    folder = cache / hashlib.blake2b(key.encode(), digest_size=12).hexdigest()
    with suppress(DataError):  # missing or damaged: made below
        return open_tokens(folder)
    kind = "<u2" if vocabulary.size <= 2**16 else "<u4"
    lengths = np.zeros(total, dtype=np.int64)
    cut = done = 0
    with filling(folder, total * 8, "The tokens", open_tokens) as partial:
        with (
            (partial / "ids.npy").open("wb") as file,
            closing(_in_order(_chunks(dataset), vocabulary, longest, threads or usable_cpus())) as blocks,
        ):
            array = ArrayFile(file, kind)
            for block in blocks:
                if cancelled is not None and cancelled():
                    raise Interrupted(f"Stopped after {done} of {total} texts were read; run again for all.")
                array.append(block.encoded.ids)
                end = done + len(block.encoded.offsets) - 1
                lengths[done:end] = np.diff(block.encoded.offsets)
                done, cut = end, cut + block.cut
                if report is not None:
                    report(done, total)
            array.finish()
        np.save(partial / "offsets.npy", np.concatenate([[0], np.cumsum(lengths)]))
        tokens = Tokens(
            folder=folder,
            rows=total,
            fingerprint=folder.name,
            vocabulary=vocabulary.size,
            longest=longest,
            cut=cut,
        )
        write_facts(tokens, partial)
    return open_tokens(folder)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Block:
    encoded: Encoded
    cut: int


def _chunks(dataset: Dataset) -> Iterator[pa.Array]:
    for _, piece in pieces(dataset, "text"):
        for start in range(0, len(piece), _CHUNK_ROWS):
            yield piece[start : start + _CHUNK_ROWS]


def _in_order(
    chunks: Iterator[pa.Array], vocabulary: Vocabulary, longest: int, threads: int
) -> Generator[_Block, None, None]:
    encode = vocabulary.encoder()
    most = longest * _CHARACTERS_A_TOKEN

    def work(chunk: pa.Array) -> _Block:
        texts = strings(chunk, most + 1)
        cut_before = np.array([len(text) > most for text in texts])
        return _shortened(encode([text[:most] for text in texts]), longest, cut_before)

    with ThreadPoolExecutor(threads, thread_name_prefix="seedbed-tokens") as pool:
        waiting: deque[Future[_Block]] = deque()
        try:
            for chunk in chunks:
                waiting.append(pool.submit(work, chunk))
                if len(waiting) > 2 * threads:  # a window: memory stays bounded
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _shortened(encoded: Encoded, longest: int, cut_before: np.ndarray) -> _Block:
    """Keep the first tokens of each text; `cut_before` (n,) marks those of which not all was encoded."""
    lengths = np.diff(encoded.offsets)
    is_long = lengths > longest
    ids = encoded.ids
    if is_long.any():
        within = np.arange(len(ids)) - np.repeat(encoded.offsets[:-1], lengths)
        ids = ids[within < longest]
    offsets = np.concatenate([[0], np.cumsum(np.minimum(lengths, longest))])
    return _Block(encoded=Encoded(ids=ids, offsets=offsets), cut=int((is_long | cut_before).sum()))
