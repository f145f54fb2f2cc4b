"""What more labels are expected to bring, and of which class they are worth most. Pure.

The error of a class is taken to fall with its labels n as c + a n^-b. The prior of b is what Hestness et al. 2017
("Deep Learning Scaling is Predictable, Empirically") found for nets, 0.07 to 0.35 where a law holds, and wider (Viering
& Loog 2022 list exceptions); trials on shares of the rows correct it, and, where classes are many, how recall goes with
the number of labels across them.

What it cannot know: whether new rows would be like the old ones, whether labels are wrong or classes overlap by nature,
and what other classes lose where one is given more rows. Each class is looked at alone, the others as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from seedbed.core.errors import DataError
from seedbed.core.protocols import Metric
from seedbed.core.results.leaderboard import Direction
from seedbed.core.results.power_laws import ErrorScale, PowerLaws, Unknown, falls_of_all, remaining
from seedbed.core.search.history import History
from seedbed.core.training.predictions import Predictions, answers

_DRAWS = 2000
_BAND = (0.1, 0.9)
_PRIOR_ROWS = 2.0
"""What is known of a class before its rows are looked at, in rows: that its error is about that of all."""
_MANY_CLASSES, _UNLIKE_COUNTS = 8, 4.0  # from which recall may be held against the number of labels
_BETWEEN_CLASSES = 0.3  # how far the slope across classes may lie from that within them: by judgement
_SCATTER = 0.1  # of the logarithm of a score's error beyond what the number of rows explains: by judgement
_MOST_CURVES = 4  # count in full: trials on the same rows err together
_CELLS = 30_000_000  # outputs that a metric may look at: tenths of a second, at the end of a run with a time limit
_FEWEST_CLASSES = 5  # looked at, whatever that takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A mean and an 80 % band."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassForecast:
    """What twice the `labels` that a class has in training are expected to bring.

    `recall` is what `support` validation rows say now, `change` how much more is expected of it, `gain` how much
    better the metric becomes, in its own unit and never below 0, and `gain_per_label` that for each new label.
    """

    name: str
    labels: int
    support: int
    recall: float
    change: Expected
    gain: Expected
    gain_per_label: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelForecast:
    """What twice the labels of all classes would make of the score, and each class alone, the most worthwhile first.

    Classes without a validation row or a label are left out, as are, of very many, those with the fewest errors; for
    tasks other than classification there are none. `evidence` says what it was learnt from beside what is usual.
    """

    doubled: Expected
    classes: tuple[ClassForecast, ...] = ()
    evidence: tuple[str, ...] = ()


def forecast_labels(
    history: History, predictions: Predictions, metric: Metric, direction: Direction, *, rng: np.random.Generator
) -> LabelForecast | Unknown:
    """Return what more labels are expected to bring, from what a model says of the validation rows.

    Raises:
        DataError: the run has read no data, or the predictions are of another task.
    """
    profile = history.profile
    if profile is None or profile.task.kind != predictions.kind or len(profile.task.classes) != predictions.classes:
        raise DataError("These are no predictions of this run's validation rows; rank the run again.")
    score = float(metric(predictions.targets, predictions.outputs))
    if not np.isfinite(score):
        return Unknown("the metric has no value for what was kept")
    evidence: list[str] = []
    laws = PowerLaws.prior()
    if (logs := _subset_logs(history, direction, len(predictions))) is not None:
        laws = laws.seen(logs)
        evidence.append("trials on shares of the rows")
    classes: list[ClassForecast] = []
    scale = ErrorScale.of(direction, [score])
    doubled = scale.score(scale.error(np.array(score)) * remaining(laws, 2.0, rng, _DRAWS))
    if predictions.kind == "classification" and len(profile.class_counts) == predictions.classes:
        seen = _Seen.of(predictions, np.asarray(profile.class_counts, dtype=np.float64))
        if (logs := seen.logs_across()) is not None:
            laws = laws.seen(logs)  # of single classes: with all of them doubled, rare ones stay rare
            evidence.append("recall against labels across the classes")
        judge = _Judge(metric, 1.0 if direction == "max" else -1.0, score, predictions)
        found = [_class(seen, judge, laws, code, profile.task.classes[code], rng) for code in seen.looked_at()]
        classes = sorted(found, key=lambda each: (-each.gain_per_label, each.name))
    return LabelForecast(doubled=_expected(doubled), classes=tuple(classes), evidence=tuple(evidence))


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What was seen of each class (K,): its labels in training, its validation rows and those that were told wrong."""

    counts: np.ndarray
    support: np.ndarray
    wrong: np.ndarray

    @classmethod
    def of(cls, predictions: Predictions, counts: np.ndarray) -> _Seen:
        """Count what the predictions show."""
        is_wrong = answers(predictions.outputs, "classification") != predictions.targets
        support = np.bincount(predictions.targets, minlength=len(counts))
        return cls(counts, support, np.bincount(predictions.targets[is_wrong], minlength=len(counts)))

    def looked_at(self) -> list[int]:
        """Return the classes that something can be said of; of very many those with the most errors."""
        usable = np.flatnonzero((self.support > 0) & (self.counts > 0))
        most = max(_CELLS // (int(self.support.sum()) * len(self.counts)), _FEWEST_CLASSES)
        order = np.argsort(-self.wrong[usable], kind="stable")
        return [int(code) for code in usable[order][:most]]

    def error_rates(self, code: int, rng: np.random.Generator) -> np.ndarray:
        """Draw the error of a class from what its rows and, for want of them, those of all classes say."""
        overall = (self.wrong.sum() + 0.5) / (self.support.sum() + 1.0)
        wrong, right = self.wrong[code], self.support[code] - self.wrong[code]
        return rng.beta(wrong + _PRIOR_ROWS * overall, right + _PRIOR_ROWS * (1.0 - overall), _DRAWS)

    def logs_across(self) -> np.ndarray | None:
        """Return how likely every law makes the slope of log error against log labels across the classes.

        Classes differ by more than their labels, in what they are, and rare ones are told too seldom: it is weak
        evidence. None where classes are few, or have about as many labels each.
        """
        used = (self.counts > 0) & (self.support > 0)
        counts = self.counts[used]
        if used.sum() < _MANY_CLASSES or counts.max() < _UNLIKE_COUNTS * counts.min():
            return None
        rates = (self.wrong[used] + 0.5) / (self.support[used] + 1.0)
        x, y = np.log(counts), np.log(rates)
        weights = 1.0 / ((1.0 - rates) / (rates * (self.support[used] + 1.0)) + _about_the_line(x, y))
        x = x - np.average(x, weights=weights)
        precision = float((weights * x**2).sum())
        slope = -float((weights * x * y).sum()) / precision
        variance = 1.0 / precision + _BETWEEN_CLASSES**2
        local = falls_of_all(1.0, 2.0) / np.log(2.0)
        return np.asarray(-0.5 * (local - slope) ** 2 / variance)


def _about_the_line(x: np.ndarray, y: np.ndarray) -> float:
    """Return the variance of y (K,) about its line against x: chance and what the classes are, taken together."""
    slope, level = np.polyfit(x, y, 1)
    return float(np.square(y - slope * x - level).sum() / (len(x) - 2))


class _Judge:
    """Says what single rows are worth by the metric; `sign` is 1 where more is better, else -1."""

    def __init__(self, metric: Metric, sign: float, score: float, predictions: Predictions) -> None:
        self._metric, self._sign, self._score, self._predictions = metric, sign, score, predictions
        self._outputs = predictions.outputs.copy()  # changed row by row, and back

    def worth_of_a_row(self, code: int) -> float:
        """Return what the metric gains where one more row of a class is told right: the mean of those told wrong.

        A row is put right, or wrong where none is, by exchanging the probability of its class with the highest other.
        """
        targets, outputs = self._predictions.targets, self._outputs
        own = np.flatnonzero(targets == code)
        rows = own[answers(outputs[own], "classification") != code]
        is_repair = rows.size > 0
        if not is_repair:
            rows = own[[int(outputs[own, code].argmin())]]
        kept = outputs[rows]
        others = kept.copy()
        others[:, code] = -1.0
        rivals = others.argmax(axis=1)
        outputs[rows, code], outputs[rows, rivals] = kept[np.arange(len(rows)), rivals], kept[:, code]
        changed = self._sign * (float(self._metric(targets, outputs)) - self._score)
        outputs[rows] = kept
        worth = (changed if is_repair else -changed) / len(rows)
        return max(worth, 0.0) if np.isfinite(worth) else 0.0


def _class(
    seen: _Seen, judge: _Judge, laws: PowerLaws, code: int, name: str, rng: np.random.Generator
) -> ClassForecast:
    support, labels = int(seen.support[code]), int(seen.counts[code])
    changes = seen.error_rates(code, rng) * (1.0 - remaining(laws, 2.0, rng, _DRAWS))
    gain = _expected(judge.worth_of_a_row(code) * support * changes)
    return ClassForecast(
        name=name,
        labels=labels,
        support=support,
        recall=1.0 - int(seen.wrong[code]) / support,
        change=_expected(changes),
        gain=gain,
        gain_per_label=gain.mean / labels,
    )


def _subset_logs(history: History, direction: Direction, examples: int) -> np.ndarray | None:
    """Return how likely every law makes the scores of candidates that were trained on several shares of the rows.

    Only trials of the same passes over the rows are held against each other. None where there are no two such.
    """
    curves: dict[object, dict[float, float]] = {}
    for trial in history:
        if trial.result is None or trial.fidelity.epochs is None:
            continue
        point = frozenset(trial.candidate.values.items())
        alike = (point, trial.fidelity.epochs, trial.fidelity.resolution)
        curves.setdefault(alike, {})[trial.fidelity.subset] = trial.result.score
    several = [curve for curve in curves.values() if len(curve) > 1]
    if not several:
        return None
    total, count = np.zeros_like(PowerLaws.prior().logs), 0
    for curve in several:
        scale = ErrorScale.of(direction, list(curve.values()))
        for (less, before), (more, after) in pairwise(sorted(curve.items())):
            errors = np.maximum(scale.error(np.array([before, after])), 0.5 / examples)
            shares = np.clip(errors, 0.0, 1.0)
            variance = float(((1.0 - shares) / (shares * examples)).sum()) + 2 * _SCATTER**2
            total -= 0.5 * (falls_of_all(less, more) - np.log(errors[0] / errors[1])) ** 2 / variance
        count += 1
    return total * min(count, _MOST_CURVES) / count


def _expected(values: np.ndarray) -> Expected:
    mean = float(values.mean())
    low, high = np.quantile(values, _BAND).tolist()
    return Expected(mean=mean, low=min(low, mean), high=max(high, mean))
