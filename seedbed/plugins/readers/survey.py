"""What all bytes of a text file tell before it is read: its encoding, and whether it is text at all; an edge."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from seedbed import Finding
from seedbed.core.errors import DataError

LONGEST_LINE_BYTES = 2**28

_CHUNK_BYTES = 4 * 2**20
_NEAR_BYTES = 2**19
_QUOTE = ord('"')
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_KINDS = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook; save it as CSV"),
    (b"PAR1", "a Parquet file; let its name end in .parquet"),
    (b"\x1f\x8b", "compressed by gzip; let its name end in .csv.gz"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save it as CSV"),
    (b"%PDF", "a PDF file; export the table as CSV"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What a pass over all bytes tells.

    `lines` counts lines, `longest_quoted` is the most bytes between an odd
    quote and the next, which is what a quote that is never closed makes long.
    """

    encoding: str
    lines: int
    longest_quoted: int
    findings: tuple[Finding, ...]


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file that may be compressed by gzip.

    Raises:
        DataError: it cannot be read, or its compression is damaged.
    """
    try:
        with cast(BinaryIO, gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read to its end ({error}). Copy it anew, or check its permissions."
        ) from error


def encoding_of(start: bytes) -> str:
    """Return the encoding that the first bytes name by a mark, empty where there is none."""
    return next((name for bom, name in _BOMS if start.startswith(bom)), "")


def survey(path: Path) -> Survey:
    """Go through all bytes once: a file is judged whole, and not by its beginning.

    Raises:
        DataError: it is empty or no text.
    """
    with opened(path) as file:
        start = file.read(_CHUNK_BYTES)
        encoding = encoding_of(start)
        _refuse_other_kinds(path, start, encoding)
        if encoding not in ("", "utf-8-sig"):
            note = _encoding_note(path, f"begins with the mark of {encoding.upper()}", encoding.upper(), "info")
            return Survey(encoding=encoding, lines=0, longest_quoted=0, findings=(note,))
        return _survey_bytes(path, file, start, encoding or "utf-8")


def _survey_bytes(path: Path, file: BinaryIO, chunk: bytes, encoding: str) -> Survey:
    decoder = codecs.getincrementaldecoder("utf-8")()
    quotes = _Quotes()
    lines = line_bytes = place = 0
    findings: tuple[Finding, ...] = ()
    tail = b""
    while chunk:
        if b"\0" in chunk:
            raise DataError(
                f"{path} holds a NUL byte at position {place + chunk.index(0):,} and is no plain text; "
                "save it as UTF-8 text."
            )
        ends = chunk.count(b"\n") + chunk.count(b"\r") - (tail[-1:] + chunk).count(b"\r\n")
        lines += ends
        line_bytes = 0 if ends else line_bytes + len(chunk)
        if line_bytes > LONGEST_LINE_BYTES:
            raise DataError(f"{path} has a line of more than {LONGEST_LINE_BYTES:,} bytes; is it a table?")
        quotes.see(chunk, place)
        place += len(chunk)
        tail, chunk = chunk, file.read(_CHUNK_BYTES)
        if not findings:
            try:
                decoder.decode(tail, final=not chunk)
            except UnicodeDecodeError as error:
                encoding, findings = _not_utf8(path, tail, place, error)
    return Survey(
        encoding=encoding,
        lines=lines + (not tail.endswith((b"\n", b"\r"))),
        longest_quoted=max(quotes.longest, place - quotes.since if quotes.since >= 0 else 0),
        findings=findings,
    )


@dataclass(slots=True)
class _Quotes:
    """How far apart double quotes are; `since` is where one was opened that is not yet closed, -1 where none is."""

    longest: int = 0
    since: int = -1

    def see(self, chunk: bytes, place: int) -> None:
        """Take note of a chunk that begins at this place."""
        marks = place + np.flatnonzero(np.frombuffer(chunk, np.uint8) == _QUOTE)
        if not len(marks):
            return
        bounds = marks if self.since < 0 else np.concatenate([[self.since], marks])
        self.longest = max(self.longest, int(np.diff(bounds)[::2].max(initial=0)))
        self.since = int(bounds[-1]) if len(bounds) % 2 else -1


def _refuse_other_kinds(path: Path, start: bytes, encoding: str) -> None:
    if not start.strip():
        raise DataError(f"{path} is empty; expected is a line of column names and one line for each row.")
    for mark, kind in _KINDS:
        if start.startswith(mark):
            raise DataError(f"{path} is {kind}.")
    if not encoding.startswith(("utf-16", "utf-32")):
        head = np.frombuffer(start[:65536], np.uint8)
        controls = ((head < 32) & ~np.isin(head, [9, 10, 12, 13, 27, 31])).mean()
        if controls > 0.05:
            hint = " Is it UTF-16 without its mark?" if (head[:2000] == 0).mean() > 0.3 else ""
            raise DataError(f"{path} is no text: {controls:.0%} of its first bytes are control codes.{hint}")


def _not_utf8(path: Path, chunk: bytes, end: int, error: UnicodeDecodeError) -> tuple[str, tuple[Finding, ...]]:
    """Decide how to read what is not UTF-8: a stray byte in UTF-8 is replaced, else it is Windows-1252."""
    before = len(error.object) - error.start  # bytes from the first bad one to the end of the chunk
    at = max(len(chunk) - before, 0)
    text = chunk[max(0, at - _NEAR_BYTES) : at + _NEAR_BYTES].decode("utf-8", "replace")
    broken = text.count("\ufffd")
    whole = sum(ord(sign) > 127 for sign in text) - broken
    byte = f"byte 0x{error.object[error.start]:02X} at position {end - before:,}"
    if whole > broken:
        return "utf-8", (_encoding_note(path, f"is UTF-8 but for some bytes ({byte})", "UTF-8 with these replaced"),)
    return "cp1252", (_encoding_note(path, f"is not UTF-8 ({byte})", "Windows-1252"),)


def _encoding_note(path: Path, seen: str, taken: str, severity: str = "warning") -> Finding:
    return Finding(
        check="intake",
        severity="info" if severity == "info" else "warning",
        evidence=f"{path.name} {seen}; it was read as {taken}.",
        remedy="If letters look wrong, save the file as UTF-8.",
    )
