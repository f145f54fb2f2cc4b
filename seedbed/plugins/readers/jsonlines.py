"""Tables in JSON: one object a line, or a file that holds a list of objects; an edge.

The rows are gone through twice: types are settled over all of them before the first is written.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from seedbed import Finding, NoOptions
from seedbed.core.data.arrowfile import BATCH_BYTES, MOST_COLUMNS, Sink, file_stamp, fingerprint, store, unique_names
from seedbed.core.data.dataset import ReadContext, Table
from seedbed.core.errors import DataError
from seedbed.plugins.readers.cells import BadLines
from seedbed.plugins.readers.folders import short_name, some
from seedbed.plugins.readers.jsontypes import Seen
from seedbed.plugins.readers.survey import encoding_of, opened

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1  # raise it when equal files would give other rows
LONGEST_LINE_BYTES = 2**26
LARGEST_LIST_BYTES = 2**30
EXPECTED = 'Expected is one object a line, as in {"text": "so good", "label": "pos"}.'
REMEDY = "Write each row as an object on a line of its own; df.to_json(FILE, orient='records', lines=True) does."

_BATCH_ROWS = 16_384
_PEEK_ROWS = 200
_DEEP = "is nested too deep"

Row = dict[str, Any]


def build(options: NoOptions) -> JsonLines:
    """Build the reader."""
    return JsonLines()


class JsonLines:
    """Reads objects as rows: numbers, texts, and lists of them are kept, objects within become JSON text.

    Of equal keys in an object the last counts, as in other readers of JSON.
    """

    def recognises(self, path: Path) -> bool:
        """Files are found by their suffixes."""
        return False

    def read(self, source: str, context: ReadContext) -> Table:
        """Convert the file into memory-mapped rows, or open what an earlier call left in the cache.

        Raises:
            DataError: it holds no objects, or most of its lines are bad.
        """
        path = Path(source)
        key = fingerprint("jsonlines", VERSION, file_stamp(path))
        needed = path.stat().st_size
        stored = store(context.cache, key, lambda sink: _convert(path, sink), needed_bytes=needed)
        return Table(
            rows=stored.rows,
            source=source,
            name=short_name(Path(path.stem), "table"),
            folder=path.resolve().parent,
            findings=stored.findings,
        )


def peek(path: Path) -> dict[str, list[str]]:
    """Return the first rows as columns of strings: single texts and numbers alone.

    Raises:
        DataError: there are no objects.
    """
    columns: dict[str, list[str]] = {}
    for number, row in enumerate(_rows(path, BadLines())):
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
    for rows in _batches(_rows(path, BadLines())):
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
    for row in _rows(path, bad):
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
        size += sum(len(value) for value in row.values() if isinstance(value, str | list))
        if size > BATCH_BYTES // 8 or len(gathered) == _BATCH_ROWS:
            yield gathered
            gathered, size = [], 0
    if gathered:
        yield gathered


def _batch(rows: list[Row], keys: list[str], schema: dict[str, tuple[Seen, pa.DataType, Any]]) -> pa.RecordBatch:
    import pyarrow as pa

    columns = []
    for key, (_, kind, fit) in zip(keys, schema.values(), strict=True):
        values = [row.get(key) for row in rows]
        columns.append(pa.array(values if fit is None else [*map(fit, values)], kind))
    return pa.RecordBatch.from_arrays(columns, names=list(schema))


def _rows(path: Path, bad: BadLines) -> Iterator[Row]:
    """Yield the objects of a file in order; what is none is noted."""
    with opened(path) as file:
        start = file.read(65536)
        file.seek(0)
        encoding = encoding_of(start)
        begin = start.decode(encoding or "utf-8", "replace").lstrip()
        if not begin:
            raise DataError(f"{path} is empty. {EXPECTED}")
        if path.suffix.lower() == ".json" and (begin[0] == "[" or _is_one_object(begin)):
            yield from _listed_rows(path, file.read(LARGEST_LIST_BYTES + 1), encoding, bad)
            return
        is_wide = encoding.startswith(("utf-16", "utf-32"))
        yield from _line_rows(path, _Recoded(file, encoding) if is_wide else file, bad)


def _line_rows(path: Path, file: BinaryIO | _Recoded, bad: BadLines) -> Iterator[Row]:
    number = 0
    while line := file.readline(LONGEST_LINE_BYTES):
        number += 1
        if len(line) == LONGEST_LINE_BYTES:
            raise DataError(f"{path}: line {number:,} has more than {LONGEST_LINE_BYTES:,} bytes. {EXPECTED}")
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if line.isspace():
            continue
        try:
            value = parse(line)
        except ValueError as error:
            bad.add(number, str(error))
            continue
        if isinstance(value, dict):
            yield value
        else:
            bad.add(number, f"is no object but {_called(value)}")


def _listed_rows(path: Path, content: bytes, encoding: str, bad: BadLines) -> Iterator[Row]:
    """Yield the objects of a list, or of the one list of objects that an object holds."""
    if len(content) > LARGEST_LIST_BYTES:
        raise DataError(
            f"{path} is one JSON value of more than {LARGEST_LIST_BYTES / 2**30:.0f} GiB, which would have to be "
            f"held in memory; write one object a line: jq -c '.[]' {path.name} > {path.stem}.jsonl"
        )
    try:
        value = parse(content.decode(encoding, "replace").encode() if encoding else content)
    except ValueError as error:
        raise DataError(f"{path} {error}. {EXPECTED}") from error
    if isinstance(value, dict):
        lists = [each for each in value.values() if isinstance(each, list) and each and isinstance(each[0], dict)]
        if len(lists) != 1:
            keys = ", ".join(map(str, value))[:200]
            raise DataError(f"{path} is one object with the keys {keys}, and not a list of rows. {EXPECTED} {REMEDY}")
        value = lists[0]
    if not isinstance(value, list):
        raise DataError(f"{path} is {_called(value)}, and not a list of rows. {EXPECTED}")
    for number, row in enumerate(value, start=1):
        if isinstance(row, dict):
            yield row
        else:
            bad.add(number, f"is no object but {_called(row)}")


def parse(line: bytes) -> Any:  # noqa: ANN401 - a JSON edge
    """Return the value of a JSON text; NaN and Infinity, which Python writes, are taken too.

    Raises:
        ValueError: it is no JSON; the reason is worded to follow a name.
    """
    try:
        return msgspec.json.decode(line)
    except RecursionError:
        raise ValueError(_DEEP) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass  # stricter than need be: what follows reads more, three times slower
    try:
        return _clean(json.loads(line.decode("utf-8", "replace")))
    except RecursionError:
        raise ValueError(_DEEP) from None
    except ValueError as error:
        raise ValueError(f"is no JSON ({error})") from error


def _clean(value: Any) -> Any:  # noqa: ANN401 - a JSON edge
    """Replace halves of surrogate pairs, which no file can hold."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case list():
            return [_clean(each) for each in value]
        case dict():
            return {_clean(name): _clean(each) for name, each in value.items()}
        case _:
            return value


def _is_one_object(begin: str) -> bool:
    """Whether a file is one object over several lines, rather than an object a line."""
    first, _, rest = begin.partition("\n")
    try:
        return not rest.strip() or not isinstance(parse(first.encode()), dict)
    except ValueError:
        return begin[0] == "{"


class _Recoded:
    """Lines of a file in another encoding, as UTF-8."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._text = io.TextIOWrapper(file, encoding, errors="replace")

    def readline(self, most: int, /) -> bytes:
        """Return the next line, empty at the end."""
        return self._text.readline(most).encode("utf-8", "replace")


def _called(value: object) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _mixed_note(path: Path, names: list[str]) -> Finding:
    columns = ", ".join(map(repr, names[:5]))
    return Finding(
        check="intake",
        severity="info",
        evidence=f"{path.name}: values of several kinds became text in {some(len(names), 'column')}: {columns}.",
        remedy="Give all values of a column one type.",
    )
