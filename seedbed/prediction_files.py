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
Cells = dict[str, str | float | None]


def prediction_rows(
    inputs: Sequence[str], predictions: Sequence[str], probabilities: np.ndarray | None, classes: Sequence[str]
) -> list[Cells]:
    """Return one row for each input: `input`, `prediction` and, given probabilities (N, K), `p_<class>`.

    Probabilities that are not finite (the input could not be read) become None: empty in CSV, null in JSON.
    """
    rows: list[Cells] = [{"input": each, "prediction": label} for each, label in zip(inputs, predictions, strict=True)]
    if probabilities is not None:
        for row, values in zip(rows, probabilities, strict=True):
            row |= {f"p_{key}": _exact(float(value)) for key, value in zip(classes, values, strict=True)}
    return rows


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
