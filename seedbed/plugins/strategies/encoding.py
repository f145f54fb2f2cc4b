"""Points of a conditional space as rows of numbers, for models that know of no conditions.

Numbers lie in [0, 1] on their domain's own scale; a choice is one column for each option (one-hot). What is not
active in a point has all its columns at `INACTIVE`, so that a branch not taken looks the same whatever could be in
it. Parameters that share a name, because their domain depends on a parent, have columns of their own each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from seedbed.core.space import Choice, Domain, Space, Value, Values

INACTIVE = -0.2
"""Where inactive parameters stand: outside of [0, 1], but near enough not to outweigh all else in a distance."""


class Encoding:
    """The columns of a space; parameters with a single value have none, as they tell nothing."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._places: dict[int, int] = {}
        width = 0
        for param in space.params:
            columns = _columns(param.domain)
            if columns:
                self._places[id(param)] = width
                width += columns
        self.width = width

    def encode(self, points: Iterable[Values]) -> np.ndarray:
        """Return points as float64 (n, width)."""
        rows = [self._row(values) for values in points]
        return np.stack(rows) if rows else np.empty((0, self.width))

    def _row(self, values: Values) -> np.ndarray:
        row = np.full(self.width, INACTIVE)
        for param in self._space.active(values):
            place = self._places.get(id(param))
            if place is None or param.name not in values:
                continue
            if isinstance(param.domain, Choice):
                row[place : place + len(param.domain.options)] = 0.0
                index = _index(param.domain, values[param.name])
                if index is not None:  # a run that is resumed may have lost an option
                    row[place + index] = 1.0
            else:
                row[place] = unit(param.domain, values[param.name])
        return row


def unit(domain: Domain, value: Value) -> float:
    """Return where in its domain a number lies, in [0, 1], on the domain's own scale."""
    if isinstance(domain, Choice) or isinstance(value, str):
        raise TypeError(f"{value!r} of {domain} is no number.")
    low, high = float(domain.low), float(domain.high)
    if high <= low:
        return 0.0
    if domain.log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return (value - low) / (high - low)


def _columns(domain: Domain) -> int:
    if isinstance(domain, Choice):
        return len(domain.options) if len(domain.options) > 1 else 0
    return 1 if domain.low < domain.high else 0


def _index(domain: Choice, value: Value) -> int | None:
    alike = (n for n, option in enumerate(domain.options) if option == value and type(option) is type(value))
    return next(alike, None)
