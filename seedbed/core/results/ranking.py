"""From a run's history and its files to the leaderboard, and to the trials worth keeping."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import cast

from seedbed.core.data.profile import Profile
from seedbed.core.errors import DataError
from seedbed.core.protocols import Lookup, Metric
from seedbed.core.results.calibration import calibrated
from seedbed.core.results.ensemble import Ensemble, blend, select_ensemble
from seedbed.core.results.entries import baseline_entry, entries_from
from seedbed.core.results.leaderboard import NO_TRIAL, Entry, Leaderboard, Row
from seedbed.core.results.ordering import rank
from seedbed.core.runfolder import RunFolder
from seedbed.core.search.history import History
from seedbed.core.specs import MetricSpec
from seedbed.core.training.member import CHECKPOINT, PREDICTIONS
from seedbed.core.training.predictions import Predictions, load_predictions, softened

_AVERAGED = 100
"""Of the candidates, the best of which an average may be made: the predictions of all would not fit into memory."""

_SIZES = (5, 3, 2)
"""Most members of an average, in the order in which to try where a larger one would take too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The board, and what it makes sense to put into the bundle (None where no trial has a result).

    `predictions` are the winner's own, of the rows that trials are judged on.
    """

    board: Leaderboard
    winner: Ensemble | None
    predictions: Predictions | None = None

    @property
    def latency(self) -> float:
        """The seconds that predicting a single row takes the winner, 19 times of 20; infinity where nobody knows."""
        trials = () if self.winner is None else self.winner.trials
        return sum(_latency(row) for row in self.board.rows if row.trial in trials)


def rank_run(
    history: History,
    profile: Profile,
    folder: RunFolder,
    lookup: Lookup,
    *,
    seed: int,
    seconds_left: float | None,
    max_latency: float | None = None,
) -> Ranking:
    """Rank all trials by their stored validation predictions, next to what knows nothing but the training targets.

    Of equals the one with the smaller checkpoint comes first: unlike measured times, its bytes are the same again.
    Where the metric sees how sure a model is (log loss), each is judged as it would be used: at its temperature.

    Args:
        seconds_left: what scoring the winner on the test part may take; an ensemble that would take
            longer is not considered. None: no limit.
        max_latency: the seconds that predicting a single row may take, 19 times of 20: what is slower stays on the
            board and is not kept, nor what was not measured (a trial that was cut short), unless nothing is as fast;
            then the fastest is. None: no limit.
    """
    spec = cast(MetricSpec, lookup.get("metric", profile.task.metric))
    metric = cast(Metric, lookup.load(spec)(spec.options()))

    def load(trial: int) -> Predictions:
        return load_predictions(folder.trial(trial) / PREDICTIONS)

    def size(trial: int) -> int:
        try:
            return (folder.trial(trial) / CHECKPOINT).stat().st_size
        except OSError:  # it was moved away; its predictions rank it all the same
            return 0

    entries = entries_from(history, load, size)
    first, as_used = _first_readable(entries), _as_it_is
    if first is not None:
        as_used = calibrated if _sees_temperatures(metric, first) else _as_it_is
        entries = entries_from(history, lambda trial: as_used(load(trial)), size)
        entries = (*entries, baseline_entry(first, profile))
    board = rank(entries, metric, spec.direction, name=spec.name, seed=seed)
    best = _best_in_time(board, max_latency)
    members = {row.trial: load(row.trial) for row in _kept_for_averages(board, best, max_latency)}
    limits = _Limits(seconds_left=seconds_left, max_latency=max_latency)
    select = partial(select_ensemble, members, metric, spec.direction, seed=seed, as_used=as_used)
    winner = _winner(best, select, history, profile, limits)
    return Ranking(board=board, winner=winner, predictions=None if winner is None else blend(members, winner))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    seconds_left: float | None
    max_latency: float | None


def _as_it_is(predictions: Predictions) -> Predictions:
    return predictions


def _sees_temperatures(metric: Metric, predictions: Predictions) -> bool:
    """Whether a metric changes where a model is half as sure, as log loss does and accuracy does not."""
    halved = softened(predictions.outputs, 2.0, predictions.kind)
    try:
        scores = [metric(predictions.targets, outputs) for outputs in (predictions.outputs, halved)]
    except Exception:  # a plugin's border; the board will say that it failed
        return False
    return bool(scores[0] != scores[1])


def _winner(
    best: Row | None, select: Callable[..., Ensemble], history: History, profile: Profile, limits: _Limits
) -> Ensemble | None:
    if best is None:
        return None
    for most in _SIZES:
        found = select(max_members=most, single=best.trial)
        if len(found.trials) == 1:
            break
        if _is_affordable(found, history, profile, limits):
            return found
    return Ensemble(trials=(best.trial,), weights=(1.0,), score=best.score or 0.0, gain_low=0.0)


def _best_in_time(board: Leaderboard, max_latency: float | None) -> Row | None:
    """Return the first row whose model is fast enough; where none is, the fastest; baselines among them."""
    rows = [row for row in board.rows if row.rank is not None and row.trial != NO_TRIAL]
    if max_latency is None or not rows:
        return board.best
    return next((row for row in rows if _is_fast(row, max_latency)), min(rows, key=_latency))


def _latency(row: Row) -> float:
    """Return the seconds that 19 of 20 single rows stay below; where that was not measured they may be any."""
    return row.latency_p95 or math.inf


def _is_fast(row: Row, max_latency: float | None) -> bool:
    return max_latency is None or _latency(row) <= max_latency


def _first_readable(entries: Iterable[Entry]) -> Predictions | None:
    for entry in entries:
        try:
            return entry.read()
        except DataError:  # the leaderboard says so
            continue
    return None


def _kept_for_averages(board: Leaderboard, best: Row | None, max_latency: float | None) -> list[Row]:
    """Return the best candidates, by number; baselines are a yardstick: they win alone or not at all."""
    ranked = [row for row in board.rows if row.rank is not None and row.role == "candidate"]
    found = [row for row in ranked if _is_fast(row, max_latency)][:_AVERAGED]
    if best is not None and best not in found:
        found.append(best)
    return sorted(found, key=lambda row: row.trial)


def _is_affordable(ensemble: Ensemble, history: History, profile: Profile, limits: _Limits) -> bool:
    results = [history.trials[trial].result for trial in ensemble.trials]
    latency = sum((each.latency_p95 if each is not None else 0.0) or math.inf for each in results)
    if limits.max_latency is not None and latency > limits.max_latency:
        return False
    if limits.seconds_left is None:
        return True
    cost = sum((each.row_seconds if each is not None else 0.0) * profile.test for each in results)
    return 1.2 * cost + 0.5 * len(results) < limits.seconds_left
