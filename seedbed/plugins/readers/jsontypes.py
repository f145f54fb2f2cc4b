"""The types of JSON values: settled over all rows, so that no late row can overturn them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

DEEPEST_LIST = 3
"""Lists within lists within lists are kept as such; what is deeper, and objects, become JSON text."""

_INT64 = 2**63


@dataclass(slots=True)
class Seen:
    """What values a place has held so far; `items` is the same of the elements of lists."""

    booleans: bool = False
    integers: bool = False
    floats: bool = False
    strings: bool = False
    beyond: bool = False
    others: bool = False
    items: Seen | None = None

    def add(self, value: object, depth: int = 0) -> None:
        """Take note of a value."""
        match value:
            case None:
                return
            case str():
                self.strings = True
            case bool():
                self.booleans = True
            case float():
                self.floats = True
            case int():
                self.integers = True
                self.beyond |= not -_INT64 <= value < _INT64
            case list() if depth < DEEPEST_LIST:
                if self.items is None:
                    self.items = Seen()
                self.items.add_all(value, depth + 1)
            case _:
                self.others = True

    def add_all(self, values: Sequence[Any], depth: int) -> None:
        """Take note of the elements of a list; long lists of numbers are judged by their types at once."""
        kinds = set(map(type, values))
        if kinds <= {float}:
            self.floats |= bool(kinds)
        elif kinds == {int}:
            self.integers = True
            self.beyond |= not (min(values) >= -_INT64 and max(values) < _INT64)
        else:
            for value in values:
                self.add(value, depth)

    @property
    def is_text(self) -> bool:
        """Whether no narrower type than text holds all values."""
        scalars = self.booleans or self.integers or self.floats or self.strings
        if self.others or (self.items is not None and scalars):
            return True
        if self.items is not None:
            return False
        if self.strings or self._is_empty:
            return True
        numbers = self.integers or self.floats
        return numbers if self.booleans else self.beyond and not self.floats

    def type(self) -> pa.DataType:
        """The arrow type that holds all values."""
        import pyarrow as pa

        if self.is_text:
            return pa.string()
        if self.items is not None:
            return pa.list_(pa.float64() if self.items._is_empty else self.items.type())
        if self.booleans:
            return pa.bool_()
        return pa.float64() if self.floats else pa.int64()

    @property
    def _is_empty(self) -> bool:
        held = self.booleans or self.integers or self.floats or self.strings or self.others
        return not held and self.items is None

    def fitting(self) -> Callable[[Any], Any] | None:
        """Return what turns each value into one that arrow takes for `type()`, None where all are already."""
        if self._is_empty:
            return None
        if self.is_text:
            mixed = self.booleans or self.integers or self.floats or self.others or self.items is not None
            return _as_text if mixed else None
        if self.items is not None:
            inner = self.items.fitting()
            return None if inner is None else lambda values: None if values is None else [*map(inner, values)]
        return _as_float if self.floats and self.integers else None


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _as_float(value: float | None) -> float | None:
    """Arrow refuses whole numbers beyond 2**53 among floats, Python those beyond 1e308."""
    try:
        return None if value is None else float(value)
    except OverflowError:
        return float("inf") if value and value > 0 else float("-inf")
