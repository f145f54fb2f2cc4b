"""Typed, conditional search spaces: a space is a dataclass, a point is an instance of it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, get_args, get_type_hints

from seedbed.core.errors import BadSpec, UnknownName, UsageError

Value = str | int | float | bool
"""What a parameter may hold: it survives JSON unchanged."""

Values = Mapping[str, Value]
"""A point of a space: parameter name → value, active parameters only."""


@dataclass(frozen=True, slots=True)
class Float:
    """A real interval [low, high]; `log` samples it on a logarithmic scale."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low <= self.high or (self.log and self.low <= 0):
            raise BadSpec(f"{self}: `low <= high` must hold, and `low > 0` on a logarithmic scale.")

    def sample(self, rng: random.Random) -> float:
        """Draw a value uniformly, on the interval's own scale."""
        if self.log:
            value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
            return min(max(value, self.low), self.high)  # exp(log(x)) may leave the interval by one ulp
        return rng.uniform(self.low, self.high)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Int:
    """The integers low, low + step, … up to high; `log` samples them on a logarithmic scale."""

    low: int
    high: int
    step: int = 1
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low <= self.high or self.step < 1 or (self.log and (self.low <= 0 or self.step != 1)):
            raise BadSpec(f"{self}: `low <= high` and `step >= 1` must hold; log needs `low > 0` and step 1.")

    def sample(self, rng: random.Random) -> int:
        """Draw a value uniformly, on the range's own scale."""
        if self.log:
            value = math.exp(rng.uniform(math.log(self.low - 0.5), math.log(self.high + 0.5)))
            return min(max(round(value), self.low), self.high)
        return rng.randrange(self.low, self.high + 1, self.step)

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0


@dataclass(frozen=True, slots=True, init=False)
class Choice:
    """One of a few named options."""

    options: tuple[Value, ...]

    def __init__(self, *options: Value) -> None:
        if not options:
            raise BadSpec("A Choice needs at least one option.")
        object.__setattr__(self, "options", options)

    def sample(self, rng: random.Random) -> Value:
        """Draw one option, each as likely as the others."""
        return rng.choice(self.options)

    def __contains__(self, value: object) -> bool:
        # 1 == True in Python, so equality alone would let True stand for 1.
        return any(value == option and type(value) is type(option) for option in self.options)


Domain = Float | Int | Choice


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds when the parameter `parent` has one of `values`."""

    parent: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Param:
    """One searchable value; it is active while every condition of `when` holds.

    Two parameters may share a name if they are never active together: a choice whose options
    depend on its parent is written as one Param for each case.
    """

    name: str
    domain: Domain
    default: Value
    when: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        if self.default not in self.domain:
            raise BadSpec(f"The default {self.default!r} of {self.name} is outside {self.domain}.")


@dataclass(frozen=True, slots=True)
class Space:
    """A tree of parameters, written flat: parents come before their children."""

    params: tuple[Param, ...]

    def active(self, values: Values) -> Iterator[Param]:
        """Yield the parameters that `values` switches on, parents first; `values` may grow meanwhile."""
        for param in self.params:
            if all(values.get(each.parent) in each.values for each in param.when):
                yield param

    def default(self) -> dict[str, Value]:
        """Return the all-defaults point: the first trial of every study."""
        return self._fill({}, lambda param: param.default)

    def sample(self, rng: random.Random, fixed: Values | None = None) -> dict[str, Value]:
        """Draw a point at random; parameters named in `fixed` keep the values given there."""
        return self._fill(fixed or {}, lambda param: param.domain.sample(rng))

    def complete(self, partial: Values) -> dict[str, Value]:
        """Fill what `partial` leaves open with defaults.

        Raises:
            UnknownName: a parameter of `partial` does not exist.
            UsageError: a parameter of `partial` is not active, or its value lies outside its domain.
        """
        values = self._fill(partial, lambda param: param.default)
        self.validate({**values, **partial})
        return values

    def _fill(self, fixed: Values, pick: Callable[[Param], Value]) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for param in self.active(values):
            values[param.name] = fixed[param.name] if param.name in fixed else pick(param)
        return values

    def validate(self, values: Values) -> None:
        """Check that `values` is a point of this space: all active parameters and no others.

        Raises:
            UnknownName: a name does not exist at all.
            UsageError: a name is not active, is missing, or its value lies outside its domain.
        """
        expected = {param.name: param for param in self.active(values)}
        names = {param.name for param in self.params}
        for name in values:
            if name not in names:
                raise UnknownName("parameter", name, names)
            if name not in expected:
                raise UsageError(f"{name} is not active for this candidate; {self._conditions(name)}.")
        for name, param in expected.items():
            if name not in values:
                raise UsageError(f"{name} has no value; give one of {param.domain}.")
            if values[name] not in param.domain:
                raise UsageError(f"{name}={values[name]!r} is outside {param.domain}; pick a value inside it.")

    def _conditions(self, name: str) -> str:
        cases = [
            " and ".join(f"{each.parent} in {list(each.values)}" for each in param.when)
            for param in self.params
            if param.name == name
        ]
        return f"it is when {' or '.join(cases)}"


@cache
def domains(options: type) -> dict[str, tuple[Domain, Value]]:
    """Read the domains and defaults off an options dataclass; fields without a domain are constants.

    Raises:
        BadSpec: a field has no default, or its default lies outside its domain.
    """
    hints = get_type_hints(options, include_extras=True)
    found: dict[str, tuple[Domain, Value]] = {}
    for field in fields(options):
        if field.default is MISSING:
            raise BadSpec(f"{options.__name__}.{field.name} needs a default; it makes the first trial.")
        domain = next((each for each in get_args(hints[field.name])[1:] if isinstance(each, Domain)), None)
        if domain is None:
            continue
        if field.default not in domain:
            raise BadSpec(f"{options.__name__}.{field.name}: the default {field.default!r} is outside {domain}.")
        found[field.name] = (domain, field.default)
    return found


def children(prefix: str, options: type, when: tuple[Condition, ...]) -> Iterator[Param]:
    """Yield the parameters of one component: `optimizer.adamw.lr`, active under `when`."""
    for key, (domain, default) in domains(options).items():
        yield Param(f"{prefix}.{key}", domain, default, when)


def pick_one(
    slot: str, entries: Iterable[tuple[str, type]], default: str, when: tuple[Condition, ...] = ()
) -> tuple[Param, ...]:
    """Return a choice between named components, each with its own parameters below it."""
    entries = tuple(entries)
    root = Param(slot, Choice(*(name for name, _ in entries)), default, when)
    below = (
        param
        for name, options in entries
        for param in children(f"{slot}.{name}", options, (*when, Condition(slot, (name,))))
    )
    return (root, *below)


def pick_any(
    slot: str, entries: Iterable[tuple[str, type]], on: Iterable[str] = (), when: tuple[Condition, ...] = ()
) -> tuple[Param, ...]:
    """Return an on/off switch for each named component (`on` by default where named), with its parameters."""
    on = frozenset(on)
    found: list[Param] = []
    for name, options in entries:
        switch = f"{slot}.{name}"
        found.append(Param(switch, Choice(False, True), name in on, when))
        found += children(switch, options, (*when, Condition(switch, (True,))))
    return tuple(found)


def options_from(options: type, prefix: str, values: Values) -> Any:  # noqa: ANN401 - an instance of `options`
    """Build the typed options that a component's builder receives from a flat point of the space."""
    names = (each.name for each in fields(options))
    return options(**{name: values[f"{prefix}.{name}"] for name in names if f"{prefix}.{name}" in values})
