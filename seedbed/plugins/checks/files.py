"""Checks of the image files: how they are turned, how large and of which shape they are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from seedbed import Finding, NoOptions
from seedbed.core.data.columns import row_names
from seedbed.core.data.prepared import PreparedImages
from seedbed.core.data.profile import MOST_NAMED
from seedbed.core.protocols import Check, CheckInput

OVERSIZED_PIXELS = 24_000_000  # beyond what cameras of phones give by default; each takes 0.3 s or more to decode
_LONG = 4.0  # sides that differ by more are squashed beyond what random resized crops do


def rotated_images(options: NoOptions) -> Check:
    """Build the check."""
    return _find_rotated


def oversized_images(options: NoOptions) -> Check:
    """Build the check."""
    return _find_oversized


def odd_shapes(options: NoOptions) -> Check:
    """Build the check."""
    return _find_odd_shapes


def _find_rotated(given: CheckInput) -> Iterator[Finding]:
    originals = _originals(given)
    turned = np.flatnonzero(originals[:, 2] > 1)
    if len(turned):
        yield _finding(
            given,
            turned,
            check="rotated_images",
            severity="info",
            evidence=f"{_some(len(turned), 'image')} stored turned or mirrored, as the EXIF data say: {{}}.",
            remedy="Look at a few: where a camera was wrong about the way up, rotate the file itself.",
            repair="done: turn them as image viewers do",
        )


def _find_oversized(given: CheckInput) -> Iterator[Finding]:
    originals = _originals(given)
    pixels = originals[:, 0].astype(np.int64) * originals[:, 1]
    large = np.flatnonzero(pixels > OVERSIZED_PIXELS)
    if len(large):
        widest = originals[large[pixels[large].argmax()]]
        yield _finding(
            given,
            large,
            check="oversized_images",
            severity="info",
            evidence=f"{_some(len(large), 'image')} of more than {OVERSIZED_PIXELS // 10**6} million pixels, "
            f"the largest {widest[0]:,} by {widest[1]:,}: {{}}.",
            remedy="They are made smaller as they are read; smaller files would be read in a fraction of the time.",
        )


def _find_odd_shapes(given: CheckInput) -> Iterator[Finding]:
    originals = _originals(given)
    sides = np.sort(originals[:, :2], axis=1).astype(np.float64)
    long = np.flatnonzero((sides[:, 0] > 0) & (sides[:, 1] > _LONG * sides[:, 0]))
    if len(long):
        yield _finding(
            given,
            long,
            check="odd_shapes",
            severity="warning" if len(long) > 0.1 * len(sides) else "info",
            evidence=f"{_some(len(long), 'image')} more than {_LONG:g} times as long as wide: {{}}.",
            remedy="They are squashed into the common size; crop or cut them up if that hides what matters.",
        )


def _originals(given: CheckInput) -> np.ndarray:
    if not isinstance(given.prepared, PreparedImages):
        return np.zeros((0, 3), dtype=np.int32)
    return given.prepared.originals()


def _finding(given: CheckInput, rows: np.ndarray, **facts: str) -> Finding:
    """Return a finding about rows; `{}` in its evidence stands for the first few names."""
    names = row_names(given.dataset, rows[:MOST_NAMED])
    listed = ", ".join(names[:5]) + (" …" if len(rows) > 5 else "")
    evidence = facts.pop("evidence").replace("{}", listed)
    return Finding(evidence=evidence, rows=names, count=len(rows), **facts)  # type: ignore[arg-type] # a Severity


def _some(count: int, noun: str) -> str:
    return f"{count:,} {noun} is" if count == 1 else f"{count:,} {noun}s are"
