"""What a cell of text holds: a number, a date, an image's name, a series, several labels; pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

SEPARATORS = ("|", ";", ",")
"""What may stand between the labels of a cell, the surest first."""

MISSING = frozenset({"", "?", "-", "na", "n/a", "nan", "none", "null"})
"""What people write where a number is missing, in lower case."""

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|[-+]?(nan|inf|infinity)", re.IGNORECASE)
_MOMENT = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}([ T].*)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}( .*)?|\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
)
_CODE = re.compile(r"[0-9a-f]{16,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(https?|s3|gs)://\S+", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s\[\](),;:|]+")
_OPENING = re.compile(r"[\s\[(]*")
_CLOSING = re.compile(r"[\])]")
_CHANNELS = (":", "|", ";", "\n")

_LEAST_NUMBERS = 4  # without brackets: `555 123 4567` is a telephone number
_LEAST_MANY = 0.05  # of the cells hold several labels, or the separator belongs to the names
_LEAST_RECURRENCE = 2  # times that a label occurs on average
_LONGEST_LABEL = 60  # characters


def is_number(cell: str) -> bool:
    """Whether a cell is one number."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def is_moment(cell: str) -> bool:
    """Whether a cell is a date, a time of day or both."""
    return _MOMENT.fullmatch(cell.strip()) is not None


def is_code(cell: str) -> bool:
    """Whether a cell is an identifier made by a machine: a hash, a UUID, an address."""
    return _CODE.fullmatch(cell.strip()) is not None


def is_image_name(cell: str, suffixes: frozenset[str]) -> bool:
    """Whether a cell is the path of a file whose suffix is an image's."""
    return len(cell) < 4096 and PurePosixPath(cell.strip()).suffix.lower() in suffixes


def is_series(cell: str, *, is_cut: bool = False) -> bool:
    """Whether a cell is a row of numbers; of a cell cut short the last number is not looked at."""
    if is_moment(cell):
        return False
    words = [word for word in _BETWEEN.split(cell) if word]
    if is_cut:
        words = words[:-1]
    least = 2 if cell.lstrip().startswith(("[", "(")) else _LEAST_NUMBERS
    if len(words) < least or not any(map(is_number, words)):
        return False
    return all(word.lower() in MISSING or is_number(word) for word in words)


def parse_series(cell: str) -> list[np.ndarray] | None:
    """Return the channels of a cell, float32 (T,) each, NaN where a value is missing; None if it is no series.

    Read are lists as JSON and NumPy write them, one or two brackets deep, and numbers between commas,
    semicolons or spaces, channels then between `:`, `|`, `;` or line ends.
    """
    text = cell.strip()
    opening = _OPENING.match(text)
    depth = 0 if opening is None else sum(character in "[(" for character in opening[0])
    if depth > 2:
        return None
    pieces = _pieces(text) if depth else _channels(text)
    found = [_numbers(piece) for piece in pieces]
    channels = [each for each in found if each is not None]
    if len(channels) < len(found) or (not depth and not any(map(len, channels))):
        return None
    return channels or [np.empty(0, dtype=np.float32)]


def _pieces(text: str) -> list[str]:
    return [piece for each in _CLOSING.split(text) if (piece := each.strip(" \t\r\n,;[("))]


def _channels(text: str) -> list[str]:
    for separator in _CHANNELS:
        pieces = [piece.strip() for piece in text.split(separator)]
        if len(pieces) > 1 and any(re.search(r"[\s,;]", piece) for piece in pieces):
            return [piece for piece in pieces if piece]
    return [re.sub(r"[:|;]", " ", text)]


def _numbers(text: str) -> np.ndarray | None:
    words = text.rstrip(" ,").split(",") if "," in text else re.split(r"[\s;]+", text) if text else []
    try:
        values = [float(word) for word in words]
    except ValueError:
        words = [word.strip().lower() for word in words]
        if not all(word in MISSING or is_number(word) for word in words):
            return None
        values = [np.nan if word in MISSING else float(word) for word in words]
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        return np.array(values, dtype=np.float64).astype(np.float32)


def separator_of(cells: Sequence[str]) -> str:
    """Return what stands between the labels of cells that hold several; empty where they hold one.

    Labels recur in several combinations, so that there are no more labels than different cells. The comma
    of `Sports, outdoors` is in every cell of that class, and gives more names than cells.
    """
    different = len(set(cells))
    for separator in SEPARATORS:
        several = sum(separator in cell for cell in cells)
        if not several or several < _LEAST_MANY * len(cells):
            continue
        labels = Counter(label for cell in cells for label in split_labels(cell, separator))
        recurs = labels.total() >= _LEAST_RECURRENCE * len(labels)
        if labels and recurs and len(labels) <= different and max(map(len, labels)) <= _LONGEST_LABEL:
            return "" if all(map(is_number, labels)) and separator == "," else separator
    return ""


def split_labels(cell: str, separator: str) -> list[str]:
    """Return the labels of a cell, each once; quotes and the brackets of a printed list are left away."""
    text = cell.strip()
    if text[:1] + text[-1:] in ("[]", "()", "{}"):
        text, separator = text[1:-1], ","
    labels = (label.strip().strip("'\"") for label in (text.split(separator) if separator else [text]))
    return list(dict.fromkeys(label for label in labels if label))
