"""The lines of a `.ts` file: its header, and the rows below it; pure.

The format as its archive describes it (Bagnall et al. 2018, "The UEA multivariate time series classification
archive"): lines of `@key value` up to `@data`, then one row a line, its dimensions between colons, the values
of each between commas, and the class or the value to be predicted last. `?` is missing, and pairs
`(time,value)` stand where times are given.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from seedbed.core.errors import DataError

EXPECTED = "Expected are lines of `@key value`, then `@data`, then rows such as `1.0,2.0,3.0:label`."
MOST_DIMENSIONS = 100_000

_MISSING = frozenset({"", "?", "nan"})
_PIECES = re.compile(r"\(([^()]*)\)|([:,])|([^():,\s][^():,]*)|([()])")
_MOST_HEADER_LINES = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What a file says about its rows; `dimensions` and `length` are 0 where it is silent."""

    target: Literal["class", "value", ""] = ""
    classes: tuple[str, ...] = ()
    has_times: bool = False
    dimensions: int = 0
    length: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One row: a float32 (T,) for each dimension, NaN where a value is missing, and the target as written."""

    channels: list[np.ndarray]
    target: str | None = None


class BadLine(Exception):
    """A line that is no row, with the reason, worded to follow its number."""


def parse_header(lines: Iterator[tuple[int, str]], name: str) -> Header:
    """Read up to and with `@data`.

    Raises:
        DataError: there is no header of this form.
    """
    header = Header()
    for number, line in lines:
        if not line or line.startswith("#"):
            continue
        if not line.startswith("@") or number > _MOST_HEADER_LINES:
            raise DataError(f"{name}, line {number}: {line[:60]!r} is no line of a header. {EXPECTED}")
        key, *words = line[1:].split() or [""]
        if key.lower() == "data":
            return header
        header = _with(header, key.lower(), words)
    raise DataError(f"{name} has no @data. {EXPECTED}")


def _with(header: Header, key: str, words: list[str]) -> Header:
    is_on = bool(words) and words[0].lower() == "true"
    match key:
        case "classlabel" if is_on:
            return replace(header, target="class", classes=tuple(words[1:]))
        case "targetlabel" if is_on:
            return replace(header, target="value")
        case "timestamps":
            return replace(header, has_times=is_on)
        case "univariate" if is_on:
            return replace(header, dimensions=1)
        case "dimension" | "dimensions":
            return replace(header, dimensions=_count(words))
        case "serieslength":
            return replace(header, length=_count(words))
    return header


def _count(words: list[str]) -> int:
    return int(words[0]) if words and words[0].isdecimal() and len(words[0]) < 10 else 0


def parse_row(line: str, header: Header) -> Row:
    """Read one line below `@data`.

    Raises:
        BadLine: it is no row of this file.
    """
    fields = _timed(line) if header.has_times and "(" in line else line.split(":", MOST_DIMENSIONS)
    target = None
    if header.target:
        if len(fields) < 2:
            raise BadLine("has no target after a colon")
        *fields, last = fields
        target = _target(last.strip(), header)
    if header.dimensions and len(fields) != header.dimensions:
        raise BadLine(f"has {len(fields)} dimensions, not {header.dimensions}")
    channels = [_values(each) for each in fields]
    if not any(map(len, channels)):
        raise BadLine("has no values")
    return Row(channels, target)


def _target(text: str, header: Header) -> str | None:
    if text.lower() in _MISSING:
        return None
    if header.target == "value":
        try:
            float(text)
        except ValueError:
            raise BadLine(f"has the target {text[:40]!r}, which is no number") from None
    return text


def _values(text: str) -> np.ndarray:
    if not text.strip():
        return np.empty(0, dtype=np.float32)
    words = text.split(",")
    try:
        with np.errstate(over="ignore"):
            return np.array([float(word) for word in words], dtype=np.float64).astype(np.float32)
    except ValueError:
        pass
    return np.array([_value(word.strip()) for word in words], dtype=np.float32)


def _value(word: str) -> float:
    if word.lower() in _MISSING:
        return math.nan
    try:
        return float(word)
    except ValueError:
        raise BadLine(f"has {word[:40]!r} among its values") from None


def _timed(line: str) -> list[str]:
    """Return the fields of a line of `(time,value)` pairs, the values alone; times may hold colons and commas."""
    fields: list[list[str]] = [[]]
    for pair, mark, plain, stray in _PIECES.findall(line):
        if stray:
            raise BadLine("has a bracket that is not closed")
        if mark == ":":
            fields.append([])
        elif not mark:
            fields[-1].append(plain.strip() if plain else pair.rpartition(",")[2].strip())
    return [",".join(each) for each in fields]
