"""Greedy ensemble selection: a weighted average of a few trials, kept only where it earns its cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from seedbed.core.errors import UsageError
from seedbed.core.protocols import Metric
from seedbed.core.results.leaderboard import Direction
from seedbed.core.training.predictions import Predictions, align, bootstrap, proper_losses, tempered

_POOL = 25  # only the best are worth averaging, and the time grows with their number
_DOUBT = 0.1  # how often the ensemble may fail to win before the single model is preferred
_LEAST_SHARE = 0.05  # of the proper loss, what an ensemble must take away where the score is tied
_ROUNDING = 1e-6  # differences below come from adding float32 in another order; of errors of values, their share
_CELLS = 2_000_000  # outputs that every step of the search looks at; of more, some rows are left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """Trials with the weights of their outputs (they sum to 1), the heaviest first.

    `score` is that of the average on the validation rows; `gain_low` is the 10 % quantile of the paired
    bootstrap of its gain over the best single trial, 0 for that trial alone.
    """

    trials: tuple[int, ...]
    weights: tuple[float, ...]
    score: float
    gain_low: float


def select_ensemble(
    members: Mapping[int, Predictions],
    metric: Metric,
    direction: Direction,
    *,
    max_members: int = 5,
    rounds: int = 20,
    seed: int = 0,
    single: int | None = None,
    as_used: Callable[[Predictions], Predictions] = lambda found: found,
) -> Ensemble:
    """Choose an ensemble by greedy selection with replacement (Caruana et al. 2004, ICML).

    It starts with the best trial and adds, at most `rounds` times in all, whichever trial lifts the
    average's score most, at equal scores the one that lowers its proper loss most, until nothing does. How
    often a trial was chosen is its weight.

    The result replaces the best trial only if it wins beyond noise, in 90 % of paired bootstrap draws:
    by its score; or, where the score is no worse, by its proper loss (log loss, for values the squared
    error) and by a twentieth of it at least.
    The second way is for small validation parts, where equally good nets with errors of their own tie in
    accuracy (0.993 on 288 rows says nothing about the third digit): their average is the better model,
    and log loss sees it. Classifiers are brought to their best temperature first (Guo et al. 2017), or else a
    weak but sure model would look like help for a good one that label smoothing keeps unsure. The
    twentieth keeps near copies out, whose average is ever so slightly better by Jensen's inequality and
    costs their time at every prediction all the same. And no member may score worse than the best trial
    beyond noise: log loss also rewards what only makes a model's probabilities less extreme.

    Args:
        members: predictions by trial.
        single: the trial to begin with and to beat; by itself the one with the best score.
        as_used: what is done to predictions, an average's too, before they are judged in the end.

    Raises:
        UsageError: there are no members, or `max_members` or `rounds` is below 1.
        DataError: the members share no validation row.
    """
    if not members or max_members < 1 or rounds < 1:
        raise UsageError(
            f"{len(members)} members, max_members={max_members}, rounds={rounds}: an ensemble needs 1 or more of each."
        )
    trials = sorted(members)  # the order of the mapping must not decide between equals
    aligned = align([members[trial] for trial in trials])
    search = _Search(aligned, metric, 1.0 if direction == "max" else -1.0)
    best, chosen = search.run(max_members, rounds, None if single is None else trials.index(single))
    first = as_used(aligned[best])
    score_alone = float(metric(first.targets, first.outputs))
    alone = Ensemble(trials=(trials[best],), weights=(1.0,), score=score_alone, gain_low=0.0)
    if len(set(chosen)) == 1:
        return alone
    found = _weighted(trials, chosen)
    average = as_used(blend(dict(zip(trials, aligned, strict=True)), found))
    score = float(metric(average.targets, average.outputs))
    gain_low = _surely_gained([average, first], metric, search.sign, seed)
    noise = _rounding(first, alone.score)
    # The bootstrap of a biased score (macro F1) may call better what scores worse on the rows themselves.
    wins = gain_low > noise and search.sign * (score - alone.score) > 0
    ties = search.sign * (score - alone.score) >= 0
    if not wins and not (ties and _lowers_loss(average, first, seed)):
        return alone
    if not wins and any(
        _surely_gained([first, as_used(aligned[index])], metric, search.sign, seed) > noise for index in set(chosen)
    ):
        return alone
    return replace(found, score=score, gain_low=gain_low)


def _rounding(predictions: Predictions, score: float) -> float:
    """Return what is no difference in the score: values and their errors have a unit, probabilities none."""
    return _ROUNDING * (abs(score) if predictions.kind == "regression" else 1.0)


def _surely_gained(pair: list[Predictions], metric: Metric, sign: float, seed: int) -> float:
    """Return by how much the first is better than the second in 90 % of the draws, at least."""
    samples = sign * bootstrap(pair, metric, seed=seed)
    return float(np.quantile(samples[:, 0] - samples[:, 1], _DOUBT))


def _lowers_loss(average: Predictions, single: Predictions, seed: int) -> bool:
    average, single = tempered(average), tempered(single)
    before = -_Likelihood()(single.targets, single.outputs)
    after = -_Likelihood()(average.targets, average.outputs)
    if after > (1 - _LEAST_SHARE) * before:
        return False
    return _surely_gained([average, single], _Likelihood(), 1.0, seed) > 0


class _Likelihood:
    """The mean log-likelihood up to a constant (of values, under a normal distribution), to be maximised."""

    def __call__(self, targets: np.ndarray, predictions: np.ndarray) -> float:
        return float(self.per_row(targets, predictions).mean())

    @staticmethod
    def per_row(targets: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        return -proper_losses(targets, predictions)


def blend(members: Mapping[int, Predictions], ensemble: Ensemble) -> Predictions:
    """Return the ensemble's own predictions: the weighted mean of its members' outputs."""
    aligned = align([members[trial] for trial in ensemble.trials])
    total = np.zeros_like(aligned[0].outputs)
    for weight, each in zip(ensemble.weights, aligned, strict=True):
        total += np.float32(weight) * each.outputs
    return Predictions(aligned[0].rows, aligned[0].targets, total)


@dataclass(frozen=True, slots=True)
class _Search:
    """The greedy search over aligned members; scores are signed so that greater is better."""

    members: tuple[Predictions, ...]
    metric: Metric
    sign: float

    def run(self, max_members: int, rounds: int, first: int | None = None) -> tuple[int, list[int]]:
        """Return the index that it began with, the best member's if not told, and those chosen, with repetitions."""
        singles = sorted(
            range(len(self.members)),
            key=lambda index: (*self._worth(self.members[index].outputs, slice(None)), -index),
            reverse=True,
        )
        if first is not None:
            singles.remove(first)
            singles.insert(0, first)
        pool = singles[:_POOL]
        chosen = [singles[0]]
        some = slice(None, None, math.ceil(self.members[0].outputs.size / _CELLS))
        outputs = [each.outputs[some] for each in self.members]
        total = outputs[singles[0]].copy()
        worth = self._worth(total, some)
        noise = _rounding(self.members[0], worth[0])
        while len(chosen) < rounds:
            open_to = pool if len(set(chosen)) < max_members else sorted(set(chosen))
            scale = np.float32(1 / (len(chosen) + 1))
            worths = [self._worth((total + outputs[each]) * scale, some) for each in open_to]
            found = max(range(len(open_to)), key=worths.__getitem__)
            if not _is_better(worths[found], worth, noise):
                break
            worth = worths[found]
            chosen.append(open_to[found])
            total += outputs[open_to[found]]
        return singles[0], chosen

    def _worth(self, outputs: np.ndarray, rows: slice) -> tuple[float, float]:
        targets = self.members[0].targets[rows]
        return self.sign * float(self.metric(targets, outputs)), _Likelihood()(targets, outputs)


def _is_better(worth: tuple[float, float], than: tuple[float, float], noise: float) -> bool:
    """Whether the score is higher, or the score equal and the likelihood higher."""
    gain, likelihood_gain = worth[0] - than[0], worth[1] - than[1]
    return gain > noise or (gain >= -noise and likelihood_gain > _ROUNDING)


def _weighted(trials: list[int], chosen: list[int]) -> Ensemble:
    """Return how often each was chosen as weights; score and gain are not known yet."""
    counts = {index: chosen.count(index) for index in sorted(set(chosen))}
    order = sorted(counts, key=lambda index: (-counts[index], index))
    return Ensemble(
        trials=tuple(trials[index] for index in order),
        weights=tuple(counts[index] / len(chosen) for index in order),
        score=math.nan,
        gain_low=math.nan,
    )
