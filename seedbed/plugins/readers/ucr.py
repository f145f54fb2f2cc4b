"""The `.ts` files of the UCR, UEA and TSER archives of series; an edge."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seedbed import Finding, NoOptions
from seedbed.core.data.dataset import Part, ReadContext, Table, short_name
from seedbed.core.data.profile import MOST_NAMED
from seedbed.core.data.reading.arrowfile import BATCH_BYTES, Sink, file_stamp, fingerprint, store
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError
from seedbed.plugins.readers.tsformat import EXPECTED, BadLine, Header, Row, parse_header, parse_row

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1  # raise it when an equal file would give other rows
MOST_LINE_BYTES = 2**25  # whose values, as Python has them, take a gigabyte

_TRAIN = re.compile(r"(.*)_train\.ts", re.IGNORECASE | re.DOTALL)


def build(options: NoOptions) -> Ucr:
    """Build the reader."""
    return Ucr()


class Ucr:
    """Reads `NAME.ts`, and with `NAME_TRAIN.ts` also `NAME_TEST.ts` beside it."""

    def read(self, source: str, context: ReadContext) -> Table:
        """Convert the rows, once; lines that cannot be read are left out and told.

        Raises:
            DataError: it is no such file, or no row can be read.
        """
        path = Path(source)
        other = _test_beside(path)
        files: list[tuple[Path, Part]] = [(path, "")] if other is None else [(path, "train"), (other, "test")]
        key = fingerprint("ucr", VERSION, *(f"{part} {file_stamp(file)}" for file, part in files))
        header = parse_header(_lines(path), path.name)

        def fill(sink: Sink) -> None:
            if other is not None:
                told = f"{other.name} beside {path.name} is taken for the test part."
                sink.findings.append(Finding(check="intake", severity="info", evidence=told))
            dimensions = header.dimensions
            for file, part in files:
                dimensions = _convert(file, part, header, dimensions, sink)

        stored = store(context.cache, key, fill)
        is_named = header.target == "class" and bool(header.classes)
        return Table(
            rows=stored.rows,
            source=source,
            name=short_name(path.stem, "series"),
            schema=Schema(
                modality="series",
                kind="regression" if header.target == "value" else "classification" if is_named else None,
                inputs=("series",),
                target="target" if header.target else "",
                part="part" if other is not None else "",
            ),
            findings=stored.findings,
        )


def _test_beside(path: Path) -> Path | None:
    """Return the test file that belongs to a training file, if it lies beside it."""
    train = _TRAIN.fullmatch(path.name)
    if train is None:
        return None
    try:
        names = sorted(each.name for each in path.parent.iterdir())
    except OSError:
        return None
    name = next((name for name in names if name.lower() == f"{train[1]}_test.ts".lower()), None)
    return path.parent / name if name is not None and (path.parent / name).is_file() else None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines with their numbers, stripped; what is not UTF-8 is taken for Latin-1.

    Raises:
        DataError: the file cannot be read, or holds something else than text.
    """
    number = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(MOST_LINE_BYTES):
                number += 1
                if len(line) == MOST_LINE_BYTES or b"\0" in line:
                    what = "bytes that are no text" if b"\0" in line else f"more than {MOST_LINE_BYTES:,} bytes"
                    raise DataError(f"{path.name}, line {number}, has {what}. {EXPECTED}")
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                try:
                    yield number, line.decode("utf-8").strip()
                except UnicodeDecodeError:
                    yield number, line.decode("latin-1").strip()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


@dataclass(slots=True)
class _Odd:
    """Lines that share an oddity: how many, the numbers of the first, and of the very first the reason."""

    count: int = 0
    lines: list[int] = field(default_factory=list)
    reason: str = ""

    def add(self, number: int, reason: str = "") -> None:
        self.count += 1
        self.reason = self.reason or reason
        if len(self.lines) < MOST_NAMED:
            self.lines.append(number)


def _convert(file: Path, part: Part, like: Header, dimensions: int, sink: Sink) -> int:
    """Write the rows of a file and tell what is odd in it; return how many dimensions they have.

    `like` is the header of the first file, `dimensions` its number of them where that is known: the first row settles
    what the header leaves open, as in a file of many dimensions a line cut short is likelier than a new form.
    """
    lines = _lines(file)
    header = parse_header(lines, file.name)
    if header.target != like.target:
        raise DataError(f"{file.name} has another kind of target than the file it belongs to; rename or mend it.")
    header = replace(header, dimensions=dimensions or header.dimensions)
    bad, uneven, others, undeclared = _Odd(), _Odd(), _Odd(), _Odd()
    waiting: list[Row] = []
    held = rows = 0
    for number, line in lines:
        if not line or line.startswith("#"):
            continue
        try:
            row = parse_row(line, header)
        except BadLine as error:
            bad.add(number, str(error))
            continue
        header = replace(header, dimensions=len(row.channels))
        lengths = {len(each) for each in row.channels}
        if len(lengths) > 1:
            uneven.add(number)
        if header.length and lengths != {header.length}:
            others.add(number)
        if header.classes and row.target is not None and row.target not in header.classes:
            undeclared.add(number, row.target)
        waiting.append(row)
        rows += 1
        held += sum(each.nbytes for each in row.channels)
        if held > BATCH_BYTES:
            sink.write(_batch(waiting, part, header))
            waiting, held = [], 0
    if waiting:
        sink.write(_batch(waiting, part, header))
    if not rows:
        first = f" Line {bad.lines[0]} {bad.reason}." if bad.lines else ""
        raise DataError(f"{file.name} has no row that can be read.{first} {EXPECTED}")
    sink.findings += _findings(file.name, header, rows, bad, uneven, others, undeclared)
    return header.dimensions


def _batch(rows: Sequence[Row], part: Part, header: Header) -> pa.RecordBatch:
    """Return rows as arrow; channels that end before the longest of their row are filled up with NaN."""
    import pyarrow as pa

    steps = [max(map(len, row.channels)) for row in rows]
    values = [_filled(each, most) for row, most in zip(rows, steps, strict=True) for each in row.channels]
    inner = np.concatenate([[0], np.cumsum([len(each) for each in values])]).astype(np.int32)
    outer = np.concatenate([[0], np.cumsum([len(row.channels) for row in rows])]).astype(np.int32)
    channels = pa.ListArray.from_arrays(pa.array(inner), pa.array(np.concatenate(values)))
    columns = {"series": pa.ListArray.from_arrays(pa.array(outer), channels)}
    if header.target == "value":
        found = [None if row.target is None else float(row.target) for row in rows]
        columns["target"] = pa.array(found, pa.float64())
    elif header.target:
        columns["target"] = pa.array([row.target for row in rows], pa.string())
    if part:
        columns["part"] = pa.array([part] * len(rows), pa.string())
    return pa.RecordBatch.from_pydict(columns)


def _filled(channel: np.ndarray, steps: int) -> np.ndarray:
    short = steps - len(channel)
    return np.concatenate([channel, np.full(short, np.nan, dtype=np.float32)]) if short else channel


def _findings(
    name: str, header: Header, rows: int, bad: _Odd, uneven: _Odd, others: _Odd, undeclared: _Odd
) -> Iterator[Finding]:
    def told(odd: _Odd, evidence: str, remedy: str) -> Finding:
        named = tuple(f"{name}, line {number}" for number in odd.lines)
        return Finding(
            check="intake", severity="warning", evidence=evidence, remedy=remedy, rows=named, count=odd.count
        )

    if bad.count:
        evidence = (
            f"{name}: {bad.count:,} of {rows + bad.count:,} lines are left out; line {bad.lines[0]} {bad.reason}."
        )
        yield told(bad, evidence, "Mend these lines, or delete them.")
    if uneven.count:
        evidence = f"{name}: in {uneven.count:,} rows some dimensions end before others; the rest counts as missing."
        yield told(uneven, evidence, "Write ? where a value is missing.")
    if others.count:
        evidence = (
            f"{name}: {others.count:,} of {rows:,} rows are not of the {header.length:,} steps that @seriesLength says."
        )
        yield told(others, evidence, "Unequal lengths can be learnt from; correct the header, or the rows.")
    if undeclared.count:
        evidence = (
            f"{name}: {undeclared.count:,} rows have a class that @classLabel does not list, as {undeclared.reason!r}."
        )
        yield told(undeclared, evidence, "Add it to the header, or correct the rows.")
    if header.has_times:
        evidence = f"{name}: times are set aside; values are taken in their order, as if equally far apart."
        yield Finding(check="intake", severity="info", evidence=evidence)
