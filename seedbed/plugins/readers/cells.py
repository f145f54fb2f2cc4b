"""The rows of a delimited file as batches of text cells, null where empty: quickly, or with care; an edge."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from seedbed import Finding
from seedbed.core.data.profile import MOST_NAMED
from seedbed.core.data.reading.arrowfile import BATCH_BYTES
from seedbed.core.errors import DataError
from seedbed.plugins.readers.csvlines import unlimited_csv
from seedbed.plugins.readers.dialect import Dialect
from seedbed.plugins.readers.folders import some
from seedbed.plugins.readers.survey import Survey, opened

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST_QUOTED_BYTES = 16 * 2**20  # beyond it a quote was surely forgotten, and pyarrow would gather it in memory
MOST_LINES_IN_A_ROW = 10_000

_BATCH_ROWS = 16_384
_LONGEST_LINE = 2**24  # characters
_END = "\x1eend\x1e"


class NeedsCare(Exception):
    """Pyarrow cannot tell what is wrong with the file, or where."""


@dataclass(slots=True)
class BadLines:
    """Lines that were left out, the first of them by number and reason."""

    reasons: list[tuple[int, str]] = field(default_factory=list)
    count: int = 0

    def add(self, line: int, reason: str) -> None:
        """Take note of a line."""
        self.count += 1
        if len(self.reasons) < MOST_NAMED:
            self.reasons.append((line, reason))

    def finding(self, path: Path, check: str, remedy: str) -> Finding:
        """Return what is to be told of them."""
        told = "; ".join(f"line {line:,} {reason}" for line, reason in self.reasons[:3])
        return Finding(
            check=check,
            severity="warning",
            evidence=f"{some(self.count, 'line')} of {path.name} left out: {told}{' …' if self.count > 3 else ''}.",
            remedy=remedy,
            rows=tuple(f"line {line}" for line, _ in self.reasons),
            count=self.count,
        )


def quickly(path: Path, dialect: Dialect, seen: Survey, bad: BadLines) -> Iterator[pa.RecordBatch]:
    """Yield all rows, read by pyarrow.

    Raises:
        NeedsCare: something is odd; what was yielded and noted so far does not count.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    is_plain = seen.encoding.startswith("utf-8") and not seen.findings and not dialect.skips_space
    if not is_plain or dialect.quote == "'" or seen.longest_quoted > LONGEST_QUOTED_BYTES:
        raise NeedsCare
    width, skip = len(dialect.names), dialect.skip

    def leave_out(row: Any) -> str:  # noqa: ANN401 - pyarrow names no type for it
        nonlocal skip
        if row.number <= dialect.skip:
            skip -= 1  # a line of names of another length
        else:
            bad.add(row.number, f"has {some(row.actual_columns, 'cell')}, not {width}")
        return "skip"

    records, is_whole = dialect.skip, False
    try:
        with opened(path) as file:
            batches = arrow_csv.open_csv(
                _WithEnd(file, dialect.delimiter.join([_END] * width)),
                arrow_csv.ReadOptions(use_threads=False, block_size=BATCH_BYTES, column_names=list(dialect.names)),
                arrow_csv.ParseOptions(
                    delimiter=dialect.delimiter,
                    quote_char=dialect.quote or False,
                    newlines_in_values=bool(dialect.quote),
                    invalid_row_handler=leave_out,
                ),
                arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(dialect.names, pa.string()),
                    strings_can_be_null=True,
                    null_values=[""],
                    check_utf8=False,  # the survey did
                ),
            )
            for batch in batches:
                is_whole = bool(len(batch)) and batch.column(0)[-1].as_py() == _END
                kept = batch.slice(min(skip, len(batch)))
                skip -= len(batch) - len(kept)
                kept = kept.slice(0, len(kept) - is_whole)
                records += len(kept)
                yield kept
    except pa.ArrowInvalid as error:
        raise NeedsCare from error
    if not is_whole or (bad.count and records + bad.count != seen.lines):
        raise NeedsCare  # a quote is open at the end; or, with cells of several lines, rows are not numbered as lines


class _WithEnd:
    """A file with one more line, which is missing among the rows if a quote before it was not closed."""

    closed = False

    def __init__(self, file: BinaryIO, end: str) -> None:
        self._file = file
        self._end = f"\n{end}\n".encode()

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none at the end."""
        content = self._file.read(size)
        if not content:
            content, self._end = self._end, b""
        return content


def carefully(path: Path, dialect: Dialect, seen: Survey, bad: BadLines) -> Iterator[pa.RecordBatch]:
    """Yield all rows, read by Python's csv, line by line.

    Raises:
        DataError: a line is too long to be one.
    """
    skip, width = dialect.skip, len(dialect.names)
    rows: list[list[str]] = []
    size = 0
    with opened(path) as file:
        text = io.TextIOWrapper(file, encoding=seen.encoding, errors="replace", newline="")
        for line, row in _records(text, dialect, path, bad):
            if skip:
                skip -= 1
            elif len(row) != width:
                bad.add(line, f"has {some(len(row), 'cell')}, not {width}")
            else:
                rows.append(row)
                size += sum(map(len, row))
                if size > BATCH_BYTES or len(rows) == _BATCH_ROWS:
                    yield _batch(rows, dialect.names)
                    rows, size = [], 0
    if rows:
        yield _batch(rows, dialect.names)


class _Runaway(Exception):
    """A row has more lines than a row can have."""


class _Lines:
    """Lines of a text, numbered; those of the row under way can be given back, all but the first."""

    def __init__(self, text: TextIO, path: Path) -> None:
        self._text = text
        self._path = path
        self._waiting: deque[str] = deque()
        self._taken: list[str] = []
        self.first = 1
        self.is_over = False

    def begin(self) -> None:
        """A new row begins here."""
        self.first += len(self._taken)
        self._taken.clear()

    def give_back(self) -> None:
        """Let the lines after the row's first one be read again."""
        self._waiting.extendleft(reversed(self._taken[1:]))
        del self._taken[1:]
        self.is_over = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.is_over:
            raise StopIteration
        if len(self._taken) >= MOST_LINES_IN_A_ROW:
            raise _Runaway
        line = self._waiting.popleft() if self._waiting else self._text.readline(_LONGEST_LINE)
        if len(line) >= _LONGEST_LINE and not line.endswith(("\n", "\r")):
            number = self.first + len(self._taken)
            raise DataError(f"{self._path}: line {number:,} has more than {_LONGEST_LINE:,} characters; mend it.")
        if not line:
            self.is_over = True
            return _END  # a row that swallows it has a quote open
        self._taken.append(line)
        return line


def _records(text: TextIO, dialect: Dialect, path: Path, bad: BadLines) -> Iterator[tuple[int, list[str]]]:
    """Yield rows with the number of their first line; an open quote costs its own line and no other."""
    lines = _Lines(text, path)
    parser = unlimited_csv()
    reader = parser.reader(
        lines,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote or None,
        quoting=parser.QUOTE_MINIMAL if dialect.quote else parser.QUOTE_NONE,
        skipinitialspace=dialect.skips_space,
    )
    while True:
        lines.begin()
        try:
            row = next(reader)
        except _Runaway:
            reason = f"opens a quote that the next {MOST_LINES_IN_A_ROW:,} lines do not close"
        except parser.Error as error:
            reason = f"cannot be read ({error})"
        else:
            if not lines.is_over:
                if row:
                    yield lines.first, row
                continue
            if row == [_END]:
                return
            reason = "opens a quote that is not closed"
        bad.add(lines.first, reason)
        lines.give_back()


def _batch(rows: Sequence[Sequence[str]], names: Sequence[str]) -> pa.RecordBatch:
    import pyarrow as pa

    columns = [pa.array([cell or None for cell in column], pa.string()) for column in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=list(names))
