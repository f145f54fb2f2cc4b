"""Predictions as rows, and as the bytes of a CSV, JSON or JSON-lines file. Pure."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seedbed.core.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

Form = Literal["csv", "json", "jsonl"]

SEPARATORS = (";", "|", ",")
"""What may stand between labels in a cell, the preferred first; all are understood where data is read."""

_SET_SEPARATORS = ("|", ";", ",")  # another is preferred than between labels: of these only one is the truth


class Labels(list[str]):
    """The labels of one row: a list in JSON; in a cell of CSV joined by the first separator in no label's name."""

    def __init__(self, labels: Sequence[str], separator: str) -> None:
        super().__init__(labels)
        self.separator = separator

    def __str__(self) -> str:
        return self.separator.join(self) if self.separator else json.dumps(list(self), ensure_ascii=False)


Cells = dict[str, str | float | Labels | None]


def prediction_rows(
    inputs: Sequence[str],
    predictions: Sequence[str | float | Sequence[str] | None],
    probabilities: np.ndarray | None,
    classes: Sequence[str],
    *,
    candidates: Sequence[Sequence[str] | None] | None = None,
    bounds: np.ndarray | None = None,
) -> list[Cells]:
    """Return one row for each input: `input`, `prediction` and, given probabilities (N, K), `p_<class>`.

    A prediction is a class, a number, or a sequence of labels. What is None, as it could not be read, and
    probabilities that are not finite are empty in CSV and null in JSON. A model that was asked to abstain gives
    `candidates`, the classes among which the truth is, or `bounds` (N, 2), as `low` and `high`.

    Raises:
        UsageError: the probabilities are asked for of values, which have none.
    """
    if probabilities is not None and probabilities.ndim != 2:
        raise UsageError("This model predicts numbers, and those have no probabilities; leave --proba out.")
    separator = _separator(SEPARATORS, classes)
    rows: list[Cells] = [
        {"input": each, "prediction": _cell(found, separator)} for each, found in zip(inputs, predictions, strict=True)
    ]
    if candidates is not None:
        separator = _separator(_SET_SEPARATORS, classes)
        for row, found in zip(rows, candidates, strict=True):
            row["candidates"] = _cell(found, separator)
    if bounds is not None:
        for row, (low, high) in zip(rows, bounds, strict=True):
            row |= {"low": exact(float(low)), "high": exact(float(high))}
    if probabilities is not None:
        for row, values in zip(rows, probabilities, strict=True):
            row |= {f"p_{key}": exact(float(value)) for key, value in zip(classes, values, strict=True)}
    return rows


def promise(predictions: Sequence[object], level: float, unreadable: int, *, is_number: bool) -> str:
    """Say of rows that were predicted with leave to abstain how many were left unanswered, and what is promised."""
    wrong = f"in at most {100 * level:g}, if the new rows are like those of training."
    if is_number:
        return f"Of 100 rows the truth lies outside of low to high {wrong}"
    open_ = sum(each is None for each in predictions) - unreadable
    return (
        f"{open_:,} of {len(predictions):,} rows are left unanswered. "
        f"Of 100 rows the truth is missing from the candidates {wrong}"
    )


def covered(found: Mapping[str, float | None]) -> str:
    """Say what sets, or intervals, came to on rows whose truth is known; `found` is what `evaluate` has on it."""
    level, held = found["level"], f"{found['coverage']:.1%} of the rows"
    if found["error"] is None:
        return f"At --abstain {level:g}: the truth is held by the sets or intervals of {held}."
    return (
        f"At --abstain {level:g}: the candidates of {held} hold the truth; {found['answered']:.1%} are answered, "
        f"{found['error']:.1%} of these wrongly."
    )


def _separator(wanted: Sequence[str], classes: Sequence[str]) -> str:
    return next((each for each in wanted if not any(each in name for name in classes)), "")


def _cell(found: str | float | Sequence[str] | None, separator: str) -> str | float | Labels | None:
    if found is None or isinstance(found, str):
        return found
    return Labels(found, separator) if isinstance(found, Sequence) else exact(float(found))


def exact(value: float) -> float | None:
    """Shorten to nine digits, which bring a float32 back exactly."""
    return float(f"{value:.9g}") if math.isfinite(value) else None


def form_of(path: Path) -> Form:
    """Return the format that a file name asks for.

    Raises:
        UsageError: no format has this suffix.
    """
    forms: dict[str, Form] = {".csv": "csv", ".json": "json", ".jsonl": "jsonl"}
    if path.suffix.lower() not in forms:
        raise UsageError(f"{path.name!r} asks for no known format; give it the suffix {', '.join(forms)}.")
    return forms[path.suffix.lower()]


def encode(rows: Sequence[Cells], form: Form) -> bytes:
    """Write rows in a format, as UTF-8; file names that are no text come out as they came in."""
    if form == "json":
        text = json.dumps(rows, indent=2) + "\n"
    elif form == "jsonl":
        text = "".join(json.dumps(row) + "\n" for row in rows)
    else:
        stream = io.StringIO()
        writer = csv.DictWriter(stream, list(rows[0]) if rows else ["input", "prediction"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        text = stream.getvalue()
    return text.encode("utf-8", "surrogateescape")
