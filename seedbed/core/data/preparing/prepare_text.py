"""Measure texts once: which are empty, how long they are, and a fingerprint of what they say; an edge.

A prepared folder holds `characters.npy` and `words.npy` (int32, (N,)) and `prepared.json`. The texts stay
where the dataset has them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seedbed.core.data.dataset import Dataset
from seedbed.core.data.prepared import PreparedText
from seedbed.core.data.preparing.cachefolder import NOT_WHOLE, filling, read_facts, write_facts
from seedbed.core.data.preparing.stream import pieces
from seedbed.core.data.profile import MOST_NAMED
from seedbed.core.errors import DataError, Interrupted

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1  # raise it when equal texts would be measured otherwise
MOST_CHARACTERS = 1_000_000

# Chinese and Japanese set no spaces: each of their characters counts.
_WORD = r"[\x{2E80}-\x{9FFF}]|[^\s\x{2E80}-\x{9FFF}]+"


def open_text(folder: Path) -> PreparedText:
    """Open a prepared folder.

    Raises:
        DataError: it is missing, damaged or of another version.
    """
    try:
        prepared = read_facts(folder, PreparedText)
        lengths = {len(prepared.characters()), len(word_counts(prepared))}
    except NOT_WHOLE as error:
        raise DataError(f"{folder} holds no prepared text ({error}); prepare it again.") from error
    if lengths != {prepared.rows}:
        raise DataError(f"{folder}: the arrays do not fit prepared.json; delete the folder and prepare again.")
    return prepared


def word_counts(prepared: PreparedText) -> np.ndarray:
    """Return the words of each text, int32 (N,): runs between white space, Chinese and Japanese characters one each."""
    found: np.ndarray = np.load(prepared.folder / "words.npy", mmap_mode="r")
    return found


def prepare_text(
    dataset: Dataset,
    cache: Path,
    *,
    report: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> PreparedText:
    """Measure the texts of a dataset, or open what an earlier call left in the cache.

    `report(done, total)` is called as rows are done. Texts of nothing but white space are unreadable.

    Raises:
        DataError: there is no text, all are empty, or the cache has no room.
        Interrupted: `cancelled()` became true.
    """
    total = len(dataset)
    if not total:
        raise DataError(f"{dataset.source} holds no texts.")
    folder = cache / _fingerprint(dataset, cancelled)
    with suppress(DataError):  # missing or damaged: made below
        return open_text(folder)
    characters, words = np.zeros(total, dtype=np.int32), np.zeros(total, dtype=np.int32)
    for start, piece in pieces(dataset, "text"):
        _stop_if(cancelled)
        end = start + len(piece)
        characters[start:end], words[start:end] = _measure(piece)
        if report is not None:
            report(end, total)
    empty = np.flatnonzero(characters == 0)
    if len(empty) == total:
        raise DataError(f"All {total} texts in {dataset.source} are empty; name another column with --input.")
    with filling(folder, characters.nbytes + words.nbytes, "The measures of the texts", open_text) as partial:
        np.save(partial / "characters.npy", characters)
        np.save(partial / "words.npy", words)
        prepared = PreparedText(
            folder=folder,
            rows=total,
            fingerprint=folder.name,
            unreadable=tuple((row, "is empty") for row in empty[:MOST_NAMED].tolist()),
            notes=_notes(characters),
        )
        write_facts(prepared, partial)
    return open_text(folder)


def _notes(characters: np.ndarray) -> tuple[str, ...]:
    count = int((characters > MOST_CHARACTERS).sum())
    if not count:
        return ()
    longest = int(characters.argmax())
    return (
        f"{count:,} of {len(characters):,} texts have more than {MOST_CHARACTERS:,} characters; the longest, row "
        f"{longest}, has {characters[longest]:,}. Models read the beginning of a text.",
    )


def _measure(piece: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return characters and words of each text, int32 (n,); 0 where there is nothing but white space."""
    import pyarrow as pa
    import pyarrow.compute as pc

    piece = _plain(piece)
    try:
        is_blank = pc.utf8_is_space(piece).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as error:
        raise DataError(f"A text is not valid UTF-8 ({error}); save the data as UTF-8.") from error
    characters = np.where(is_blank, 0, pc.utf8_length(piece).to_numpy(zero_copy_only=False))
    words = pc.count_substring_regex(piece, _WORD).to_numpy(zero_copy_only=False)
    return characters, np.where(characters > 0, words, 0)


def _fingerprint(dataset: Dataset, cancelled: Callable[[], bool] | None) -> str:
    """Name the content; two digests, so that where pieces begin and end does not matter."""
    lengths, texts = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
    for _, piece in pieces(dataset, "text"):
        _stop_if(cancelled)
        ends, encoded = encoded_texts(piece)
        lengths.update(np.diff(ends).astype(np.int64).data)
        texts.update(encoded.data)
    both = f"text {VERSION} {len(dataset)} ".encode() + lengths.digest() + texts.digest()
    return hashlib.blake2b(both, digest_size=12).hexdigest()


def _plain(piece: pa.Array) -> pa.Array:
    """Return texts with nothing missing, of one of the two string types."""
    import pyarrow as pa

    if piece.type not in (pa.string(), pa.large_string()):
        piece = piece.cast(pa.large_string())
    return piece.fill_null("") if piece.null_count else piece


def encoded_texts(piece: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return where each text ends in the bytes, after a 0, (n + 1,), and the bytes, uint8 (UTF-8); nothing is copied.

    A text that is missing is an empty one.
    """
    import pyarrow as pa

    piece = _plain(piece)
    _, positions, data = piece.buffers()
    kind = np.int64 if piece.type == pa.large_string() else np.int32
    ends = np.frombuffer(positions, kind)[piece.offset : piece.offset + len(piece) + 1]
    if data is None:  # every text is empty
        return np.zeros(len(piece) + 1, dtype=np.int64), np.empty(0, dtype=np.uint8)
    return ends - ends[0], np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]


def _stop_if(cancelled: Callable[[], bool] | None) -> None:
    if cancelled is not None and cancelled():
        raise Interrupted("Stopped while the texts were being measured; run again for all.")
