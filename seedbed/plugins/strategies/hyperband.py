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
from itertools import count
from typing import TYPE_CHECKING

from seedbed.core.data.profile import Profile
from seedbed.core.search.candidate import Candidate, Fidelity, Proposal
from seedbed.core.search.history import History, Trial
from seedbed.core.space import Space, Value, Values
from seedbed.plugins.strategies.refused import is_known_too_large
from seedbed.plugins.strategies.rungs import (
    Follower,
    Point,
    belongs,
    fidelity_at,
    in_time,
    point_of,
    shares,
    worth_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seedbed.plugins.strategies import HyperbandOptions

_ATTEMPTS = 50


class Hyperband:
    """The next trial of the oldest bracket that can go on, else the first of a new bracket."""

    def __init__(self, options: HyperbandOptions, space: Space, profile: Profile) -> None:
        self._options = options
        self._space = space
        self._profile = profile
        self._ladder = shares(options.resource, options.eta, options.rungs, profile)
        self._brackets: Brackets | None = None

    def propose(self, history: History, rng: random.Random) -> Proposal | None:
        """Return the next trial of a bracket; None where nothing new fits into the time."""
        if history.remaining.trials == 0:
            return None
        if self._brackets is None or not self._brackets.is_of(history):
            self._brackets = Brackets(history, len(self._ladder) - 1, self._options.eta, self._profile, self._at)
        brackets = self._brackets
        brackets.learn()
        if (found := self._promotion(brackets, history)) is not None:
            return found
        if (found := self._draw(brackets.filling.first, history, rng)) is not None:
            return found
        # A small space has nothing new to draw: who has ended goes on.
        return self._promotion(brackets, history) if brackets.close() else None

    def should_stop(self, trial: Trial, history: History) -> bool:
        """Never: every rung is trained to its end."""
        return False

    def _promotion(self, brackets: Brackets, history: History) -> Proposal | None:
        for trial, rung in tuple(brackets.due()):
            values, wanted = dict(trial.candidate.values), self._at(rung, trial.candidate.values)
            if not belongs(self._space, values) or is_known_too_large(values, history, resolution=wanted.resolution):
                brackets.drop(point_of(trial))
                continue
            fidelity = in_time(wanted, values, history)
            if fidelity is not None:
                return Proposal(candidate=Candidate(values), fidelity=fidelity)
        return None

    def _draw(self, rung: int, history: History, rng: random.Random) -> Proposal | None:
        for attempt in range(_ATTEMPTS):
            values: dict[str, Value] = self._space.default() if attempt == 0 else self._space.sample(rng)
            if history.tried(values):
                continue
            fidelity = in_time(self._at(rung, values), values, history)
            if fidelity is not None:
                return Proposal(candidate=Candidate(values), fidelity=fidelity)
        return None

    def _at(self, rung: int, values: Values) -> Fidelity:
        return fidelity_at(self._ladder[rung], self._options.resource, values, self._profile)


@dataclass(slots=True, kw_only=True)
class Level:
    """A rung of a bracket: `room` for trials that have not begun, `waits` for that many to end."""

    room: int
    waits: int = 0
    ended: list[tuple[float, int]] = field(default_factory=list)
    """(-worth, number) of those that have ended with a score."""

    @property
    def is_done(self) -> bool:
        """Whether all of it have ended."""
        return self.room == self.waits == 0


@dataclass(slots=True, kw_only=True)
class Bracket:
    """One run of successive halving from the rung `first` on; `due` are the winners that have not gone on.

    Only the lowest level has room from the start; a higher one gets it once it is known who goes on to it. `sizes`
    are those planned for each.
    """

    first: int
    sizes: tuple[int, ...]
    levels: list[Level]
    due: dict[Point, tuple[int, int]] = field(default_factory=dict)
    """By point, the number of the trial and the level that it goes on to, the best first."""


class Brackets(Follower):
    """All brackets that are not over, the oldest first, and what each waits for."""

    def __init__(
        self, history: History, top: int, eta: int, profile: Profile, fidelity: Callable[[int, Values], Fidelity]
    ) -> None:
        super().__init__(history)
        self._top, self._eta, self._profile, self._fidelity = top, eta, profile, fidelity
        self._numbers = count(_beginning(top, eta, history))
        self._active: dict[int, Bracket] = {}
        self._places: dict[int, tuple[int, int]] = {}
        """By number of a trial under way, its bracket and level there."""
        self._due_in: dict[Point, int] = {}
        """By point that is due, its bracket."""
        self._filling = self._open_next()

    @property
    def filling(self) -> Bracket:
        """The bracket that takes the next draw."""
        return self._active[self._filling]

    def close(self) -> bool:
        """Fill the bracket no further, as there is nothing to fill it with; False where it has not begun."""
        bracket = self.filling
        lowest = bracket.levels[0]
        begun = lowest.waits + len(lowest.ended)
        if not begun:
            return False
        name, lowest.room = self._filling, 0
        bracket.sizes = tuple(max(begun // self._eta**level, 1) for level in range(len(bracket.sizes)))
        self._filling = self._open_next()
        if lowest.is_done:
            self._settle(name, 0)
        return True

    def drop(self, point: Point) -> None:
        """Let a point that is due not go on, as it cannot."""
        name = self._due_in.pop(point)
        bracket = self._active[name]
        _, level = bracket.due.pop(point)
        bracket.levels[level].room -= 1
        if bracket.levels[level].is_done:
            self._settle(name, level)

    def due(self) -> Iterator[tuple[Trial, int]]:
        """Yield trials that are to be trained again, and at which rung of the ladder."""
        for bracket in self._active.values():
            for number, level in bracket.due.values():
                yield self._history.trials[number], bracket.first + level

    def on_begin(self, trial: Trial) -> None:
        """A point that is due goes on in its bracket; any other is a draw of the one that is being filled."""
        point = point_of(trial)
        name = self._due_in.pop(point, None)
        if name is None:
            name, level = self._filling, 0
        else:
            level = self._active[name].due.pop(point)[1]
        place = self._active[name].levels[level]
        place.room -= 1
        place.waits += 1
        self._places[trial.number] = name, level
        if not self.filling.levels[0].room:
            self._filling = self._open_next()

    def on_end(self, trial: Trial) -> None:
        """Where it was the last of its rung it is known who goes on."""
        name, level = self._places.pop(trial.number)
        place = self._active[name].levels[level]
        place.waits -= 1
        worth = worth_of(trial, self._profile)
        if worth is not None:
            place.ended.append((-worth, trial.number))
        if place.is_done:
            self._settle(name, level)

    def _open_next(self) -> int:
        name = next(self._numbers)
        rungs = self._top - name % (self._top + 1)  # below the top of this bracket
        planned = sizes(self._top, rungs, self._eta)
        levels = [Level(room=planned[0] if level == 0 else 0) for level in range(rungs + 1)]
        self._active[name] = Bracket(first=self._top - rungs, sizes=planned, levels=levels)
        return name

    def _settle(self, name: int, level: int) -> None:
        """Say who of a level that is done goes on; what would be the same again is there already."""
        bracket = self._active[name]
        if level + 1 == len(bracket.levels):
            del self._active[name]
            return
        above = bracket.levels[level + 1]
        for entry in sorted(bracket.levels[level].ended)[: bracket.sizes[level + 1]]:
            trial = self._history.trials[entry[1]]
            rung, values = bracket.first + level, trial.candidate.values
            if self._fidelity(rung, values) == self._fidelity(rung + 1, values):
                above.ended.append(entry)
                continue
            point = point_of(trial)
            above.room += 1
            bracket.due[point] = trial.number, level + 1
            self._due_in[point] = name
        if above.is_done:
            self._settle(name, level + 1)


def _beginning(top: int, eta: int, history: History) -> int:
    """Return which bracket comes first: of a plan of few trials one that they can bring to its end."""
    left = history.remaining.trials
    if left is None:
        return 0
    trials = left + history.tally.candidates
    return next((each for each in range(top) if sum(sizes(top, top - each, eta)) <= trials), top)


def sizes(most: int, rungs: int, eta: int) -> tuple[int, ...]:
    """Return how many trials each rung of a bracket has.

    The i-th from below has floor(n eta^-i), where n = ceil((most + 1) / (rungs + 1) eta^rungs).
    """
    first = math.ceil((most + 1) / (rungs + 1) * eta**rungs)
    return tuple(max(first // eta**level, 1) for level in range(rungs + 1))
