"""Prepared data written by hand; the one place in the tests that knows the form of its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seedbed.core.data.prepared import PreparedSeries


def prepared_series(
    folder: Path, rows: Sequence[np.ndarray], unreadable: Sequence[tuple[int, str]] = ()
) -> PreparedSeries:
    """Write series, arrays (T, C) or (T,), and return them as prepared ones."""
    steps = [np.asarray(each, dtype=np.float32) for each in rows]
    width = next((each.shape[1] for each in steps if each.ndim == 2), 1)
    np.save(folder / "values.npy", np.concatenate([each.reshape(len(each), width) for each in steps]))
    np.save(folder / "offsets.npy", np.cumsum([0, *map(len, steps)]))
    return PreparedSeries(
        folder=folder, rows=len(steps), fingerprint="made", channels=width, unreadable=tuple(unreadable)
    )
