"""Checks of the images themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from seedbed import Dataset, Finding, NoOptions
from seedbed.core.data.columns import row_names

if TYPE_CHECKING:
    from seedbed.core.data.prepare import Prepared
    from seedbed.core.protocols import Check

MOST_NAMED = 100  # rows that a finding lists
MOST_LOOKED_AT = 20_000
_GRID = 16  # places a side that are looked at before a whole image is


def unreadable_files(options: NoOptions) -> Check:
    """Build the check."""
    return _find_unreadable


def constant_images(options: NoOptions) -> Check:
    """Build the check."""
    return _find_constant


def _find_unreadable(dataset: Dataset, prepared: Prepared) -> Iterator[Finding]:
    if not prepared.unreadable:
        return
    listed = prepared.unreadable[:MOST_NAMED]
    names = row_names(dataset, [row for row, _ in listed])
    told = "; ".join(f"{name} {reason}" for name, (_, reason) in zip(names[:5], listed, strict=False))
    more = len(prepared.unreadable) - 5
    yield Finding(
        check="unreadable_files",
        severity="error",
        evidence=f"Left out, as they cannot be read: {told}" + (f"; and {more} more." if more > 0 else "."),
        remedy="Copy or download them again, or delete them.",
        rows=names,
        count=len(prepared.unreadable),
    )


def _find_constant(dataset: Dataset, prepared: Prepared) -> Iterator[Finding]:
    rows = np.flatnonzero(prepared.usable())
    looked_at = ""
    if len(rows) > MOST_LOOKED_AT:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_LOOKED_AT, replace=False))
        looked_at = f" of {MOST_LOOKED_AT:,} looked at"
    constant = _constant_rows(prepared.images(), rows)
    if not len(constant):
        return
    names = row_names(dataset, constant[:MOST_NAMED])
    targets = dataset.rows.with_format("arrow", columns=["target"])[constant.tolist()]
    classes = Counter(targets.column("target").to_pylist())
    yield Finding(
        check="constant_images",
        severity="warning",
        evidence=f"{len(constant)} images{looked_at} are one colour all over, in the classes "
        + ", ".join(f"{name} ({count})" for name, count in classes.most_common(5))
        + f": {', '.join(names[:5])}"
        + (" …" if len(constant) > 5 else "."),
        remedy="Look at them; delete those that show nothing.",
        rows=names,
        count=len(constant),
    )


def _constant_rows(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return those of the rows whose pixels are all equal; most are ruled out by a coarse grid."""
    step_y = max(images.shape[1] // _GRID, 1)
    step_x = max(images.shape[2] // _GRID, 1)
    found = []
    for start in range(0, len(rows), 1000):
        some = rows[start : start + 1000]
        likely = some[_is_constant(images[some, ::step_y, ::step_x])]
        found += [row for row in likely if _is_constant(images[row : row + 1])[0]]
    return np.array(found, dtype=np.int64)


def _is_constant(pixels: np.ndarray) -> np.ndarray:
    """Return a mask (n,) for pixels (n, H, W, C)."""
    mask: np.ndarray = (pixels == pixels[:, :1, :1]).all(axis=(1, 2, 3))
    return mask
