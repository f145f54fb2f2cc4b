"""Asynchronous successive halving (Li et al. 2020): draws at random, most of which end early.

Over epochs it is the stopping kind: a trial begins at full length, and at each rung it must have reached what the
best of every `eta` earlier trials had reached there; the bars are known when it begins, and it judges itself by
them. Compared are the best scores so far at the same progress of the same schedule: with a schedule that anneals,
scores at a third of it are rough for all of them alike.

Over rows and resolutions it is the promoting kind: a draw begins at the lowest rung, and the best of every `eta`
there are trained again, anew, at the next.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from seedbed.core.data.profile import Profile
from seedbed.core.search.candidate import Candidate, Cut, Fidelity, Proposal
from seedbed.core.search.history import History, Trial
from seedbed.core.space import Space, Values
from seedbed.plugins.strategies.fidelity import full_epochs
from seedbed.plugins.strategies.rungs import best_by, fidelity_at, in_time, rung_of, share_of, shares

if TYPE_CHECKING:
    from seedbed.plugins.strategies import AshaOptions

_ATTEMPTS = 50


class Asha:
    """A new draw, or where one has earned it the next rung of an old one."""

    def __init__(self, options: AshaOptions, space: Space, profile: Profile) -> None:
        self._options = options
        self._space = space
        self._profile = profile
        self._ladder = shares(options.resource, options.eta, options.rungs, profile)
        self._table = Table(self._ladder, options.resource, profile)

    def propose(self, history: History, rng: random.Random) -> Proposal | None:
        """Return the promotion that is due, else a new draw; None where nothing new fits into the time."""
        if history.remaining.trials == 0:
            return None
        self._table.learn(history)
        stops = self._options.resource == "epochs"
        if not stops and (found := self._promotion(history)) is not None:
            return found
        for attempt in range(_ATTEMPTS):
            values = self._space.default() if attempt == 0 else self._space.sample(rng)
            if history.tried(values):
                continue
            fidelity = self._with_bars(values) if stops else self._at(0, values)
            timed = in_time(fidelity, values, history)
            if timed is not None:
                return Proposal(candidate=Candidate(values), fidelity=timed)
        return None

    def should_stop(self, trial: Trial, history: History) -> bool:
        """Never: a trial judges itself, by bars that were known when it began."""
        return False

    def _at(self, rung: int, values: Values) -> Fidelity:
        return fidelity_at(self._ladder[rung], self._options.resource, values, self._profile)

    def _with_bars(self, values: Values) -> Fidelity:
        cuts = []
        for share in self._ladder[:-1]:
            bar = self._table.bar(share, self._options.eta)
            if bar is not None:
                cuts.append(Cut(progress=share, score=bar))
        return replace(Fidelity(epochs=full_epochs(values, self._profile)), cuts=tuple(cuts))

    def _promotion(self, history: History) -> Proposal | None:
        for rung in range(len(self._ladder) - 2, -1, -1):
            for trial in self._table.promotable(rung, self._options.eta):
                values = trial.candidate.values
                fidelity = in_time(self._at(rung + 1, values), values, history)
                if fidelity is not None:
                    return Proposal(candidate=Candidate(dict(values)), fidelity=fidelity)
        return None


class Table:
    """What every rung has seen, derived from a history trial by trial: each is looked at once, when it has ended."""

    def __init__(self, ladder: tuple[float, ...], resource: str, profile: Profile) -> None:
        self._ladder, self._resource, self._profile = ladder, resource, profile
        self._seen: set[int] = set()
        self._open: dict[int, None] = {}
        self._next = 0
        self._reached: dict[float, list[float]] = {share: [] for share in ladder}
        self._ended: list[list[Trial]] = [[] for _ in ladder]
        self._begun: list[set[frozenset[tuple[str, object]]]] = [set() for _ in ladder]

    def learn(self, history: History) -> None:
        """Take in the trials that have begun or ended since the last time."""
        while self._next < history.next_number:
            self._open[self._next] = None
            trial = history.trials.get(self._next)
            if trial is not None and trial.role == "candidate":
                self._begun[self._rung(trial)].add(_point(trial))
            self._next += 1
        for number in list(self._open):
            trial = history.trials.get(number)
            if trial is None or trial.is_finished:
                del self._open[number]
                if trial is not None and trial.role == "candidate" and not trial.resumable:
                    self._take(trial)

    def bar(self, share: float, eta: int) -> float | None:
        """Return the score of the best 1/eta of those that came so far; None while they are fewer than eta."""
        scores = self._reached[share]
        if len(scores) < eta:
            return None
        ordered = sorted(scores, key=self._profile.task.worth, reverse=True)
        return ordered[max(len(ordered) // eta, 1) - 1]

    def promotable(self, rung: int, eta: int) -> list[Trial]:
        """Return the best 1/eta of a rung that have not begun at the next, the best first."""
        ended = self._ended[rung]
        worth = self._profile.task.worth
        best = sorted(ended, key=lambda trial: (-worth(trial.score), trial.number))[: len(ended) // eta]
        return [trial for trial in best if _point(trial) not in self._begun[rung + 1] and trial.score is not None]

    def _rung(self, trial: Trial) -> int:
        share = share_of(trial.fidelity, self._resource, trial.candidate.values, self._profile)
        return rung_of(share, self._ladder)

    def _take(self, trial: Trial) -> None:
        self._ended[self._rung(trial)].append(trial)
        for share in self._ladder[:-1]:
            score = best_by(trial, share, self._profile)
            if score is not None:
                self._reached[share].append(score)


def _point(trial: Trial) -> frozenset[tuple[str, object]]:
    return frozenset(trial.candidate.values.items())
