"""Predictions as rows, and as the bytes of a CSV, JSON or JSON-lines file. Pure."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seedbed.core.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

Form = Literal["csv", "json", "jsonl"]

SEPARATORS = (";", "|", ",")
"""What may stand between labels in a cell, the preferred first; all are understood where data is read."""


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
) -> list[Cells]:
    """Return one row for each input: `input`, `prediction` and, given probabilities (N, K), `p_<class>`.

    A prediction is a class, a number, or a sequence of labels. What is None, as it could not be read, and
    probabilities that are not finite are empty in CSV and null in JSON.

    Raises:
        UsageError: the probabilities are asked for of values, which have none.
    """
    if probabilities is not None and probabilities.ndim != 2:
        raise UsageError("This model predicts numbers, and those have no probabilities; leave --proba out.")
    separator = next((each for each in SEPARATORS if not any(each in name for name in classes)), "")
    rows: list[Cells] = [
        {"input": each, "prediction": _cell(found, separator)} for each, found in zip(inputs, predictions, strict=True)
    ]
    if probabilities is not None:
        for row, values in zip(rows, probabilities, strict=True):
            row |= {f"p_{key}": _exact(float(value)) for key, value in zip(classes, values, strict=True)}
    return rows


def _cell(found: str | float | Sequence[str] | None, separator: str) -> str | float | Labels | None:
    if found is None or isinstance(found, str):
        return found
    return Labels(found, separator) if isinstance(found, Sequence) else _exact(float(found))


def _exact(value: float) -> float | None:
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
