"""Which models no other one makes superfluous: the Pareto front of score, latency and size. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_DIGITS = 2
"""Of a latency, in which it is compared: measured again, the same model differs in the third."""


def on_front(worths: Sequence[float], seconds: Sequence[float], sizes: Sequence[int]) -> list[bool]:
    """Say of each model whether no other is at least as good, fast and small, and better in one of these.

    Args:
        worths: greater is better.
        seconds: of predicting a row; 0 where it was not measured, which counts as the slowest.
        sizes: in bytes; 0 where it is not known, which counts as the largest.
    """
    points = np.array(
        [
            (-worth, _rounded(second) or math.inf, size or math.inf)
            for worth, second, size in zip(worths, seconds, sizes, strict=True)
        ]
    ).reshape(-1, 3)
    # In rising order nothing can be made superfluous by what comes after it; so the front alone is looked at.
    distinct, which = np.unique(points, axis=0, return_inverse=True)
    kept = np.empty((0, 3))
    chosen = np.zeros(len(distinct), dtype=bool)
    for place, point in enumerate(distinct):
        if not (kept <= point).all(axis=1).any():
            chosen[place] = True
            kept = np.vstack([kept, point])
    found: list[bool] = chosen[which.ravel()].tolist()
    return found


def _rounded(seconds: float) -> float:
    return float(f"{seconds:.{_DIGITS}g}")
