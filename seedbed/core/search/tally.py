"""What is counted of all trials of a run, kept up with every event."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seedbed.core.data.profile import Profile
from seedbed.core.space import Values

if TYPE_CHECKING:
    from seedbed.core.search.history import Trial


def kin_of(values: Values) -> tuple[object, object]:
    """Return what candidates have in common that cost and gain about the same: net and policy."""
    return values.get("architecture"), values.get("policy")


def point_of(values: Values) -> frozenset[tuple[str, object]]:
    """Return what tells one point of the space from another."""
    return frozenset(values.items())


@dataclass(slots=True)
class Tally:
    """Counts and lists over all trials, each kept up in a time that does not depend on how many there are.

    `running` are the numbers of trials that have not ended, in order; `scored` those with a result; `finished` those
    that came to their end, and `refused` those that were, by kin; `candidates` counts as `budget.count_trials` says;
    `slowest` is what predicting a row takes the two slowest candidates, in seconds, ascending; `best` is the best score
    of a candidate that has ended, `since_best` how many have ended after it; `points` counts the trials of a point
    that are running or have had their chance, and `latest` is the last one of each.
    """

    highest: int = -1
    running: dict[int, None] = field(default_factory=dict)
    scored: set[int] = field(default_factory=set)
    finished: dict[tuple[object, object], list[int]] = field(default_factory=dict)
    refused: dict[tuple[object, object], list[int]] = field(default_factory=dict)
    candidates: int = 0
    slowest: tuple[float, ...] = ()
    best: float | None = None
    since_best: int = 0
    points: Counter[frozenset[tuple[str, object]]] = field(default_factory=Counter)
    latest: dict[frozenset[tuple[str, object]], Trial] = field(default_factory=dict)

    def began(self, trial: Trial) -> None:
        """Count a trial that has started."""
        self.highest = max(self.highest, trial.number)
        self.running[trial.number] = None
        if trial.ingredients:  # a mean of weights is no try of the search
            return
        point = point_of(trial.candidate.values)
        self.points[point] += 1
        if trial.role != "candidate":
            return
        self.candidates += 1
        before = self.latest.get(point)
        if before is not None and before.status == "stopped" and not before.resumable:
            self.candidates -= 1  # begun again, to go further: one try together
        self.latest[point] = trial

    def went_on(self, trial: Trial, profile: Profile | None) -> None:
        """Take in what has become of a trial; `profile` tells which of two scores is the better."""
        if trial.has_result:
            self.scored.add(trial.number)
        if not trial.is_finished:
            return
        self.running.pop(trial.number, None)
        if trial.ingredients:
            return
        point = point_of(trial.candidate.values)
        if trial.resumable:
            self.points[point] -= 1
        if trial.result is not None:
            self.finished.setdefault(kin_of(trial.candidate.values), []).append(trial.number)
        if trial.status == "refused":
            self.refused.setdefault(kin_of(trial.candidate.values), []).append(trial.number)
        if trial.role != "candidate":
            return
        if not trial.resumable and profile is not None:
            self._compare(trial.score, profile)
        if trial.result is not None:
            self.slowest = tuple(sorted((*self.slowest, trial.result.row_seconds))[-2:])
        latest = self.latest[point]
        is_superseded = trial.status == "stopped" and latest.number > trial.number
        if trial.resumable or is_superseded:
            self.candidates -= 1
        if latest.number == trial.number:
            self.latest[point] = trial

    def _compare(self, score: float | None, profile: Profile) -> None:
        worth = profile.task.worth
        if score is not None and (self.best is None or worth(score) > worth(self.best)):
            self.best, self.since_best = score, 0
        else:
            self.since_best += 1
