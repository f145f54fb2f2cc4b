"""A draw near a known point of the space."""

from __future__ import annotations

import math
import random

from seedbed.core.space import Choice, Float, Int, Param, Space, Value, Values

_STEP = 0.2
"""Standard deviation of a numeric move, as a share of the domain's width on its own scale."""


def vary(space: Space, values: Values, rng: random.Random, *, change: float) -> dict[str, Value]:
    """Return a neighbour: numbers move a little, each choice is drawn anew with probability `change`.

    What becomes active by a changed choice is drawn from its whole domain. At least the numbers differ.
    """
    found: dict[str, Value] = {}
    for param in space.active(found):
        if param.name not in values or values[param.name] not in param.domain:
            found[param.name] = param.domain.sample(rng)
        elif isinstance(param.domain, Choice):
            redrawn = rng.random() < change and param.name != "architecture"
            found[param.name] = param.domain.sample(rng) if redrawn else values[param.name]
        else:
            found[param.name] = _move(param, values[param.name], rng)
    return found


def _move(param: Param, value: Value, rng: random.Random) -> Value:
    domain = param.domain
    if isinstance(domain, Choice) or isinstance(value, str | bool):
        return value
    low, high = (math.log(domain.low), math.log(domain.high)) if domain.log else (domain.low, domain.high)
    here = math.log(value) if domain.log else value
    moved = min(max(here + rng.gauss(0.0, _STEP * (high - low)), low), high)
    number = math.exp(moved) if domain.log else moved
    if isinstance(domain, Int):
        steps = round((number - domain.low) / domain.step)
        return min(max(domain.low + steps * domain.step, domain.low), domain.high)
    if isinstance(domain, Float):
        return min(max(number, domain.low), domain.high)
    return value
