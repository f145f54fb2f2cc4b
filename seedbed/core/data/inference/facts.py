"""What can be measured of a table's columns before it is known what they mean; reads, changes nothing.

Counts are exact, over all rows, in one pass of bounded memory. What needs a look at the text itself comes
from an even sample of rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seedbed.core.data.columns import SUFFIXES
from seedbed.core.data.inference import cells
from seedbed.core.data.reading.arrowforms import Form, form_of, plain, scan, without_empty
from seedbed.core.errors import DataError

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

MOST_DISTINCT = 10_000
SAMPLE = 1000  # rows

_LONGEST_LOOK = 4000  # characters of a cell
_FILES = 100  # of the sampled paths that are looked up
_MOST_LISTED = 50  # values
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*", b"P5", b"P6")


@dataclass(frozen=True, kw_only=True, slots=True)
class Looks:
    """What sampled cells of a column of strings look like: shares in [0, 1] of those that hold something.

    `words` and `characters` are means; `at_folder` is the share of image names that are files.
    """

    words: float = 0.0
    characters: float = 0.0
    numeric: float = 0.0
    moments: float = 0.0
    codes: float = 0.0
    series: float = 0.0
    images: float = 0.0
    at_folder: float = 0.0
    separator: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnFacts:
    """The facts of a column.

    `missing` counts nulls, empty strings and NaN. `distinct` values are counted over the first `counted`
    that are not missing, until there are `MOST_DISTINCT`; `values` lists them where they are few. Numbers
    have `least` and `most`, and are `is_whole` where all are whole; `infinite` counts those that are.
    Lists have `shortest` and `longest`; the lists in them `narrowest` and `widest`.
    """

    name: str
    form: Form
    rows: int
    missing: int = 0
    distinct: int = 0
    counted: int = 0
    values: tuple[str, ...] = ()
    least: float = np.inf
    most: float = -np.inf
    is_whole: bool = True
    infinite: int = 0
    shortest: int = 2**31
    longest: int = 0
    narrowest: int = 2**31
    widest: int = 0
    looks: Looks = field(default_factory=Looks)

    @property
    def variety(self) -> float:
        """Distinct values for each value: 1 where no two rows are alike."""
        return self.distinct / max(self.counted, 1)

    @property
    def is_number(self) -> bool:
        """Whether the column holds numbers, one a row."""
        return self.form in ("integer", "float")

    @property
    def is_binary(self) -> bool:
        """Whether the column holds nothing but yes and no."""
        if self.form == "boolean":
            return True
        return self.is_number and self.is_whole and 0 <= self.least <= self.most <= 1

    @property
    def shown_distinct(self) -> str:
        """The number of different values, in words that claim no more than was counted."""
        if not self.distinct:
            return "no values"
        values = "1 value" if self.distinct == 1 else f"{self.distinct:,} values"
        if self.counted < self.rows - self.missing:
            return f"{values} or more over {self.rows:,} rows"
        return f"{values} over {self.counted:,} rows"

    def __str__(self) -> str:
        match self.form:
            case "string" if self.looks.words:
                told = f"text, {self.looks.words:.1f} words a cell, {self.shown_distinct}"
            case "string" | "boolean" | "integer" | "float" | "date":
                told = f"{self.form}, {self.shown_distinct}"
            case "numbers" | "channels" | "labels" if self.longest:
                told = f"lists of {self.shortest:,} to {self.longest:,}"
            case "empty":
                told = "nothing in it"
            case "other":
                told = "a type that nothing is learnt from"
            case _:
                told = self.form
        return f"`{self.name}` ({told})"


def measure_columns(rows: datasets.Dataset, folder: Path) -> dict[str, ColumnFacts]:
    """Measure every column of a table; relative image paths are looked up in `folder`.

    Raises:
        DataError: a column holds what is no text of its encoding, or is damaged otherwise.
    """
    names, features = list(rows.column_names), dict(rows.features)
    tallies: dict[str, _Tally] = {}
    for batch in scan(rows, names):
        for name, array in zip(names, batch, strict=True):
            if name not in tallies:
                tallies[name] = _Tally(name, _form(array, features[name]), len(rows))
            _require_whole(array, name)
            tallies[name].add(array)
    facts = {name: tally.facts() for name, tally in tallies.items()}
    strings = [name for name, fact in facts.items() if fact.form == "string"]
    return facts | {name: replace(facts[name], looks=looks) for name, looks in _looks(rows, strings, folder).items()}


def _require_whole(array: pa.Array, name: str) -> None:
    """See that texts are UTF-8 and offsets in order: arrow trusts both, and so would all that follows."""
    import pyarrow as pa

    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        reason = str(error).splitlines()[0][:200]
        raise DataError(
            f"Column `{name}` cannot be read ({reason}). Expected are texts in UTF-8; write the column anew."
        ) from error


def _form(array: pa.Array, feature: object) -> Form:
    import pyarrow as pa

    if pa.types.is_binary(array.type):
        first = array.drop_null()[:8].to_pylist()
        return "image" if first and all(each.startswith(_MAGIC) for each in first) else "other"
    form = form_of(array.type)
    return "other" if form == "image" and type(feature).__name__ in ("Audio", "Video", "Pdf") else form


class _Tally:
    """Counts the values of one column, batch by batch."""

    def __init__(self, name: str, form: Form, rows: int) -> None:
        self.start = ColumnFacts(name=name, form=form, rows=rows)
        self.known: pa.Array | None = None
        self.missing = self.counted = self.distinct = self.infinite = self.longest = self.widest = 0
        self.shortest = self.narrowest = 2**31
        self.least, self.most, self.is_whole = np.inf, -np.inf, True

    def add(self, array: pa.Array) -> None:
        import pyarrow.compute as pc

        array = without_empty(array)
        self.missing += array.null_count
        match self.start.form:
            case "integer" | "float":
                self._add_numbers(array)
            case "numbers" | "channels" | "labels":
                self.shortest, self.longest = _span(pc.list_value_length(array), self.shortest, self.longest)
        if self.start.form == "channels":
            widths = pc.list_value_length(array.flatten())
            self.narrowest, self.widest = _span(widths.fill_null(0), self.narrowest, self.widest)
        if self.start.form in ("string", "boolean", "integer", "float", "date"):
            self._add_values(array)

    def _add_numbers(self, array: pa.Array) -> None:
        import pyarrow as pa

        values = array.drop_null().cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        finite = values[np.isfinite(values)]
        self.infinite += len(values) - len(finite)
        if len(finite):
            self.least = min(self.least, float(finite.min()))
            self.most = max(self.most, float(finite.max()))
            self.is_whole = self.is_whole and bool((np.floor(finite) == finite).all())

    def _add_values(self, array: pa.Array) -> None:
        import pyarrow as pa

        if self.distinct >= MOST_DISTINCT:
            return
        new = array.drop_null()
        self.counted += len(new)
        new = new.unique()
        self.known = new if self.known is None else pa.concat_arrays([self.known, new]).unique()
        self.distinct = len(self.known)
        if self.distinct >= MOST_DISTINCT:
            self.known = None  # of ten thousand columns it would be a gigabyte

    def facts(self) -> ColumnFacts:
        few = _listed(self.known) if self.known is not None and self.distinct <= _MOST_LISTED else []
        return replace(
            self.start,
            missing=self.missing,
            distinct=self.distinct,
            counted=self.counted,
            values=tuple(str(value)[:_LONGEST_LOOK] for value in few),
            least=self.least,
            most=self.most,
            is_whole=self.is_whole,
            infinite=self.infinite,
            shortest=self.shortest,
            longest=self.longest,
            narrowest=self.narrowest,
            widest=self.widest,
        )


def _listed(values: pa.Array) -> list[object]:
    import pyarrow as pa

    is_date = pa.types.is_temporal(values.type)  # beyond the year 9999 Python has none
    found: list[object] = (values.cast(pa.string()) if is_date else values).to_pylist()
    return found


def _span(lengths: pa.Array, least: int, most: int) -> tuple[int, int]:
    import pyarrow.compute as pc

    found = pc.min_max(lengths).as_py()
    if found["min"] is None:
        return least, most
    return min(least, found["min"]), max(most, found["max"])


def _looks(rows: datasets.Dataset, names: list[str], folder: Path) -> dict[str, Looks]:
    if not names:
        return {}
    import pyarrow.compute as pc

    sampled = np.unique(np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).round().astype(np.int64))
    table = rows.with_format("arrow", columns=names)[sampled.tolist()]
    found, features = {}, dict(rows.features)
    for name in names:
        array = plain(table.column(name), features[name])
        start = pc.utf8_slice_codeunits(array, 0, _LONGEST_LOOK).to_pylist()
        lengths = pc.utf8_length(array).to_pylist()
        told = [(cell, length) for cell, length in zip(start, lengths, strict=True) if cell]
        found[name] = look([cell for cell, _ in told], [length for _, length in told], folder)
    return found


def look(texts: list[str], lengths: list[int], folder: Path) -> Looks:
    """Say what cells look like; `lengths` are theirs in characters before they were cut to 4,000."""
    total = max(len(texts), 1)
    images = [text for text in texts if cells.is_image_name(text, SUFFIXES)]
    looked_up = images[:: max(len(images) // _FILES, 1)]
    return Looks(
        words=sum(len(text.split()) for text in texts) / total,
        characters=sum(lengths) / total,
        numeric=sum(map(cells.is_number, texts)) / total,
        moments=sum(map(cells.is_moment, texts)) / total,
        codes=sum(map(cells.is_code, texts)) / total,
        series=sum(
            cells.is_series(text, is_cut=length > len(text)) for text, length in zip(texts, lengths, strict=True)
        )
        / total,
        images=len(images) / total,
        at_folder=sum(is_file(folder, name) for name in looked_up) / max(len(looked_up), 1),
        separator=cells.separator_of(texts),
        examples=tuple(dict.fromkeys(text[:40] for text in texts[:20]))[:3],
    )


def is_file(folder: Path, name: str) -> bool:
    """Whether a path, seen from a folder, is a file; no path is too odd to ask."""
    try:
        return (folder / name.strip()).is_file()
    except (OSError, ValueError):  # too long, a NUL byte, a loop of links
        return False
