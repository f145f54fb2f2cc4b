"""Checks of the images themselves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from seedbed import Finding, NoOptions
from seedbed.core.data.columns import row_names
from seedbed.core.data.prepared import PreparedImages
from seedbed.core.data.profile import MOST_NAMED
from seedbed.core.data.repair import Repair
from seedbed.core.protocols import Check, CheckInput

MOST_LOOKED_AT = 20_000
_GRID = 16  # places a side that are looked at before a whole image is


def unreadable_files(options: NoOptions) -> Check:
    """Build the check."""
    return _find_unreadable


def constant_images(options: NoOptions) -> Check:
    """Build the check."""
    return _find_constant


def _find_unreadable(given: CheckInput) -> Iterator[Finding]:
    prepared = given.prepared
    if not prepared.unreadable:
        return
    listed = prepared.unreadable[:MOST_NAMED]
    names = row_names(given.dataset, [row for row, _ in listed])
    told = "; ".join(f"{name} {reason}" for name, (_, reason) in zip(names[:5], listed, strict=False))
    count = prepared.rows - int(prepared.usable().sum())
    more = count - 5
    are_files = given.dataset.modality == "image"
    yield Finding(
        check="unreadable_files",
        severity="error" if are_files else "warning",
        evidence=f"Left out, as they cannot be {'read' if are_files else 'used'}: {told}"
        + (f"; and {more:,} more." if more > 0 else "."),
        remedy="Copy or download them again, or delete them." if are_files else "Fill them in if they are to be used.",
        rows=names,
        count=count,
        repair="done: leave these rows out",  # there is no other way, whatever the user wants
    )


def _find_constant(given: CheckInput) -> Iterator[Repair]:
    prepared = given.prepared
    if not isinstance(prepared, PreparedImages):
        return
    rows = np.flatnonzero(prepared.usable())
    looked_at = ""
    if len(rows) > MOST_LOOKED_AT:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_LOOKED_AT, replace=False))
        looked_at = f" of {MOST_LOOKED_AT:,} looked at"
    constant = _constant_rows(prepared.images(), rows)
    if not len(constant):
        return
    names = row_names(given.dataset, constant[:MOST_NAMED])
    yield Repair(
        finding=Finding(
            check="constant_images",
            severity="warning",
            evidence=f"{_some(len(constant), looked_at)} one colour all over{_in_classes(given, constant)}: "
            + ", ".join(names[:5])
            + (" …" if len(constant) > 5 else "."),
            remedy="Look at them; delete those that show nothing.",
            rows=names,
            count=len(constant),
        ),
        action="leave these rows out",
        drop=constant,
    )


def _some(count: int, looked_at: str) -> str:
    return f"{count:,} image{looked_at} is" if count == 1 else f"{count:,} images{looked_at} are"


def _in_classes(given: CheckInput, rows: np.ndarray) -> str:
    counts = zip(given.targets.classes, given.targets.counts(rows).tolist(), strict=True)
    most = sorted(((count, name) for name, count in counts if count), key=lambda each: (-each[0], each[1]))
    return f", in the classes {', '.join(f'{name} ({count})' for count, name in most[:5])}" if most else ""


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
