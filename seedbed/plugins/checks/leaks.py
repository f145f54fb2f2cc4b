"""Checks for what gives the target away without being what is to be learnt from: shortcuts that fail on new data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from seedbed import Finding, NoOptions
from seedbed.core.data.checking.shortcuts import Telling, correlation, numbered, telling
from seedbed.core.data.columns import cells, image_paths
from seedbed.core.data.dataset import OWN
from seedbed.core.data.prepared import PreparedImages, PreparedSeries, PreparedText
from seedbed.core.data.reading.arrowforms import form_of, plain
from seedbed.core.protocols import Check, CheckInput

if TYPE_CHECKING:
    import pyarrow as pa

_SAMPLE = 100_000
_SAMPLE_BYTES = 64 * 2**20  # of a column: of long texts fewer are looked at
_GIVEN_AWAY = 0.95  # of the errors of guessing the largest class
_SHORTCUT = 0.5
_CORRELATED = 0.999
_MOST_SIZES = 64
_MENTIONED = 0.9  # of the texts of a class hold its name
_FEW = 20
_KINDS_OF_CELL = ("string", "boolean", "integer", "float", "date")


def target_leaks(options: NoOptions) -> Check:
    """Build the check."""
    return _find_leaks


def shortcuts(options: NoOptions) -> Check:
    """Build the check."""
    return _find_shortcuts


def _find_leaks(given: CheckInput) -> Iterator[Finding]:
    """Yield the columns that determine the target, and texts that hold it."""
    usable = _sample(given)
    inputs = set(given.dataset.schema.inputs)
    for column in given.dataset.rows.column_names:
        if not column.startswith(OWN):
            continue
        name = column.removeprefix(OWN)
        rows = _lightened(given, column, usable)
        evidence = _tells(_cells(given, column, rows), given.targets.values[rows], given.targets.kind)
        if evidence:
            is_input = name in inputs
            use = "a model learns to read it there" if is_input else "it is not learnt from"
            yield Finding(
                check="target_leaks",
                severity="warning" if is_input else "info",
                evidence=f"The column {name!r} gives the target away ({evidence}); {use}.",
                remedy="Will it be known when predictions are made? If not, choose other columns with --input."
                if is_input
                else "Leave it out of the inputs: it will not be known when predictions are made.",
                rows=(name,),
                count=1,
            )
    if given.dataset.modality == "text" and given.targets.kind == "classification":
        yield from _mentions(given, _lightened(given, "text", usable))


def _lightened(given: CheckInput, column: str, rows: np.ndarray) -> np.ndarray:
    """Return as many of the rows, rising, as hold about `_SAMPLE_BYTES` of a column."""
    cell = given.dataset.rows.data.column(column).nbytes / max(len(given.dataset), 1)
    most = int(_SAMPLE_BYTES / max(cell, 1))
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _cells(given: CheckInput, column: str, rows: np.ndarray) -> pa.Array:
    """Return the cells of these rows in a plain type."""
    return plain(cells(given.dataset, column, rows), given.dataset.rows.features[column])


def _tells(array: pa.Array, targets: np.ndarray, kind: str) -> str:
    """Say how a column tells the target; empty where it does not."""
    import pyarrow as pa

    form = form_of(array.type)
    if kind == "regression":
        if form not in ("integer", "float"):
            return ""
        numbers = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)  # large ones lose a digit or two
        found = correlation(numbers, targets)
        return f"correlation {found:.4f}" if found is not None and found >= _CORRELATED else ""
    if kind != "classification" or form not in _KINDS_OF_CELL:
        return ""
    codes = array.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    seen = telling(codes, targets)
    return _said(seen) if seen is not None and seen.gain >= _GIVEN_AWAY else ""


def _said(seen: Telling) -> str:
    return (
        f"guessing by it alone is right for {seen.accuracy:.1%} of {seen.rows:,} rows, "
        f"the largest class for {seen.majority:.1%}"
    )


def _mentions(given: CheckInput, rows: np.ndarray) -> Iterator[Finding]:
    """Yield the classes whose name stands in nearly all of their texts, and in few of the others."""
    import pyarrow.compute as pc

    texts = _cells(given, "text", rows)
    codes = given.targets.values[rows]
    telling_names = []
    for code, name in enumerate(given.targets.classes[:_FEW]):
        own = codes == code
        if len(name.strip()) < 2 or own.sum() < _FEW or (~own).sum() < _FEW:
            continue
        holds = pc.match_substring(texts, name, ignore_case=True).fill_null(False).to_numpy(zero_copy_only=False)
        if holds[own].mean() >= _MENTIONED and holds[~own].mean() <= 1 - _MENTIONED:
            telling_names.append((name, float(holds[own].mean()), float(holds[~own].mean())))
    if telling_names:
        listed = "; ".join(f"{name!r} in {own:.0%} of its own, {other:.0%} of the other texts"
                           for name, own, other in telling_names[:5])  # fmt: skip
        yield Finding(
            check="target_leaks",
            severity="warning",
            evidence=f"The texts hold the names of their classes: {listed}.",
            remedy="If new texts will not, take the names out, or the model learns to look for nothing else.",
            rows=tuple(name for name, _, _ in telling_names),
            count=len(telling_names),
        )


def _find_shortcuts(given: CheckInput) -> Iterator[Finding]:
    """Yield the facts of the rows' form, as their size, that tell the class though they are not what is meant."""
    if given.targets.kind != "classification":
        return
    rows = _sample(given)
    for name, facts in _facts(given, rows):
        seen = telling(facts, given.targets.values[rows])
        if seen is not None and seen.gain >= _SHORTCUT:
            yield Finding(
                check="shortcuts",
                severity="warning",
                evidence=f"The {name} tells the class: {_said(seen)}.",
                remedy="See how the classes were collected: a model may learn this in place of what they show.",
            )


def _facts(given: CheckInput, rows: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    prepared = given.prepared
    if isinstance(prepared, PreparedImages):
        sizes = prepared.originals()[rows]
        yield "size of an image in pixels", _sizes(sizes[:, :2])
        yield "EXIF orientation of an image", numbered(sizes[:, 2])
        files = image_paths(given.dataset, rows)
        _, formats = np.unique([PurePath(each or "").suffix.lower() for each in files], return_inverse=True)
        yield "suffix of an image's file", formats.astype(np.int64)
    elif isinstance(prepared, PreparedSeries):
        yield "length of a series", numbered(prepared.lengths()[rows])
    elif isinstance(prepared, PreparedText):
        yield "length of a text", numbered(np.asarray(prepared.characters()[rows]))


def _sizes(sides: np.ndarray) -> np.ndarray:
    """Number sizes (n, 2): each for itself where they are few, by the number of pixels where they vary."""
    if len(np.unique(sides, axis=0)) <= _MOST_SIZES:
        return numbered(sides)
    return numbered(sides.astype(np.int64).prod(axis=1))


def _sample(given: CheckInput) -> np.ndarray:
    """Return rows (n,) that can be used, rising; a seeded sample where they are many."""
    rows = np.flatnonzero(given.prepared.usable() & given.targets.known())
    if len(rows) > _SAMPLE:
        rows = np.sort(np.random.default_rng(0).choice(rows, _SAMPLE, replace=False))
    return rows
