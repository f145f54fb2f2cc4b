"""Which trials' weights may be averaged into one model (a soup, Wortsman et al. 2022). Pure.

Nets that were fine-tuned from the same pretrained weights lie in one basin: their mean is often better than any of
them, and costs no more in use. From random weights that is not so.
"""

from __future__ import annotations

import math

from seedbed.core.data.profile import Profile
from seedbed.core.search.history import History, Trial

MOST = 5
"""Trials that go into one soup."""

_TUNED = ("head_then_all", "full")
_NOISE = 2.0  # standard errors behind the best
_LIKE = 0.05  # the share of a score that stands in its place where there is no such error


def ingredients(history: History, profile: Profile) -> tuple[int, ...]:
    """Return the trials to try a soup of, the best first; empty where there are no two that fit together.

    They are those fine-tuned from the weights of the best one, at its resolution, that are not clearly behind
    it, and have not learnt from the rows they were judged by: the soup is judged by those, too.
    """
    if profile.folds:  # after those every model has learnt from all rows
        return ()
    worth = profile.task.worth
    fitting = [trial for trial in history if _may_join(trial)]
    fitting.sort(key=lambda trial: (-worth(trial.score), trial.number))
    if not fitting:
        return ()
    best = fitting[0]
    floor = worth(best.score) - _doubt(best.score or 0.0, profile)
    alike = [trial for trial in fitting if _shape(trial) == _shape(best) and worth(trial.score) >= floor][:MOST]
    numbers = tuple(trial.number for trial in alike)
    return numbers if len(numbers) > 1 and not _is_made(history, numbers) else ()


def _may_join(trial: Trial) -> bool:
    return (
        trial.role == "candidate"
        and trial.result is not None
        and not trial.result.knows_valid
        and not trial.ingredients
        and trial.fidelity.is_full
        and trial.candidate.values.get("policy") in _TUNED
    )


def _shape(trial: Trial) -> frozenset[tuple[str, object]]:
    """Return what decides the form and the origin of the weights."""
    slots = ("architecture", "weights", "resolution")
    return frozenset((name, value) for name, value in trial.candidate.values.items() if name.split(".")[0] in slots)


def _doubt(score: float, profile: Profile) -> float:
    task = profile.task
    is_share = task.direction == "max" and task.kind != "regression" and 0 <= score <= 1
    rows = max(profile.valid, 1)
    return _NOISE * math.sqrt(score * (1 - score) / rows) if is_share else _LIKE * abs(score)


def _is_made(history: History, numbers: tuple[int, ...]) -> bool:
    return any(trial.ingredients == numbers and not trial.resumable for trial in history)
