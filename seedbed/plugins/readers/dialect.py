"""How a file of delimited cells is written: its delimiter, quotes and header, with the evidence; an edge."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from seedbed import Finding
from seedbed.core.data.reading.arrowfile import MOST_COLUMNS, unique_names
from seedbed.core.errors import DataError
from seedbed.plugins.readers.csvlines import unlimited_csv
from seedbed.plugins.readers.survey import opened

SAMPLE_BYTES = 2**20
SAMPLE_ROWS = 200
_LARGEST_SAMPLE_BYTES = 2**25  # no longer row is read
NUMBER = r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
SINGLE = "\x1f"  # the "delimiter" of a file of one column: a sign that no text holds


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """How cells are told apart; `quote` is empty where none is used, `skip` counts lines before the first row."""

    delimiter: str
    quote: str
    skips_space: bool
    names: tuple[str, ...]
    skip: int
    findings: tuple[Finding, ...]


def sniff(path: Path, encoding: str) -> Dialect:
    """Decide from the first rows how cells are told apart and whether the first line holds names.

    Raises:
        DataError: there is no row below the names, or names and rows do not fit.
    """
    size = SAMPLE_BYTES
    while True:
        with opened(path) as file:
            taken = file.read(size)
        text = taken.decode(encoding, "replace")
        excel = re.match(r"sep=(.)[ \t]*\r?\n", text)
        lead = 1 if excel else 0
        text = text[excel.end() :] if excel else text
        prefers = excel[1] if excel else "\t" if _suffix(path) in (".tsv", ".tab") else ","
        cut = len(taken) == size
        delimiter, quote, rows, share = _best(text, cut, prefers, plain=_suffix(path) == ".txt" and not excel)
        if len(rows) > 1 or not cut or size >= _LARGEST_SAMPLE_BYTES:
            break
        size = min(8 * size, _LARGEST_SAMPLE_BYTES)  # the first row is longer
    notes = []
    if delimiter not in (prefers, SINGLE) or not quote:
        how = "" if quote else ", and quotes are plain signs"
        seen = f"with {_called(delimiter)} between cells{how}, {share:.0%} of the first {len(rows)} lines agree"
        notes.append(_note(path, f"{seen}: they have {_usual(rows)} cells", "Write the file with commas and quotes."))
    if not rows:
        raise DataError(f"{path} has no lines with cells in them.")
    data, evidence = _first_line_is_data(rows)
    if data:
        names: Sequence[str] = [f"column_{n}" for n in range(1, _usual(rows) + 1)]
        seen = f"the first line is taken for data, not for names: {evidence}"
        notes.append(_note(path, seen, "Add a line of column names.", warns=True))
    else:
        if len(rows) < 2:
            if cut:
                raise DataError(f"{path} has one line with cells in its first {size:,} bytes; is it a table?")
            raise DataError(f"{path} has a line of names ({', '.join(rows[0])[:200]}) but no rows below it.")
        names = _fitted(path, rows[0], rows[1:])
    if len(names) > MOST_COLUMNS:
        raise DataError(f"{path} has {len(names):,} columns; at most {MOST_COLUMNS:,} can be used.")
    unique = unique_names(names)
    renamed = [f"{old or 'empty'} → {new}" for old, new in zip(names, unique, strict=True) if old.strip() != new]
    if renamed:
        notes.append(_note(path, f"column names are empty or not unique: {', '.join(renamed[:5])}", "Rename them."))
    return Dialect(
        delimiter=delimiter,
        quote=quote,
        skips_space=_skips_space(text, delimiter, quote, cut=cut),
        names=tuple(unique),
        skip=lead + (not data),
        findings=tuple(notes),
    )


def sample_rows(text: str, delimiter: str, quote: str, *, cut: bool) -> list[list[str]]:
    """Return the first rows of a text that may have been cut off within one."""
    skips_space = _skips_space(text, delimiter, quote, cut=cut)
    return _parsed(text, delimiter, quote, cut=cut, skips_space=skips_space)


def _skips_space(text: str, delimiter: str, quote: str, *, cut: bool) -> bool:
    """Whether quotes quote after a space: else they would be part of cells, and what they hold be cut."""
    if not quote or f"{delimiter} {quote}" not in text:
        return False
    rows = _parsed(text, delimiter, quote, cut=cut, skips_space=False)
    return any(cell.startswith(f" {quote}") for row in rows for cell in row)


def _parsed(text: str, delimiter: str, quote: str, *, cut: bool, skips_space: bool) -> list[list[str]]:
    found: list[list[str]] = []
    parser = unlimited_csv()
    reader = parser.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quotechar=quote or None,
        quoting=parser.QUOTE_MINIMAL if quote else parser.QUOTE_NONE,
        skipinitialspace=skips_space,
    )
    try:
        for row in reader:
            if row:
                found.append(row)
            if len(found) > SAMPLE_ROWS:
                return found[:SAMPLE_ROWS]
    except parser.Error:  # judge by the rows before it
        return found
    return found[:-1] if cut and len(found) > 1 else found


def _best(text: str, cut: bool, prefers: str, *, plain: bool) -> tuple[str, str, list[list[str]], float]:
    """Return the delimiter and quote by which most rows have one number of cells, these rows, and their share."""
    best: tuple[tuple[float, bool, bool, int], str, str, list[list[str]]] | None = None
    for delimiter in ",\t;|":
        for quote in ('"', "'", ""):
            if delimiter not in text or (quote and quote != '"' and f"{quote}{delimiter}" not in text):
                continue
            rows = sample_rows(text, delimiter, quote, cut=cut)
            if not rows or len(rows[0]) < 2 or _usual(rows) < 2:
                continue
            share = sum(len(row) == _usual(rows) for row in rows) / len(rows)
            if plain and share < 0.9:  # prose has commas too
                continue
            score = (round(share, 2), quote == '"', delimiter == prefers, _usual(rows))
            if best is None or score > best[0]:
                best = (score, delimiter, quote, rows)
    if best is None:
        return SINGLE, '"', sample_rows(text, SINGLE, '"', cut=cut), 1.0
    return best[1], best[2], best[3], best[0][0]


def _usual(rows: Sequence[Sequence[str]]) -> int:
    """The number of cells that most rows have; of the first line and the others the others decide."""
    return Counter(map(len, rows[1:] or rows)).most_common(1)[0][0]


def _first_line_is_data(rows: Sequence[Sequence[str]]) -> tuple[bool, str]:
    first, rest = rows[0], rows[1:]
    if not rest:
        return False, ""
    columns = [[row[place] for row in rest if place < len(row) and row[place].strip()] for place in range(len(first))]
    numbers = [_share_of_numbers(column) > 0.9 for column in columns]
    own = [bool(re.fullmatch(NUMBER, cell.strip())) for cell in first]
    if any(own):
        whole = [int(cell) for cell, is_number in zip(first, own, strict=True) if is_number and cell.strip().isdigit()]
        in_turn = len(whole) == sum(own) and all(b - a == 1 for a, b in pairwise(whole))
        if in_turn and (whole[0] == 0 if all(own) else len(whole) > 2):
            return False, ""  # 0, 1, 2 … are the names that pandas gives; among others 2019, 2020, 2021 are years
        for place, (cell, is_number, below) in enumerate(zip(first, own, numbers, strict=True), start=1):
            if is_number and below:
                return True, f"cell {place} is {cell.strip()[:40]}, and below are numbers too"
        return False, ""
    if any(numbers):
        return False, ""
    for place, (cell, column) in enumerate(zip(first, columns, strict=True), start=1):
        if cell in column and len(set(column)) < len(column):
            return True, f"cell {place}, {cell[:40]!r}, comes again {column.count(cell)} times below"
        if len(cell) > 60 and cell.count(" ") > 8:
            return True, f"cell {place} is a text of {len(cell)} characters"
    return False, ""


def _share_of_numbers(column: Sequence[str]) -> float:
    return sum(bool(re.fullmatch(NUMBER, cell.strip())) for cell in column) / len(column) if column else 0.0


def _fitted(path: Path, names: list[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one name for each cell that most rows have."""
    width = _usual([names, *rows])
    fitting = [row for row in rows if len(row) == width]
    if len(names) == width or (any(len(row) == len(names) for row in rows[:1]) and len(fitting) <= len(rows) / 2):
        return names
    if len(names) == width - 1:
        if all(not row[-1].strip() for row in fitting):
            return [*names, ""]  # every row ends in a delimiter
        return ["", *names]  # R's write.table leaves out the name of the row numbers
    if len(names) > width and not any(name.strip() for name in names[width:]):
        return names[:width]
    raise DataError(
        f"{path} names {len(names)} columns in its first line, but most lines have {width} cells. "
        "Give each column a name, and quote cells that hold the delimiter."
    )


def _suffix(path: Path) -> str:
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()


def _called(delimiter: str) -> str:
    return {"\t": "a tab", SINGLE: "nothing"}.get(delimiter, f"{delimiter!r}")


def _note(path: Path, evidence: str, remedy: str, *, warns: bool = False) -> Finding:
    return Finding(
        check="intake", severity="warning" if warns else "info", evidence=f"{path.name}: {evidence}.", remedy=remedy
    )
