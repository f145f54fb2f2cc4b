"""How the best score of a run rose with what was spent on it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from seedbed.core.search.history import History, Trial

_ENDED_EARLY = 0.8
"""A run that has used less than this share of its time had something else to end it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The best score by then, `best`, at every point of `spent`: of `unit`, since the first trial, ascending.

    `to_come` is the share of its training that the trial with the best score had still before it, 0 once it had ended.
    `budget` is what the run was given, or has used where it ended early; `spent` lies below it by the time that goes
    into other things than trials.
    """

    unit: Literal["seconds", "trials"]
    spent: tuple[float, ...]
    best: tuple[float, ...]
    to_come: tuple[float, ...]
    budget: float


@dataclass(frozen=True, slots=True)
class _Point:
    at: float
    score: float | None
    to_come: float = 0.0


def progress_of(history: History) -> Progress | None:
    """Return how the best score of a run rose, None where nothing was scored.

    With a time limit that is by the clock, and what a trial reached at a look counts, but never for more than what it
    was judged by in the end. Without one it is by candidates, in the order of their numbers: the number of workers
    changes nothing.
    """
    if history.profile is None:
        return None
    limit = history.started.budget_seconds if history.started is not None else None
    worth = history.profile.task.worth
    found = _by_candidates(history) if limit is None else sorted(_by_the_clock(history), key=lambda each: each.at)
    records: list[_Point] = []
    best = _Point(0.0, None)
    for point in found:
        if (worth(point.score), -point.to_come) > (worth(best.score), -best.to_come):
            best = point
        if best.score is None or point.at <= 0:
            continue
        if records and point.at <= records[-1].at:
            records.pop()
        records.append(replace(best, at=point.at))
    if not records:
        return None
    budget = records[-1].at
    if limit is not None:
        budget = max(limit if history.seconds > _ENDED_EARLY * limit else history.seconds, budget)
    return Progress(
        unit="trials" if limit is None else "seconds",
        spent=tuple(each.at for each in records),
        best=tuple(each.score for each in records if each.score is not None),
        to_come=tuple(each.to_come for each in records),
        budget=budget,
    )


def _by_the_clock(history: History) -> Iterator[_Point]:
    """Yield every look and every end of a trial, in seconds since the first trial began."""
    worth = history.profile.task.worth if history.profile is not None else float
    began = min((trial.started for trial in history), default=0.0)
    for trial in history:
        final = trial.score if trial.is_finished else None
        for look in trial.curve:
            overrated = final is not None and worth(look.score) > worth(final)
            yield _Point(look.at - began, final if overrated else look.score, max(1.0 - look.progress, 0.0))
        if trial.ended is not None:
            yield _Point(trial.ended - began, _judged(trial))


def _by_candidates(history: History) -> Iterator[_Point]:
    """Yield every trial by how many candidates were tried; one begun again to go further is one try together."""
    tried: set[frozenset[tuple[str, object]]] = set()
    for trial in sorted(history, key=lambda each: each.number):
        if not trial.is_finished or trial.resumable:
            continue
        if trial.role == "candidate":
            tried.add(frozenset(trial.candidate.values.items()))
        yield _Point(float(len(tried)), _judged(trial))


def _judged(trial: Trial) -> float | None:
    """Return the score that a trial has on the leaderboard."""
    return trial.score if trial.status in ("finished", "stopped") else None
