"""The types of columns that are written as text: settled over all rows, so that no late row can overturn them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

MARKERS = ("NA", "N/A", "n/a", "NULL", "null", "None", "nan", "NaN", "?")
"""What stands for a missing value in columns of numbers or booleans; among texts these are texts."""

_NUMBER = r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?(?i:inf|infinity)"
_WHOLE = r"[+-]?(0|[1-9]\d{0,17})"  # no leading zeros: 007 is a name
_LONG = r"[+-]?\d{19,}"  # as a float it would lose digits, and is a name too
_BOOLEAN = "(?i:true|false)"


@dataclass(slots=True)
class ColumnGuess:
    """What a column can still be after the cells seen so far: whole numbers, numbers, booleans, else text."""

    open: set[str] = field(default_factory=lambda: {"int64", "float64", "bool"})
    filled: bool = False
    markers: int = 0
    marker: str = ""

    def see(self, cells: pa.Array) -> None:
        """Take note of some string cells, null where empty."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not self.open:
            return
        texts = pc.utf8_trim_whitespace(cells.drop_null())
        is_marker = pc.is_in(texts, value_set=pa.array(MARKERS))
        marked = pc.sum(is_marker).as_py() or 0
        if marked:
            self.marker = self.marker or texts.filter(is_marker)[0].as_py()
            self.markers += marked
            texts = texts.filter(pc.invert(is_marker))
        if not len(texts):
            return
        self.filled = True
        if "bool" in self.open and not _all_match(texts, _BOOLEAN):
            self.open.discard("bool")
        if "float64" in self.open and (not _all_match(texts, _NUMBER) or _any_match(texts, _LONG)):
            self.open -= {"float64", "int64"}
        if "int64" in self.open and not _all_match(texts, _WHOLE):
            self.open.discard("int64")

    @property
    def type(self) -> str:
        """The narrowest type that fits every cell; text where there is none to judge by."""
        if not self.filled:
            return "string"
        return next((each for each in ("int64", "float64", "bool") if each in self.open), "string")


def converted(cells: pa.Array, kind: str) -> pa.Array:
    """Return string cells as the type that a guess over all of them gave."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind == "string":
        return cells
    texts = pc.utf8_trim_whitespace(cells)
    missing = pc.or_(pc.is_in(texts, value_set=pa.array(MARKERS)), pc.equal(texts, ""))
    texts = pc.if_else(pc.fill_null(missing, True), pa.scalar(None, pa.string()), texts)
    if kind == "bool":
        return pc.equal(pc.utf8_lower(texts), "true")
    return pc.cast(pc.utf8_ltrim(texts, characters="+"), kind)


def _all_match(texts: pa.Array, pattern: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.all(pc.match_substring_regex(texts, f"^({pattern})$")).as_py())


def _any_match(texts: pa.Array, pattern: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring_regex(texts, f"^({pattern})$")).as_py())
