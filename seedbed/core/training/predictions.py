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
from seedbed.core.task import TaskKind

log = logging.getLogger(__name__)

THRESHOLD = 0.5
"""From which probability on a label of several is given."""

FLOOR = 1e-10
"""The least probability that is brought to a temperature: at 2, a hundred times float32's eps would become 3 %."""

_BELOW_THRESHOLD = np.nextafter(np.float32(THRESHOLD), np.float32(0))
_ARRAYS = ("rows", "targets", "outputs")
_SLOW_DRAWS = 200  # for metrics that are no means over rows
_FEW_DRAWS = 60  # fewer would make of the 2.5 % quantile the extreme
_CELLS = 150_000_000  # outputs that such metrics may look at for one leaderboard: a few seconds
_CHUNK = 4_000_000  # counts held in memory at once: 32 MB
_TINY = float(np.finfo(np.float32).eps)
_TEMPERATURES = (0.2, 5.0)  # what is looked through: rows that are few and all right would make any model certain
_HALVINGS = 12  # of that range: a temperature to three digits
_TEMPERED_CELLS = 2_000_000  # outputs by which a temperature is chosen; of more, some rows are left out

_TARGETS: dict[TaskKind, tuple[str, type[np.generic], str]] = {
    "classification": ("iu", np.int64, "(N,), (N,) and (N, K)"),
    "multilabel": ("biu", np.uint8, "(N,), (N, K) and (N, K)"),
    "regression": ("f", np.float64, "(N,), (N,) and (N,)"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a model gives for `rows` int64 (N,), next to the truth: the very arrays that metrics take.

    | kind | `targets` | `outputs`, float32 |
    | --- | --- | --- |
    | classification | class indices int64 (N,) | probabilities (N, K) |
    | multilabel | 0 and 1, uint8 (N, K) | probabilities (N, K), each label's own |
    | regression | values float64 (N,) | values (N,) |

    `rows` are row numbers of the prepared data, each at most once, in any order. The targets say which kind
    it is: a matrix is multi-label, floats are regression. Other widths of the types are converted.

    Raises:
        DataError: the shapes do not fit together, there are no rows, a row comes twice, a target is no
            class that there are outputs for, or a number is not finite.
    """

    rows: np.ndarray
    targets: np.ndarray
    outputs: np.ndarray

    def __post_init__(self) -> None:
        found = np.asarray(self.targets)
        object.__setattr__(self, "targets", found)
        kinds, dtype, _ = _TARGETS[self.kind]
        self._convert("rows", "iu", np.int64)
        self._convert("outputs", "f", np.float32)
        self._check_type("targets", found, kinds, dtype)
        self._check_shapes()
        self._check_values()
        object.__setattr__(self, "targets", found.astype(dtype, copy=False))  # now that nothing is cut off

    def _convert(self, name: str, kinds: str, dtype: type[np.generic]) -> None:
        found = np.asarray(getattr(self, name))
        self._check_type(name, found, kinds, dtype)
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused later
            object.__setattr__(self, name, found.astype(dtype, copy=False))

    @staticmethod
    def _check_type(name: str, found: np.ndarray, kinds: str, dtype: type[np.generic]) -> None:
        if found.dtype.kind not in kinds:
            raise DataError(f"Predictions: {name} has the type {found.dtype}, but {np.dtype(dtype)} is expected.")

    def _check_shapes(self) -> None:
        shape = (self.rows.size,)
        of_targets = self.outputs.shape if self.kind == "multilabel" else shape
        fits = (
            self.rows.size > 0
            and self.rows.shape == self.outputs.shape[:1] == shape
            and self.targets.shape == of_targets
            and self.outputs.ndim == (1 if self.kind == "regression" else 2)
        )
        if not fits:
            raise DataError(
                f"Predictions: rows {self.rows.shape}, targets {self.targets.shape} and outputs {self.outputs.shape} "
                f"do not fit; {self.kind} expects {_TARGETS[self.kind][2]} with N of 1 or more."
            )

    def _check_values(self) -> None:
        if np.unique(self.rows).size != self.rows.size:
            raise DataError("Predictions: a row comes twice; give each row one prediction.")
        if self.kind == "classification" and (self.targets.min() < 0 or self.targets.max() >= self.classes):
            raise DataError(
                f"Predictions: targets reach from {self.targets.min()} to {self.targets.max()}, "
                f"but there are outputs for the classes 0 to {self.classes - 1}."
            )
        if self.kind == "multilabel" and not ((self.targets == 0) | (self.targets == 1)).all():
            raise DataError("Predictions: multi-label targets must be 0 or 1, one for each row and label.")
        if self.kind == "regression" and not np.isfinite(self.targets).all():
            raise DataError("Predictions: some targets are not finite; leave rows without a target out.")
        bad = int(np.count_nonzero(~np.isfinite(self.outputs).reshape(len(self), -1).all(axis=1)))
        if bad:
            raise DataError(
                f"Predictions: {bad} of {len(self)} rows hold outputs that are not finite; "
                "the model that made them has diverged."
            )

    @property
    def kind(self) -> TaskKind:
        """The kind of task, as the targets show it."""
        if self.targets.ndim == 2:
            return "multilabel"
        return "regression" if self.targets.dtype.kind == "f" else "classification"

    def __len__(self) -> int:
        return self.rows.size

    @property
    def classes(self) -> int:
        """How many classes or labels there are outputs for: K; 0 where values are predicted."""
        return int(self.outputs.shape[1]) if self.outputs.ndim == 2 else 0

    def save(self, path: Path) -> None:
        """Write an .npz; a reader at any moment sees the old file or the new one, never a half."""
        temporary = path.with_name(f"{path.name}.tmp")
        with temporary.open("wb") as file:
            np.savez(file, rows=self.rows, targets=self.targets, outputs=self.outputs)
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
    columns = [per_row(each.targets, each.outputs) for each in members]
    return np.stack(columns, axis=1).astype(np.float64)


def bootstrap(members: Sequence[Predictions], metric: Metric, *, seed: int, draws: int = 1000) -> np.ndarray:
    """Score aligned members on resampled rows: (draws, T), in each draw the same rows for all members.

    A metric without `per_row` gets 200 draws at most, and where outputs are very many 60; one without
    `weighted` too is computed anew for each draw and member.
    """
    rng = np.random.default_rng(seed)
    table = row_scores(members, metric)
    if table is not None:
        return _resampled_means(table, rng, draws)
    cells = sum(each.outputs.size for each in members)
    draws = min(draws, _SLOW_DRAWS, max(_CELLS // cells, _FEW_DRAWS))
    found = np.empty((draws, len(members)))
    examples = len(members[0])
    step = max(1, _CHUNK // (4 * examples))  # metrics make several arrays of this size
    for start in range(0, draws, step):
        chosen = rng.integers(0, examples, (min(step, draws - start), examples))
        found[start : start + step] = np.stack([_scores_of_draws(metric, each, chosen) for each in members], axis=1)
    # A draw may miss a class that the metric cannot do without; it then says nothing about the spread.
    if np.isfinite(found).all():
        return found
    whole = [float(metric(each.targets, each.outputs)) for each in members]
    return np.where(np.isfinite(found), found, whole)


def _only(predictions: Predictions, rows: np.ndarray) -> Predictions:
    """Return the predictions of `rows`: sorted, and all present."""
    order = np.argsort(predictions.rows)
    chosen = order[np.searchsorted(predictions.rows, rows, sorter=order)]
    return Predictions(rows, predictions.targets[chosen], predictions.outputs[chosen])


def _resampled_means(table: np.ndarray, rng: np.random.Generator, draws: int) -> np.ndarray:
    """Means of resampled rows of `table` (N, T): how often each row is drawn, times the table."""
    examples = len(table)
    found = np.empty((draws, table.shape[1]))
    step = max(1, _CHUNK // examples)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        counts = _counts(rng.integers(0, examples, (size, examples)))
        found[start : start + size] = counts @ table / examples
    return found


def _counts(chosen: np.ndarray) -> np.ndarray:
    """How often each of N rows comes among the chosen ones of each draw: float64 (D, N); changes `chosen`."""
    draws, examples = chosen.shape
    chosen += np.arange(draws)[:, None] * examples
    return np.bincount(chosen.ravel(), minlength=draws * examples).reshape(draws, examples).astype(np.float64)


def _scores_of_draws(metric: Metric, member: Predictions, chosen: np.ndarray) -> np.ndarray:
    """Scores (D,) of one member on the rows `chosen` (D, N); not a number where the metric fails."""
    weighted = getattr(metric, "weighted", None)
    if weighted is None:
        return np.array([_resampled(metric, member, each) for each in chosen])
    try:
        return np.asarray(weighted(member.targets, member.outputs, _counts(chosen.copy())), dtype=np.float64)
    except Exception:  # a plugin's border
        log.debug("The metric failed on weighted rows.", exc_info=True)
        return np.full(len(chosen), math.nan)


def _resampled(metric: Metric, member: Predictions, chosen: np.ndarray) -> float:
    try:
        return float(metric(member.targets[chosen], member.outputs[chosen]))
    except Exception:  # a plugin's border
        log.debug("The metric failed on resampled rows.", exc_info=True)
        return math.nan


def answers(outputs: np.ndarray, kind: TaskKind) -> np.ndarray:
    """What a model says: the most probable class int64 (N,), each label 0 or 1 uint8 (N, K), or the values (N,).

    A label is given from one half on, where it is at least as likely as not.
    """
    if kind == "classification":
        return np.asarray(outputs.argmax(axis=1))
    return (outputs >= THRESHOLD).astype(np.uint8) if kind == "multilabel" else outputs


def proper_losses(targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Losses of the rows (N,) that only the truth makes least: they tell models apart long after accuracy cannot.

    Classification: negative log probability of the class; multi-label: the mean of the labels'; regression:
    squared error in units of the targets' variance, so that thresholds mean the same for every unit.
    """
    if targets.ndim == 2:
        given = np.where(targets > 0, outputs, 1 - outputs)
        return np.asarray(-np.log(np.maximum(given, _TINY), dtype=np.float64).mean(axis=1))
    if outputs.ndim == 2:
        given = outputs[np.arange(len(targets)), targets]
        return np.asarray(-np.log(np.maximum(given, _TINY), dtype=np.float64))
    squares = np.square(outputs.astype(np.float64) - targets)
    return np.asarray(squares / (float(np.var(targets)) or 1.0))


def tempered(predictions: Predictions) -> Predictions:
    """Return class probabilities at the temperature that makes their own targets likeliest; others as they are.

    So models are compared by what they know, not by how sure they are of it (Guo et al. 2017, ICML).
    """
    if predictions.kind != "classification":
        return predictions
    best = best_temperature(predictions.targets, predictions.outputs)
    outputs = softened(predictions.outputs, best, predictions.kind)
    return Predictions(predictions.rows, predictions.targets, outputs)


def best_temperature(targets: np.ndarray, outputs: np.ndarray) -> float:
    """Return the temperature, 0.2 to 5, at which probabilities (N, K) make their targets likeliest.

    Each of several labels counts as a choice between two. To the rows one is added that may be of any class
    (after Platt 1999, section 2.2), or else 50 rows that are all told right would make any model certain.

    The likelihood is concave in 1 / temperature (Guo et al. 2017), so its slope is halved down to zero; scipy
    would do the same, at the price of an import of half a second in the process that ends a run on time.
    """
    if targets.ndim == 2:
        outputs, targets = np.stack([1 - outputs, outputs], -1).reshape(-1, 2), targets.ravel().astype(np.int64)
    some = slice(None, None, math.ceil(outputs.size / _TEMPERED_CELLS))
    outputs, targets = outputs[some], targets[some]
    logits = np.log(np.maximum(outputs, FLOOR))
    logits -= logits.max(1, keepdims=True)
    rows = len(targets)
    of_targets = float(logits[np.arange(rows), targets].mean(dtype=np.float64))
    wanted = (rows * of_targets + float(logits.mean(dtype=np.float64))) / (rows + 1)
    low, high = (math.log(each) for each in _TEMPERATURES)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        weights = np.exp(logits * math.exp(-middle))
        expected = float(((weights * logits).sum(1) / weights.sum(1)).mean(dtype=np.float64))
        low, high = (middle, high) if expected > wanted else (low, middle)  # too sure: the temperature is to rise
    return math.exp((low + high) / 2)


def softened(outputs: np.ndarray, temperature: float, kind: TaskKind) -> np.ndarray:
    """Return probabilities float32 (N, K) at a temperature; what is most probable, or given as a label, stays so."""
    if kind == "regression" or temperature == 1.0:
        return outputs
    logits = np.log(np.maximum(outputs, FLOOR))
    if kind == "multilabel":
        logits -= np.log(np.maximum(1 - outputs, FLOOR))
        with np.errstate(over="ignore"):  # then the probability is 0
            found = 1 / (1 + np.exp(-logits / temperature))
        return np.asarray(np.where(outputs < THRESHOLD, np.minimum(found, _BELOW_THRESHOLD), found))
    scaled = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
    found = scaled / scaled.sum(1, keepdims=True)
    best = outputs.argmax(1)
    moved = np.flatnonzero(found.argmax(1) != best)  # where rounding has made the two most probable equal
    found[moved, best[moved]] = np.nextafter(found[moved, best[moved]], np.float32(1))
    return np.asarray(found)
