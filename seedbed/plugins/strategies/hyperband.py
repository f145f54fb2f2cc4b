"""Hyperband (Li et al. 2018): brackets of successive halving, from many short trials to few long ones.

A bracket with s rungs below the top begins with ceil((s_max + 1) / (s + 1) eta^s) draws at eta^-s of the resource
(Algorithm 1 of the paper); once all of a rung have ended, the best 1/eta of them are trained again, anew, with eta
times as much, each annealed to its own end. While a rung waits for its last trials the next bracket begins. What a
trial reaches at a low fidelity is an honest score of a model that exists, so it stays on the board.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seedbed.core.data.profile import Profile
from seedbed.core.search.candidate import Candidate, Fidelity, Proposal
from seedbed.core.search.history import History, Trial
from seedbed.core.space import Space, Value, Values
from seedbed.plugins.strategies.rungs import fidelity_at, in_time, rung_of, share_of, shares

if TYPE_CHECKING:
    from seedbed.plugins.strategies import HyperbandOptions

_ATTEMPTS = 50


@dataclass(slots=True)
class Bracket:
    """One run of successive halving from `first`, a rung, on; `sizes` are the trials planned for each of its rungs."""

    first: int
    sizes: tuple[int, ...]
    members: list[list[int]] = field(default_factory=list)
    """Numbers of the trials of each rung, from `first` on, in the order in which they began."""

    def __post_init__(self) -> None:
        self.members = [[] for _ in self.sizes]


class Hyperband:
    """The next trial of the oldest bracket that can go on, else the first of a new bracket."""

    def __init__(self, options: HyperbandOptions, space: Space, profile: Profile) -> None:
        self._options = options
        self._space = space
        self._profile = profile
        self._ladder = shares(options.resource, options.eta, options.rungs, profile)
        self._brackets: list[Bracket] = []
        self._placed = 0

    def propose(self, history: History, rng: random.Random) -> Proposal | None:
        """Return the next trial of a bracket; None where nothing new fits into the time."""
        if history.remaining.trials == 0:
            return None
        self._place(history)
        for bracket in (*self._brackets, self._new_bracket(len(self._brackets))):
            found = self._next_of(bracket, history, rng)
            if found is not None:
                return found
        return None

    def should_stop(self, trial: Trial, history: History) -> bool:
        """Never: every rung is trained to its end."""
        return False

    def _new_bracket(self, number: int) -> Bracket:
        top = len(self._ladder) - 1
        rungs = top - number % (top + 1)  # below the top of this bracket
        return Bracket(first=top - rungs, sizes=sizes(top, rungs, self._options.eta))

    def _place(self, history: History) -> None:
        """Give every trial that began since the last time its place: the one that it was proposed for."""
        while self._placed < history.next_number:
            trial = history.trials.get(self._placed)
            if trial is not None and trial.role == "candidate" and not trial.resumable:
                self._place_one(trial, history)
            self._placed += 1

    def _place_one(self, trial: Trial, history: History) -> None:
        share = share_of(trial.fidelity, self._options.resource, trial.candidate.values, self._profile)
        rung = rung_of(share, self._ladder)
        for bracket in self._brackets:
            level = rung - bracket.first
            if level < 0 or len(bracket.members[level]) >= bracket.sizes[level]:
                continue
            if level == 0 or any(_same(history.trials[number], trial) for number in bracket.members[level - 1]):
                bracket.members[level].append(trial.number)
                return
        while True:  # a draw of a bracket that had not begun
            bracket = self._new_bracket(len(self._brackets))
            self._brackets.append(bracket)
            if bracket.first == rung or len(self._brackets) > 10 * (len(self._ladder) + history.next_number):
                bracket.members[0].append(trial.number)
                return

    def _next_of(self, bracket: Bracket, history: History, rng: random.Random) -> Proposal | None:
        for level in range(len(bracket.sizes) - 1, -1, -1):
            if len(bracket.members[level]) >= bracket.sizes[level]:
                continue
            if level == 0:
                return self._draw(bracket, history, rng)
            for trial in self._winners(bracket, level - 1, history):
                begun = (history.trials[number] for number in bracket.members[level])
                if any(_same(trial, each) for each in begun):
                    continue
                values = dict(trial.candidate.values)
                fidelity = in_time(self._at(bracket.first + level, values), values, history)
                if fidelity is not None:
                    return Proposal(candidate=Candidate(values), fidelity=fidelity)
        return None

    def _winners(self, bracket: Bracket, level: int, history: History) -> list[Trial]:
        """Return those of a rung that go on, the best first: none before all of it have ended."""
        trials = [history.trials[number] for number in bracket.members[level]]
        if len(trials) < bracket.sizes[level] or not all(trial.is_finished for trial in trials):
            return []
        scored = [trial for trial in trials if trial.score is not None]
        worth = self._profile.task.worth
        scored.sort(key=lambda trial: (-worth(trial.score), trial.number))
        return scored[: bracket.sizes[level + 1]]

    def _draw(self, bracket: Bracket, history: History, rng: random.Random) -> Proposal | None:
        for attempt in range(_ATTEMPTS):
            values: dict[str, Value] = self._space.default() if attempt == 0 else self._space.sample(rng)
            if history.tried(values):
                continue
            fidelity = in_time(self._at(bracket.first, values), values, history)
            if fidelity is not None:
                return Proposal(candidate=Candidate(values), fidelity=fidelity)
        return None

    def _at(self, rung: int, values: Values) -> Fidelity:
        return fidelity_at(self._ladder[rung], self._options.resource, values, self._profile)


def sizes(most: int, rungs: int, eta: int) -> tuple[int, ...]:
    """Return how many trials each rung of a bracket has.

    The i-th from below has floor(n eta^-i), where n = ceil((most + 1) / (rungs + 1) eta^rungs).
    """
    first = math.ceil((most + 1) / (rungs + 1) * eta**rungs)
    return tuple(max(first // eta**level, 1) for level in range(rungs + 1))


def _same(one: Trial, other: Trial) -> bool:
    return one.candidate.values == other.candidate.values
