"""What a trial predicts for the validation rows, and how predictions are compared row by row."""

from __future__ import annotations

import logging
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np

from seedbed.core.errors import DataError
from seedbed.core.protocols import Metric

log = logging.getLogger(__name__)

_ARRAYS = ("rows", "targets", "probabilities")
_SLOW_DRAWS = 200  # for metrics that must be computed anew for every draw
_CHUNK = 4_000_000  # counts held in memory at once: 32 MB


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Class probabilities (N, K) float32 for `rows` (N,) int64, whose true classes are `targets` (N,) int64.

    `rows` are row numbers of the prepared data, each at most once, in any order. Other integer and
    float types are converted.

    Raises:
        DataError: the shapes do not fit together, there are no rows, a row comes twice, a target is no
            column of the probabilities, or a probability is not finite.
    """

    rows: np.ndarray
    targets: np.ndarray
    probabilities: np.ndarray

    def __post_init__(self) -> None:
        for name, kinds, dtype in (
            ("rows", "iu", np.int64),
            ("targets", "iu", np.int64),
            ("probabilities", "f", np.float32),
        ):
            found = np.asarray(getattr(self, name))
            if found.dtype.kind not in kinds:
                raise DataError(f"Predictions: {name} has the type {found.dtype}, but {np.dtype(dtype)} is expected.")
            object.__setattr__(self, name, found.astype(dtype, copy=False))
        self._check_shapes()
        self._check_values()

    def _check_shapes(self) -> None:
        examples = self.rows.size
        fits = (
            examples > 0
            and self.rows.shape == self.targets.shape == (examples,)
            and self.probabilities.ndim == 2
            and self.probabilities.shape[0] == examples
        )
        if not fits:
            raise DataError(
                f"Predictions: rows {self.rows.shape}, targets {self.targets.shape} and probabilities "
                f"{self.probabilities.shape} do not fit; expected (N,), (N,) and (N, K) with N of 1 or more."
            )

    def _check_values(self) -> None:
        if np.unique(self.rows).size != self.rows.size:
            raise DataError("Predictions: a row comes twice; give each row one prediction.")
        if self.targets.min() < 0 or self.targets.max() >= self.classes:
            raise DataError(
                f"Predictions: targets reach from {self.targets.min()} to {self.targets.max()}, "
                f"but there are probabilities for the classes 0 to {self.classes - 1}."
            )
        bad = int(np.count_nonzero(~np.isfinite(self.probabilities).all(axis=1)))
        if bad:
            raise DataError(
                f"Predictions: {bad} of {len(self)} rows hold probabilities that are not finite; "
                "the model that made them has diverged."
            )

    def __len__(self) -> int:
        return self.rows.size

    @property
    def classes(self) -> int:
        """How many classes there are probabilities for: K."""
        return int(self.probabilities.shape[1])

    def save(self, path: Path) -> None:
        """Write an .npz; a reader at any moment sees the old file or the new one, never a half."""
        temporary = path.with_name(f"{path.name}.tmp")
        with temporary.open("wb") as file:
            np.savez(file, rows=self.rows, targets=self.targets, probabilities=self.probabilities)
        temporary.replace(path)


def load_predictions(path: Path) -> Predictions:
    """Read what `Predictions.save` wrote; nothing in the file is executed.

    Raises:
        DataError: there is no such file, or it does not hold predictions.
    """
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = [found[name] for name in _ARRAYS]
    except (OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} holds no predictions ({type(error).__name__}: {error}); train the trial again."
        ) from error
    return Predictions(*arrays)


def align(members: Sequence[Predictions]) -> tuple[Predictions, ...]:
    """Bring all members to the same rows in the same order: those that all of them have.

    Raises:
        DataError: no row is shared by all, or a shared row has different targets.
    """
    if not members:
        return ()
    first = members[0]
    aligned = tuple(members)
    if any(not np.array_equal(first.rows, each.rows) for each in members):
        shared = reduce(np.intersect1d, [each.rows for each in members])
        if not shared.size:
            raise DataError("These trials share no validation row; compare trials of one run and one split.")
        aligned = tuple(_only(each, shared) for each in members)
    if any(not np.array_equal(aligned[0].targets, each.targets) for each in aligned):
        raise DataError("These trials disagree on the targets of their rows; compare trials of one run only.")
    return aligned


def row_scores(members: Sequence[Predictions], metric: Metric) -> np.ndarray | None:
    """Score every row of aligned members, (N, T); None where the metric is no mean over rows."""
    per_row = getattr(metric, "per_row", None)
    if per_row is None:
        return None
    columns = [per_row(each.targets, each.probabilities) for each in members]
    return np.stack(columns, axis=1).astype(np.float64)


def bootstrap(members: Sequence[Predictions], metric: Metric, *, seed: int, draws: int = 1000) -> np.ndarray:
    """Score aligned members on resampled rows: (draws, T), in each draw the same rows for all members.

    A metric without `per_row` is computed anew for each draw and member; it gets 200 draws at most.
    """
    rng = np.random.default_rng(seed)
    table = row_scores(members, metric)
    if table is not None:
        return _resampled_means(table, rng, draws)
    found = np.empty((min(draws, _SLOW_DRAWS), len(members)))
    whole = [float(metric(each.targets, each.probabilities)) for each in members]
    for draw in found:
        chosen = rng.integers(0, len(members[0]), len(members[0]))
        draw[:] = [_resampled(metric, each, chosen) for each in members]
    # A draw may miss a class that the metric cannot do without; it then says nothing about the spread.
    return np.where(np.isfinite(found), found, whole)


def _only(predictions: Predictions, rows: np.ndarray) -> Predictions:
    """Return the predictions of `rows`: sorted, and all present."""
    order = np.argsort(predictions.rows)
    chosen = order[np.searchsorted(predictions.rows, rows, sorter=order)]
    return Predictions(rows, predictions.targets[chosen], predictions.probabilities[chosen])


def _resampled_means(table: np.ndarray, rng: np.random.Generator, draws: int) -> np.ndarray:
    """Means of resampled rows of `table` (N, T): how often each row is drawn, times the table."""
    examples = len(table)
    found = np.empty((draws, table.shape[1]))
    step = max(1, _CHUNK // examples)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        chosen = rng.integers(0, examples, (size, examples))
        chosen += np.arange(size)[:, None] * examples
        counts = np.bincount(chosen.ravel(), minlength=size * examples).reshape(size, examples)
        found[start : start + size] = counts.astype(np.float64) @ table / examples
    return found


def _resampled(metric: Metric, member: Predictions, chosen: np.ndarray) -> float:
    try:
        return float(metric(member.targets[chosen], member.probabilities[chosen]))
    except Exception:  # a plugin's border
        log.debug("The metric failed on resampled rows.", exc_info=True)
        return math.nan
