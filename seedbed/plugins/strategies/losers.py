"""Bars for trials that are unlikely to win: the median stopping rule (Golovin et al. 2017, Vizier), known in advance.

A trial is compared with earlier ones that were trained by the same policy to the same number of passes: at a third
and at two thirds of its training it must have reached the median of what they had reached there, less two standard
errors of a score on so many rows. Only where the search has seen a few; defaults of the portfolio have no bars.
"""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median

from seedbed.core.data.profile import Profile
from seedbed.core.search.candidate import Cut, Fidelity
from seedbed.core.search.history import History, Trial
from seedbed.core.space import Values
from seedbed.plugins.strategies.rungs import best_by

_RUNGS = (0.35, 0.7)
_LEAST = 3
"""Earlier trials, before which there is nothing to compare with."""

_LIKE = 0.1
"""By what share of its passes an earlier trial may differ."""

_MOST = 50
"""The latest trials that are compared with."""


def with_bars(fidelity: Fidelity, values: Values, history: History, profile: Profile) -> Fidelity:
    """Return the fidelity with bars at which the trial ends if it lags behind."""
    if values.get("policy") == "probe":
        return fidelity
    peers = [
        trial
        for trial in _latest(history)
        if trial.candidate.values.get("policy") == values.get("policy") and _are_alike(trial.fidelity, fidelity)
    ]
    cuts = []
    for progress in _RUNGS:
        reached = [score for trial in peers if (score := best_by(trial, progress, profile)) is not None]
        if len(reached) >= _LEAST:
            cuts.append(Cut(progress=progress, score=_with_doubt(median(reached), profile)))
    return replace(fidelity, cuts=tuple(cuts)) if cuts else fidelity


def _latest(history: History) -> list[Trial]:
    numbers = range(history.next_number - 1, max(history.next_number - 1 - _MOST, -1), -1)
    return [
        trial
        for number in numbers
        if (trial := history.trials.get(number)) is not None
        and trial.role == "candidate"
        and trial.is_finished
        and not trial.ingredients
    ]


def _are_alike(one: Fidelity, other: Fidelity) -> bool:
    """Whether two trainings are of about the same number of passes, over as much."""
    if (one.subset, one.resolution) != (other.subset, other.resolution):
        return False
    if one.epochs is None or other.epochs is None:
        return one.epochs == other.epochs
    return abs(one.epochs - other.epochs) <= _LIKE * other.epochs


def _with_doubt(score: float, profile: Profile) -> float:
    """Return the score less what chance may do to it on the validation rows."""
    task = profile.task
    rows = max(profile.valid, 1)
    is_share = task.direction == "max" and task.kind != "regression" and 0 <= score <= 1
    doubt = 2.0 * math.sqrt(score * (1 - score) / rows) if is_share else 0.05 * abs(score)
    return score - doubt if task.direction == "max" else score + doubt
