"""How sure a model may be of what it says, measured on rows whose truth is known; pure, and NumPy alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from seedbed.core.errors import DataError, UsageError
from seedbed.core.training.predictions import THRESHOLD, Predictions, best_temperature, proper_losses, softened

_ENTRIES = 2_000  # of the table; more rows are kept by every so many: their sets are too large by 0.05 points at most
_CELLS = 2_000_000  # outputs by which a temperature is judged; of more, some rows are left out
_BINS = 15  # Guo et al.'s
_LEAST_ROWS = 4  # two for each half
_LEAST_GAIN = 1e-6  # of log loss: less is rounding
_ROUNDING = 1e-9  # 100 * 0.29 is less than 29


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A model's temperature, and how far it was off on the rows that it was judged by.

    The rows are those of the validation part (over folds: all, each predicted by a model that had not seen it),
    and the predictions those that the model was judged by. What it learnt later, in a last lap over all rows, is
    not in them. The rows have also chosen the model among others, and the temperature, at which the table is
    taken: where they are few and the trials many, its sets are a little too small.

    `ece_before` and `ece_after` are expected calibration errors, 0 to 1, the latter with each half of the rows
    at the temperature of the other; None of values. `table` holds order statistics of the rows' nonconformity,
    ascending: 1 - the probability of the true class, or the absolute error of a value. Entry i of m is the one
    of rank ceil((i + 1) * rows / m), so all are there where rows are 2,000 or fewer. It is empty for several
    labels a row.

    Raises:
        DataError: the temperature is not positive, or the table not in order.
    """

    rows: int
    temperature: float = 1.0
    ece_before: float | None = None
    ece_after: float | None = None
    table: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        is_sound = 0 < self.temperature < math.inf and len(self.table) <= self.rows
        if not is_sound or any(low > high for low, high in zip(self.table, self.table[1:], strict=False)):
            raise DataError(
                f"A calibration with the temperature {self.temperature} and {len(self.table)} entries of {self.rows} "
                "rows is damaged; expected are a positive temperature and ascending entries. Save the model again."
            )

    def applied_to(self, predictions: Predictions) -> Predictions:
        """Return predictions at the temperature."""
        outputs = softened(predictions.outputs, self.temperature, predictions.kind)
        return Predictions(predictions.rows, predictions.targets, outputs)

    def threshold(self, level: float) -> float:
        """Return the nonconformity that a new row exceeds with a probability of `level` at most.

        It is the ceil((n + 1)(1 - level))-th smallest of n: then the bound holds for any model and any
        distribution, as long as the new row is exchangeable with the n (Vovk et al. 2005; Lei et al. 2018).

        Raises:
            UsageError: `level` is no share, the rows are too few for it, or the model gives several labels.
        """
        if not 0 < level < 1:
            raise UsageError(f"abstain={level}: give the share of rows that may be wrong, as in 0.05.")
        if not self.table:
            raise UsageError("A model that gives several labels a row cannot abstain; leave abstain out.")
        left_out = math.floor((self.rows + 1) * level + _ROUNDING)
        if not left_out:
            raise UsageError(
                f"abstain={level:g} takes {math.ceil(1 / level - _ROUNDING) - 1:,} rows of validation or more, and "
                f"there were {self.rows:,}: give {_rounded_up(1 / (self.rows + 1))} or more."
            )
        rank = self.rows + 1 - left_out
        return self.table[(rank - 1) * len(self.table) // self.rows]


def _rounded_up(share: float) -> str:
    """Write a small share in two digits that are no less."""
    unit = 10.0 ** (math.floor(math.log10(share)) - 1)
    return f"{math.ceil(share / unit - _ROUNDING) * unit:.2g}"


def calibrate(predictions: Predictions, *, seed: int = 0) -> Calibration:
    """Measure how sure a model may be, on predictions of rows that it has not learnt from.

    The temperature (Guo et al. 2017, ICML) is kept only where it lowers the log loss of rows that it was not
    fitted to: each random half at the temperature of the other. It is 1 where it does not, and of values.
    """
    kind, temperature, before, after = predictions.kind, 1.0, None, None
    if kind != "regression":
        some = slice(None, None, math.ceil(predictions.outputs.size / _CELLS))
        targets, outputs = predictions.targets[some], predictions.outputs[some]
        crossed = _crossed(targets, outputs, seed)
        gain = proper_losses(targets, outputs).mean() - proper_losses(targets, crossed).mean()
        before = after = expected_calibration_error(targets, outputs)
        if gain > _LEAST_GAIN:
            temperature = best_temperature(predictions.targets, predictions.outputs)
            after = expected_calibration_error(targets, crossed)
    table: tuple[float, ...] = ()
    if kind != "multilabel":
        table = _table(nonconformity(predictions.targets, softened(predictions.outputs, temperature, kind)))
    return Calibration(rows=len(predictions), temperature=temperature, ece_before=before, ece_after=after, table=table)


def calibrated(predictions: Predictions) -> Predictions:
    """Return predictions as the bundle would give them, at their own temperature."""
    return calibrate(predictions).applied_to(predictions)


def _crossed(targets: np.ndarray, outputs: np.ndarray, seed: int) -> np.ndarray:
    """Return each half's probabilities at the temperature of the other; as they are, where rows are too few."""
    if len(outputs) < _LEAST_ROWS:
        return outputs
    order = np.random.default_rng(seed).permutation(len(outputs))
    one, other = np.array_split(order, 2)
    found = np.empty_like(outputs)
    for fitted, judged in ((one, other), (other, one)):
        temperature = best_temperature(targets[fitted], outputs[fitted])
        found[judged] = softened(outputs[judged], temperature, "multilabel" if targets.ndim == 2 else "classification")
    return found


def expected_calibration_error(targets: np.ndarray, outputs: np.ndarray) -> float:
    """Return how far answers are from right as often as the model says: 0 to 1, over 15 bins of equal width.

    Of classes the most probable counts (Guo et al. 2017, section 2), of labels each yes or no.
    """
    if targets.ndim == 2:
        sureness = np.maximum(outputs, 1 - outputs).ravel()
        is_right = ((outputs >= THRESHOLD) == (targets > 0)).ravel()
    else:
        sureness, is_right = outputs.max(1), outputs.argmax(1) == targets
    bins = np.minimum((sureness * _BINS).astype(np.int64), _BINS - 1)
    gaps = np.bincount(bins, weights=sureness - is_right.astype(np.float64), minlength=_BINS)
    return float(np.abs(gaps).sum() / len(sureness))


def nonconformity(targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Return how strange each row's truth is to the model, float64 (N,): 1 - its probability, or the absolute error."""
    if outputs.ndim == 1:
        return np.asarray(np.abs(outputs.astype(np.float64) - targets))
    return np.asarray(_doubts(outputs)[np.arange(len(targets)), targets])


def _doubts(outputs: np.ndarray) -> np.ndarray:
    """Return 1 - the probability of each class, float64 (N, K).

    Of the most probable class it is the sum of the others: from 1 - 6e-8 on float32 has no other number but 1,
    and rows that are all as strange as each other would have sets that hold the truth far too often.
    """
    found = outputs.astype(np.float64)
    rows, best = np.arange(len(outputs)), outputs.argmax(1)
    found[rows, best] = 0
    rest = found.sum(1)
    np.subtract(1, found, out=found)
    found[rows, best] = np.minimum(rest, found.min(1))  # next to a tie, rounding must not change the order
    return found


def _table(scores: np.ndarray) -> tuple[float, ...]:
    rows, entries = len(scores), min(len(scores), _ENTRIES)
    ranks = -(-np.arange(1, entries + 1) * rows // entries)
    return tuple(np.sort(scores)[ranks - 1].tolist())


def set_sizes(outputs: np.ndarray, threshold: float) -> np.ndarray:
    """Return how many classes each row's set holds, the most probable ones: int64 (N,), 0 where none is likely enough.

    These are the smallest sets, on average, of all that hold the truth so often (Sadinle, Lei & Wasserman 2019).
    """
    return np.asarray((_doubts(outputs) <= threshold).sum(1))


def prediction_sets(outputs: np.ndarray, classes: tuple[str, ...], threshold: float) -> list[list[str]]:
    """Return the classes among which the truth of each row is, the most probable first.

    Where no class is likely enough, the most probable one is the answer: the truth is only missed less often.
    """
    sizes = np.maximum(set_sizes(outputs, threshold), 1)
    order = np.argsort(-outputs, axis=1, kind="stable")[:, : int(sizes.max(initial=1))]
    return [[classes[each] for each in row[:size]] for row, size in zip(order, sizes, strict=True)]


def intervals(outputs: np.ndarray, threshold: float) -> np.ndarray:
    """Return between which values the truth of each row is: low and high, float64 (N, 2)."""
    return np.asarray(outputs.astype(np.float64)[:, None] + np.array([-threshold, threshold]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What sets came to on rows whose truth is known.

    `coverage` is the share of the rows whose set, or interval, holds the truth; `strict` is the same where an
    empty set stays empty, which is what theory puts at 1 - level; `answered` the share with exactly one class
    in the set (of values, all), and `error` the share of wrong ones among these, None where there is none.
    """

    coverage: float
    strict: float
    answered: float
    error: float | None


def coverage(targets: np.ndarray, outputs: np.ndarray, threshold: float) -> Coverage:
    """Count on rows, targets and outputs as `Predictions` holds them, how often the truth is in the set."""
    within = nonconformity(targets, outputs) <= threshold
    if outputs.ndim == 1:
        share = float(within.mean())
        return Coverage(coverage=share, strict=share, answered=1.0, error=None)
    is_right = outputs.argmax(1) == targets
    is_answered = set_sizes(outputs, threshold) <= 1
    return Coverage(
        coverage=float((within | is_right).mean()),
        strict=float(within.mean()),
        answered=float(is_answered.mean()),
        error=float((~is_right[is_answered]).mean()) if is_answered.any() else None,
    )
