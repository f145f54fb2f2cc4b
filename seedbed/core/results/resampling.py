"""Scores on resampled validation rows, in each draw the same rows for all models, and on the rows left out of it.

A board may have ten thousand models. What is held of each is a column of its rows' scores, or its scores in every draw:
never its predictions.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seedbed.core.protocols import Metric
from seedbed.core.training.predictions import Predictions

log = logging.getLogger(__name__)

_BLOCKS = 20_000
"""Of rows, at most: more are put together at random and drawn block by block, by which a mean scatters no less."""

_CELLS = 16_000_000  # scores of rows, or of blocks, in one table: 128 MB
_WORK = 2_000_000_000  # products of counts and scores for one leaderboard: a second
_FAST_DRAWS = 200  # of which there are no fewer by that

_SLOW_DRAWS = 200  # for metrics that are no means over rows
_FEW_DRAWS = 60  # fewer would make of the 2.5 % quantile the extreme
_FEW_OUTSIDE = 20  # of which only a mean is taken
_SLOW_CELLS = 50_000_000  # outputs that such metrics may look at for one leaderboard: a second, of `_FEW_DRAWS` more
_OUTSIDE_SHARE = 4  # one in so many of them for what was not drawn
_CHUNK = 4_000_000  # counts held in memory at once, as floats: 32 MB


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Scores on the drawn rows, `inside` (B, T), and on those that were not drawn, `outside` (C, T) with C <= B."""

    inside: np.ndarray
    outside: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """What is kept of one model: the sums of its blocks (G,), or else its scores in every draw.

    `is_share` where each of its rows is right or wrong, 1 or 0.
    """

    sums: np.ndarray | None = None
    inside: np.ndarray | None = None
    outside: np.ndarray | None = None
    is_share: bool = False


class Resampler:
    """Takes the models of one board in any order, and scores all of them on the same draws."""

    def __init__(self, metric: Metric, reference: Predictions, models: int, *, seed: int, draws: int) -> None:
        """Lay out the draws for so many models with the rows of `reference`."""
        self._metric = metric
        self._examples = len(reference)
        self._is_mean = getattr(metric, "per_row", None) is not None
        rng = np.random.default_rng(seed)
        if self._is_mean:
            blocks = max(min(self._examples, _BLOCKS, _CELLS // models), 1)
            self._draws = min(draws, max(_WORK // (blocks * models), _FAST_DRAWS))
            self._outside_draws = self._draws
            self._starts = np.arange(blocks) * self._examples // blocks
            self._order = rng.permutation(self._examples) if blocks < self._examples else None
        else:
            cells = reference.outputs.size * models
            self._draws = min(draws, _SLOW_DRAWS, max(_SLOW_CELLS // cells, _FEW_DRAWS))
            self._outside_draws = min(self._draws, max(_SLOW_CELLS // cells // _OUTSIDE_SHARE, _FEW_OUTSIDE))
            self._counts = _draw(rng, self._draws, self._examples)
        self._rng = rng

    def take(self, member: Predictions, score: float) -> Taken:
        """Take in a model; in draws on which its metric says nothing, as where a class is missing, it has its score."""
        if not self._is_mean:
            inside = _scores_of_draws(self._metric, member, self._counts)
            outside = _scores_of_draws(self._metric, member, self._counts[: self._outside_draws] == 0)
            return Taken(
                inside=np.where(np.isfinite(inside), inside, score),
                outside=np.where(np.isfinite(outside), outside, score),
            )
        per_row = getattr(self._metric, "per_row")  # noqa: B009 - an optional part of the protocol
        rows = np.asarray(per_row(member.targets, member.outputs), dtype=np.float64)
        is_share = bool(((rows == 0) | (rows == 1)).all())
        sums = rows if self._order is None else np.add.reduceat(rows[self._order], self._starts)
        return Taken(sums=sums, is_share=is_share)

    def samples(self, taken: Sequence[Taken]) -> Samples:
        """Return the scores of these models, in this order, in every draw."""
        if not self._is_mean:
            return Samples(
                np.stack([each.inside for each in taken if each.inside is not None], axis=1),
                np.stack([each.outside for each in taken if each.outside is not None], axis=1),
            )
        table = np.stack([each.sums for each in taken if each.sums is not None], axis=1)
        sizes = np.diff(self._starts, append=self._examples).astype(np.float64)
        inside, outside = np.empty((self._draws, table.shape[1])), np.empty((self._draws, table.shape[1]))
        step = max(_CHUNK // len(table), 1)
        for start in range(0, self._draws, step):
            counts = _draw(self._rng, min(step, self._draws - start), len(table)).astype(np.float64)
            part = slice(start, start + len(counts))
            inside[part] = counts @ table / (counts @ sizes)[:, None]
            left = (counts == 0).astype(np.float64)
            left[~left.any(axis=1)] = 1.0  # of very few rows all may be drawn
            outside[part] = left @ table / (left @ sizes)[:, None]
        return Samples(inside, outside)


def _draw(rng: np.random.Generator, draws: int, examples: int) -> np.ndarray:
    """Draw so many of so many, with repetition, several times: how often each came, uint8 (B, N)."""
    found = np.empty((draws, examples), dtype=np.uint8)
    step = max(_CHUNK // examples, 1)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        chosen = rng.integers(0, examples, (size, examples))
        chosen += np.arange(size)[:, None] * examples
        counts = np.bincount(chosen.ravel(), minlength=size * examples)
        found[start : start + size] = counts.reshape(size, examples)
    return found


def _scores_of_draws(metric: Metric, member: Predictions, counts: np.ndarray) -> np.ndarray:
    """Return the scores (B,) of a model whose rows come so often (B, N); not a number where the metric fails."""
    weighted = getattr(metric, "weighted", None)
    if weighted is None:
        return np.array([_repeated(metric, member, each) for each in counts])
    step = max(_CHUNK // (4 * len(member)), 1)  # metrics make several arrays of this size
    found = []
    for start in range(0, len(counts), step):
        weights = counts[start : start + step].astype(np.float64)
        try:
            found.append(np.asarray(weighted(member.targets, member.outputs, weights), dtype=np.float64))
        except Exception:  # a plugin's border
            log.debug("The metric failed on weighted rows.", exc_info=True)
            found.append(np.full(len(weights), math.nan))
    return np.concatenate(found)


def _repeated(metric: Metric, member: Predictions, counts: np.ndarray) -> float:
    chosen = np.repeat(np.arange(len(member)), counts)
    try:
        return float(metric(member.targets[chosen], member.outputs[chosen]))
    except Exception:  # a plugin's border
        log.debug("The metric failed on resampled rows.", exc_info=True)
        return math.nan
