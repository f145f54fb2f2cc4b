"""Grid search: a few values of every parameter, in all combinations that the conditions of the space allow.

Points have numbers, so that any of them is found at once, however large the grid. They are visited in strides of the
golden ratio of it: the first ten are spread over all of the grid as evenly as all of them, and where there is time
for a part of it alone that part is no corner.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from seedbed.core.data.profile import Profile
from seedbed.core.errors import UsageError
from seedbed.core.search.candidate import Candidate, Proposal
from seedbed.core.search.history import History, Trial
from seedbed.core.space import Choice, Domain, Int, Param, Space, Value
from seedbed.plugins.strategies.fidelity import affordable
from seedbed.plugins.strategies.refused import is_known_too_large

if TYPE_CHECKING:
    from seedbed.plugins.strategies import GridOptions

_GOLDEN = (math.sqrt(5) - 1) / 2


class Grid:
    """The all-defaults point, then every point of the grid, each once."""

    def __init__(self, options: GridOptions, space: Space, profile: Profile) -> None:
        if options.points < 1:
            raise UsageError(f"points={options.points} leaves a grid without a point; give 1 or more.")
        self._space = space
        self._profile = profile
        self._lattice = Lattice(space, options.points)
        self._stride = _coprime(self._lattice.size)
        self._done = 0
        """How many points, in the order of visiting, have been tried or are known to be too large."""

    def propose(self, history: History, rng: random.Random) -> Proposal | None:
        """Return the next point of the grid that is untried and affordable; None where all have been tried."""
        if history.remaining.trials == 0:
            return None
        default = self._space.default()
        if not history.tried(default) and (fidelity := affordable(default, self._profile, history)) is not None:
            return Proposal(candidate=Candidate(default), fidelity=fidelity)
        too_dear = 0
        for place in range(self._done, self._lattice.size):
            values = self._lattice.point(place * self._stride % self._lattice.size)
            if history.tried(values) or is_known_too_large(values, history):
                self._done += place == self._done
                continue
            fidelity = affordable(values, self._profile, history)
            if fidelity is not None:
                return Proposal(candidate=Candidate(values), fidelity=fidelity)
            too_dear += 1
            if too_dear > _MOST_PASSED_OVER:
                return None
        return None

    def should_stop(self, trial: Trial, history: History) -> bool:
        """Never: each point runs to its end."""
        return False


_MOST_PASSED_OVER = 200
"""Points that cannot be paid for, after which nothing cheaper is looked for."""


class Lattice:
    """All points of a conditional space with `points` values of each number, by their index from 0 to `size`."""

    def __init__(self, space: Space, points: int) -> None:
        self._params = space.params
        self._levels = [levels(param.domain, points) for param in space.params]
        self._needed = _needed_after(space.params)
        self._counts: dict[tuple[int, tuple[Value | None, ...]], int] = {}
        self.size = self._count(0, {})

    def point(self, index: int) -> dict[str, Value]:
        """Return the point with this index, 0 <= index < size."""
        values: dict[str, Value] = {}
        for place, param in enumerate(self._params):
            if not _is_active(param, values):
                continue
            for level in self._levels[place]:
                values[param.name] = level
                below = self._count(place + 1, values)
                if index < below:
                    break
                index -= below
        return values

    def _count(self, place: int, values: dict[str, Value]) -> int:
        """Return how many points there are with these values of the first `place` parameters."""
        if place == len(self._params):
            return 1
        key = (place, tuple(values.get(name) for name in self._needed[place]))
        if key not in self._counts:
            param = self._params[place]
            if _is_active(param, values):
                found = sum(self._count(place + 1, {**values, param.name: level}) for level in self._levels[place])
            else:
                found = self._count(place + 1, values)
            self._counts[key] = found
        return self._counts[key]


def levels(domain: Domain, points: int) -> list[Value]:
    """Return the values of a domain that the grid has: all options, or `points` numbers evenly from end to end."""
    if isinstance(domain, Choice):
        return list(domain.options)
    if points == 1:
        shares = [0.5]
    else:
        shares = [number / (points - 1) for number in range(points)]
    low, high = float(domain.low), float(domain.high)
    if domain.log:
        spread = [math.exp(math.log(low) + share * (math.log(high) - math.log(low))) for share in shares]
    else:
        spread = [low + share * (high - low) for share in shares]
    if isinstance(domain, Int):
        most = (domain.high - domain.low) // domain.step
        steps = [min(max(round((each - low) / domain.step), 0), most) for each in spread]
        return list(dict.fromkeys(domain.low + step * domain.step for step in steps))
    return list(dict.fromkeys(min(max(each, low), high) for each in spread))


def _is_active(param: Param, values: dict[str, Value]) -> bool:
    return all(values.get(each.parent) in each.values for each in param.when)


def _needed_after(params: tuple[Param, ...]) -> list[tuple[str, ...]]:
    """Return for every place the parents that some parameter from there on depends on."""
    found: list[tuple[str, ...]] = []
    needed: set[str] = set()
    for param in reversed(params):
        needed |= {each.parent for each in param.when}
        found.append(tuple(sorted(needed)))
    return found[::-1]


def _coprime(size: int) -> int:
    """Return a stride near the golden ratio of `size` that meets every index before it meets one again."""
    stride = max(int(_GOLDEN * size), 1)
    while math.gcd(stride, size) != 1:
        stride += 1
    return stride
