"""Tables of delimited cells: CSV and TSV, also compressed by gzip; an edge.

A sound file is read by pyarrow. Where that would be at a loss (another encoding, a quote that is never
closed, bad lines among cells of several lines), Python's csv reads it: ten times slower, but it knows
every line by its number, and goes on behind a bad one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed import Finding, NoOptions
from seedbed.core.data.dataset import ReadContext, Table
from seedbed.core.data.reading.arrowfile import Sink
from seedbed.core.errors import DataError
from seedbed.plugins.readers.cells import BadLines, NeedsCare, carefully, quickly
from seedbed.plugins.readers.celltypes import ColumnGuess, converted
from seedbed.plugins.readers.dialect import SAMPLE_BYTES, Dialect, sample_rows, sniff
from seedbed.plugins.readers.filetable import file_table
from seedbed.plugins.readers.folders import some
from seedbed.plugins.readers.survey import encoding_of, opened, survey

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1  # raise it when equal files would give other rows
REMEDY = 'Put cells that hold the delimiter, quotes or line ends into quotes, "as, here", or mend the lines.'


def build(options: NoOptions) -> Delimited:
    """Build the reader."""
    return Delimited()


class Delimited:
    """Reads a file of delimited cells; empty cells are null, columns of numbers become numbers."""

    def read(self, source: str, context: ReadContext) -> Table:
        """Convert the file into memory-mapped rows, or open what an earlier call left in the cache.

        Raises:
            DataError: it is no table, or most of its lines are bad.
        """
        growth = 8 if source.lower().endswith(".gz") else 2  # text, then typed rows
        return file_table(source, context, f"delimited {VERSION}", _convert, growth=growth)


def peek(path: Path) -> dict[str, list[str]]:
    """Return the first rows as columns of strings, without reading on.

    Raises:
        DataError: it is no table.
    """
    with opened(path) as file:
        start = file.read(SAMPLE_BYTES)
    encoding = encoding_of(start) or "utf-8"
    dialect = sniff(path, encoding)
    text, cut = start.decode(encoding, "replace"), len(start) == SAMPLE_BYTES
    rows = sample_rows(text, dialect.delimiter, dialect.quote, cut=cut)[dialect.skip :]
    fitting = [row for row in rows if len(row) == len(dialect.names)]
    return {name: [row[place] for row in fitting] for place, name in enumerate(dialect.names)}


def _convert(path: Path, sink: Sink) -> None:
    """Write all rows as text, then with the types that all of them allow."""
    seen = survey(path)
    dialect = sniff(path, seen.encoding)
    raw = sink.scratch / "cells.arrow"
    bad = BadLines()
    try:
        guesses = _write_text(raw, dialect.names, quickly(path, dialect, seen, bad))
    except NeedsCare:
        bad = BadLines()
        guesses = _write_text(raw, dialect.names, carefully(path, dialect, seen, bad))
    good = _write_typed(raw, guesses, sink)
    raw.unlink()
    sink.findings += [*seen.findings, *dialect.findings, *_marker_notes(path, dialect, guesses)]
    if bad.count:
        sink.findings.append(bad.finding(path, "delimited", REMEDY))
    if bad.count > good:
        raise DataError(
            f"Most lines of {path} cannot be used: {bad.finding(path, '', '').evidence} "
            f"Expected are {some(len(dialect.names), 'cell')} in each: {', '.join(dialect.names)[:200]}. {REMEDY}"
        )
    if not good:
        raise DataError(f"{path} has a line of names ({', '.join(dialect.names)[:200]}) but no rows below it.")


def _write_text(file: Path, names: Sequence[str], batches: Iterator[pa.RecordBatch]) -> list[ColumnGuess]:
    """Write batches of text cells, and return what the types of the columns are."""
    import pyarrow as pa

    guesses = [ColumnGuess() for _ in names]
    try:
        with pa.ipc.new_stream(str(file), pa.schema([(name, pa.string()) for name in names])) as stream:
            for batch in batches:
                stream.write_batch(batch)
                for guess, cells in zip(guesses, batch.columns, strict=True):
                    guess.see(cells)
    except pa.ArrowIOError as error:
        raise DataError(f"The cache has no room for the rows ({error}); set SEEDBED_HOME.") from error
    return guesses


def _write_typed(file: Path, guesses: Sequence[ColumnGuess], sink: Sink) -> int:
    """Write the text cells that a file holds as what they are, and return how many rows there are."""
    import pyarrow as pa

    with pa.OSFile(str(file)) as opened_file, pa.ipc.open_stream(opened_file) as stream:
        for batch in stream:
            typed = [converted(cells, guess.type) for cells, guess in zip(batch.columns, guesses, strict=True)]
            sink.write(pa.RecordBatch.from_arrays(typed, names=batch.schema.names))
    return sink.rows


def _marker_notes(path: Path, dialect: Dialect, guesses: Sequence[ColumnGuess]) -> Iterator[Finding]:
    for name, guess in zip(dialect.names, guesses, strict=True):
        if guess.markers and guess.type != "string":
            cells = some(guess.markers, "cell")
            yield Finding(
                check="intake",
                severity="info",
                evidence=f"{path.name}, column {name!r}: {cells} such as {guess.marker!r} among numbers are missing.",
                remedy="Leave cells empty where a value is missing.",
                count=guess.markers,
            )
