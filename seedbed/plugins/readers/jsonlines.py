"""Tables in JSON: one object a line, or a file that holds a list of objects; an edge.

The rows are gone through twice: types are settled over all of them before the first is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed import Finding, NoOptions
from seedbed.core.data.dataset import ReadContext, Table
from seedbed.core.data.reading.arrowfile import (
    BATCH_BYTES,
    MOST_COLUMNS,
    Sink,
    unique_names,
)
from seedbed.core.errors import DataError
from seedbed.plugins.readers.cells import BadLines
from seedbed.plugins.readers.filetable import file_table
from seedbed.plugins.readers.folders import some
from seedbed.plugins.readers.jsonrows import EXPECTED, REMEDY, Row, rows_of
from seedbed.plugins.readers.jsontypes import Seen

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1  # raise it when equal files would give other rows

_BATCH_ROWS = 16_384
_PEEK_ROWS = 200


def build(options: NoOptions) -> JsonLines:
    """Build the reader."""
    return JsonLines()


class JsonLines:
    """Reads objects as rows: numbers, texts, and lists of them are kept, objects within become JSON text.

    Of equal keys in an object the last counts, as in other readers of JSON.
    """

    def read(self, source: str, context: ReadContext) -> Table:
        """Convert the file into memory-mapped rows, or open what an earlier call left in the cache.

        Raises:
            DataError: it holds no objects, or most of its lines are bad.
        """
        return file_table(source, context, f"jsonlines {VERSION}", _convert)


def peek(path: Path) -> dict[str, list[str]]:
    """Return the first rows as columns of strings: single texts and numbers alone.

    Raises:
        DataError: there are no objects.
    """
    columns: dict[str, list[str]] = {}
    for number, row in enumerate(rows_of(path, BadLines())):
        if number == _PEEK_ROWS:
            break
        for name, value in row.items():
            if isinstance(value, str | int | float):
                columns.setdefault(name, []).append(str(value))
    return columns


def _convert(path: Path, sink: Sink) -> None:
    seen, bad = _settle(path)
    names = unique_names(seen)
    schema = {name: (each, each.type(), each.fitting()) for name, each in zip(names, seen.values(), strict=True)}
    keys = list(seen)
    for rows in _batches(rows_of(path, BadLines())):
        sink.write(_batch(rows, keys, schema))
    if bad.count:
        sink.findings.append(bad.finding(path, "jsonlines", REMEDY))
    texts = [name for name, (each, _, fit) in schema.items() if each.is_text and fit is not None]
    if texts:
        sink.findings.append(_mixed_note(path, texts))


def _settle(path: Path) -> tuple[dict[str, Seen], BadLines]:
    """Go through all rows and return what each column holds, and the lines that are no rows.

    Raises:
        DataError: most lines are bad, or there are too many columns.
    """
    bad, good = BadLines(), 0
    seen: dict[str, Seen] = {}
    for row in rows_of(path, bad):
        good += 1
        for name, value in row.items():
            column = seen.get(name)
            if column is None:
                column = seen[name] = Seen()
            column.add(value)
        if len(seen) > MOST_COLUMNS:
            raise DataError(
                f"{path} has more than {MOST_COLUMNS:,} different keys; make lists of what belongs together."
            )
    if bad.count > good:
        raise DataError(f"Most of {path} cannot be used: {bad.finding(path, '', '').evidence} {EXPECTED}")
    if not seen:
        raise DataError(f"{path} has no rows. {EXPECTED}")
    return seen, bad


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Gather rows until there are many, or they are large."""
    gathered: list[Row] = []
    size = 0
    for row in rows:
        gathered.append(row)
        size += sum(map(_size, row.values()))
        if size > BATCH_BYTES // 8 or len(gathered) == _BATCH_ROWS:
            yield gathered
            gathered, size = [], 0
    if gathered:
        yield gathered


def _size(value: Any) -> int:  # noqa: ANN401 - a JSON edge
    """About how many characters and numbers a value holds; lists of lists are series of several channels."""
    if isinstance(value, str):
        return len(value)
    if not isinstance(value, list):
        return 1
    return sum(map(_size, value)) if value and isinstance(value[0], list | str) else len(value)


def _batch(rows: list[Row], keys: list[str], schema: dict[str, tuple[Seen, pa.DataType, Any]]) -> pa.RecordBatch:
    import pyarrow as pa

    columns = []
    for key, (_, kind, fit) in zip(keys, schema.values(), strict=True):
        values = [row.get(key) for row in rows]
        columns.append(pa.array(values if fit is None else [*map(fit, values)], kind))
    return pa.RecordBatch.from_arrays(columns, names=list(schema))


def _mixed_note(path: Path, names: list[str]) -> Finding:
    columns = ", ".join(map(repr, names[:5]))
    return Finding(
        check="intake",
        severity="info",
        evidence=f"{path.name}: values of several kinds became text in {some(len(names), 'column')}: {columns}.",
        remedy="Give all values of a column one type.",
    )
