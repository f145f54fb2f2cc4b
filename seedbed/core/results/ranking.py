"""From a run's history and its files to the leaderboard, and to the trials worth keeping."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from seedbed.core.data.profile import Profile
from seedbed.core.errors import DataError
from seedbed.core.protocols import Lookup, Metric
from seedbed.core.results.ensemble import Ensemble, blend, select_ensemble
from seedbed.core.results.entries import baseline_entry, entries_from
from seedbed.core.results.leaderboard import Entry, Leaderboard, Row
from seedbed.core.results.ordering import rank
from seedbed.core.runfolder import RunFolder
from seedbed.core.search.history import History
from seedbed.core.specs import MetricSpec
from seedbed.core.training.member import CHECKPOINT, PREDICTIONS
from seedbed.core.training.predictions import Predictions, load_predictions

_AVERAGED = 100
"""Of the candidates, the best of which an average may be made: the predictions of all would not fit into memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The board, and what it makes sense to put into the bundle (None where no trial has a result).

    `predictions` are the winner's own, of the rows that trials are judged on.
    """

    board: Leaderboard
    winner: Ensemble | None
    predictions: Predictions | None = None


def rank_run(
    history: History,
    profile: Profile,
    folder: RunFolder,
    lookup: Lookup,
    *,
    seed: int,
    seconds_left: float | None,
) -> Ranking:
    """Rank all trials by their stored validation predictions, next to what knows nothing but the training targets.

    Of equals the one with the smaller checkpoint comes first: unlike measured times, its bytes are the same again.

    Args:
        seconds_left: what scoring the winner on the test part may take; an ensemble that would take
            longer is not considered. None: no limit.
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
    first = _first_readable(entries)
    if first is not None:
        entries = (*entries, baseline_entry(first, profile))
    board = rank(entries, metric, spec.direction, name=spec.name, seed=seed)
    members = {row.trial: load(row.trial) for row in _kept_for_averages(board)}
    winner = _winner(board, members, metric, spec, history, profile, seconds_left, seed)
    return Ranking(board=board, winner=winner, predictions=None if winner is None else blend(members, winner))


def _winner(
    board: Leaderboard,
    members: dict[int, Predictions],
    metric: Metric,
    spec: MetricSpec,
    history: History,
    profile: Profile,
    seconds_left: float | None,
    seed: int,
) -> Ensemble | None:
    best = board.best
    if best is None:
        return None
    alone = Ensemble(trials=(best.trial,), weights=(1.0,), score=best.score or 0.0, gain_low=0.0)
    found = select_ensemble(members, metric, spec.direction, seed=seed)
    if len(found.trials) == 1 or not _is_affordable(found, history, profile, seconds_left):
        return alone
    return found


def _first_readable(entries: Iterable[Entry]) -> Predictions | None:
    for entry in entries:
        try:
            return entry.read()
        except DataError:  # the leaderboard says so
            continue
    return None


def _kept_for_averages(board: Leaderboard) -> list[Row]:
    """Return the best candidates, by number; baselines are a yardstick: they win alone or not at all."""
    found = [row for row in board.rows if row.rank is not None and row.role == "candidate"][:_AVERAGED]
    if board.best is not None and board.best not in found:
        found.append(board.best)
    return sorted(found, key=lambda row: row.trial)


def _is_affordable(ensemble: Ensemble, history: History, profile: Profile, seconds_left: float | None) -> bool:
    if seconds_left is None:
        return True
    results = [history.trials[trial].result for trial in ensemble.trials]
    cost = sum((each.row_seconds if each is not None else 0.0) * profile.test for each in results)
    return 1.2 * cost + 0.5 * len(results) < seconds_left
