"""Near neighbours among features of a frozen backbone: candidates for copies that equal pixels do not show."""

from __future__ import annotations

import numpy as np

MOST_ROWS = 60_000

_DIMENSIONS = 64
_SAMPLE = 10_000
_BLOCK_BYTES = 64 * 2**20


def frozen_neighbours(
    features: np.ndarray, *, count: int = 2, least_cosine: float = 0.8, most_rows: int = MOST_ROWS, seed: int = 0
) -> np.ndarray:
    """Return pairs (M, 2) of rows of `features` (N, F) float32 that a backbone sees as much alike, lower row first.

    Of every row the `count` nearest later ones are taken, where their cosine, about the mean of all, is at least
    `least_cosine`. They are candidates: a cropped or mirrored copy is among them, and so are look-alikes, which
    `same_picture` and `same_but_cropped` tell apart. The work grows with the square of the rows, so above
    `most_rows` a seeded sample of them is compared.
    """
    rng = np.random.default_rng(seed)
    rows = np.arange(len(features), dtype=np.int64)
    if len(rows) > most_rows:
        rows = np.sort(rng.choice(rows, most_rows, replace=False))
    if len(rows) > 1:
        units, rows = _units(features, rows)
    if len(rows) < 2:
        return np.zeros((0, 2), dtype=np.int64)
    pairs = _nearest_later(_project(units, rng), count)
    near = [_cosines(units, pairs[start : start + 4096]) for start in range(0, len(pairs), 4096)]
    found: np.ndarray = rows[pairs[np.concatenate(near) >= least_cosine]]
    return found


def _units(features: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the features of these rows about their mean, of length 1, and the rows that differ from the mean.

    About the mean, because features behind a ReLU are all positive: any two of them are near by the plain cosine.
    """
    units = np.asarray(features[rows], dtype=np.float32)
    units = units - units.mean(axis=0)
    lengths = np.sqrt((units * units).sum(axis=1))
    kept = np.isfinite(lengths) & (lengths > 1e-6)
    return units[kept] / lengths[kept, None], rows[kept]


def _project(units: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the principal components that matter: rows near each other stay near, at a twentieth of the work."""
    if units.shape[1] <= _DIMENSIONS:
        return units
    sample = units if len(units) <= _SAMPLE else units[rng.choice(len(units), _SAMPLE, replace=False)]
    _, axes = np.linalg.eigh(sample.T @ sample)
    projected: np.ndarray = units @ axes[:, -_DIMENSIONS:]
    return projected


def _nearest_later(points: np.ndarray, count: int) -> np.ndarray:
    """Return pairs of each place and its `count` nearest (by cosine) among the places after it."""
    points = points / np.maximum(np.sqrt((points * points).sum(axis=1, keepdims=True)), 1e-12)
    step = max(_BLOCK_BYTES // (4 * len(points)), 1)
    found = []
    for start in range(0, len(points) - 1, step):
        here = np.arange(start, min(start + step, len(points) - 1))
        cosines = points[here] @ points[start:].T
        cosines[np.tril_indices(len(here), 0, cosines.shape[1])] = -2.0
        for _ in range(count):
            best = cosines.argmax(axis=1)
            some = cosines[np.arange(len(here)), best] > -2.0  # the last rows have few or none after them
            found.append(np.stack([here[some], start + best[some]], axis=1))
            cosines[np.arange(len(here)), best] = -2.0
    return np.concatenate(found)


def _cosines(units: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    cosines: np.ndarray = (units[pairs[:, 0]] * units[pairs[:, 1]]).sum(axis=1)
    return cosines
