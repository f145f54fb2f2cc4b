"""A conditional space laid flat, for services that draw points themselves and know no conditions. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from seedbed.core.errors import DataError, UsageError
from seedbed.core.space import Choice, Condition, Domain, Float, Int, Param, Space, Value

MOST_OPTIONS = 30
"""Values of one choice that a tuning job of Amazon SageMaker takes (botocore's model of CategoricalParameterRange)."""

MOST_RANGES = 30
"""Ranges that it takes altogether."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What may be drawn for one parameter: numbers from `low` to `high`, or one of `options`, as text."""

    name: str
    kind: Literal["real", "whole", "choice"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    options: tuple[str, ...] = ()


def flatten(space: Space, names: Sequence[str] = ("*",)) -> tuple[Range, ...]:
    """Return a range for every parameter that is not settled, as if all were active; `point` drops those that are not.

    Those of no name that fits the patterns of `names` ("optimizer.*") stay at their defaults.

    Raises:
        UsageError: a parameter's range depends on another one, or there are too many; and what to settle.
    """
    found: dict[str, tuple[Param, Range]] = {}
    possible: dict[str, list[Value] | None] = {}
    for param in space.params:
        if not all(_may_hold(each, possible) for each in param.when):
            continue
        is_open = any(fnmatchcase(param.name, pattern) for pattern in names)
        _note(param, possible, is_open=is_open)
        if not is_open or (isinstance(param.domain, Choice) and len(param.domain.options) == 1):
            continue
        if param.name in found and found[param.name][0].domain != param.domain:
            parents = " and ".join(sorted({each.parent for each in param.when}))
            raise UsageError(
                f"What {param.name} may be depends on {parents}, and a tuning job knows no conditions; "
                f"settle {parents} (--set {param.when[-1].parent}=…)."
            )
        found[param.name] = (param, _range(param))
    if len(found) > MOST_RANGES:
        raise UsageError(
            f"{len(found)} parameters are open, and a tuning job takes {MOST_RANGES}; settle some, the architecture "
            "first (--set architecture=…, --set policy=…, --set optimizer=…), or name fewer to be tuned."
        )
    return tuple(each for _, each in found.values())


def _note(param: Param, possible: dict[str, list[Value] | None], *, is_open: bool) -> None:
    """Widen what a parameter may be; None where that is more than a list can say."""
    domain = param.domain if is_open else Choice(param.default)
    options = list(domain.options) if isinstance(domain, Choice) else None
    before = possible.get(param.name, [])
    possible[param.name] = None if options is None or before is None else [*before, *options]


def _may_hold(condition: Condition, possible: Mapping[str, list[Value] | None]) -> bool:
    options = possible.get(condition.parent, [])
    return options is None or any(option in condition.values for option in options)


def _range(param: Param) -> Range:
    domain = param.domain
    if isinstance(domain, Float):
        return Range(name=param.name, kind="real", low=domain.low, high=domain.high, log=domain.log)
    if isinstance(domain, Int) and domain.step == 1:
        return Range(name=param.name, kind="whole", low=domain.low, high=domain.high, log=domain.log)
    options = tuple(_texts(domain))
    if len(options) > MOST_OPTIONS:
        raise UsageError(
            f"{param.name} has {len(options)} options, and a tuning job takes {MOST_OPTIONS}; "
            f"settle it (--set {param.name}=…)."
        )
    return Range(name=param.name, kind="choice", options=options)


def _texts(domain: Choice | Int) -> dict[str, Value]:
    """Return the options under the texts that stand for them; strings stand for themselves where none is ambiguous."""
    options: Iterable[Value]
    options = domain.options if isinstance(domain, Choice) else range(domain.low, domain.high + 1, domain.step)
    plain = {each if isinstance(each, str) else json.dumps(each): each for each in options}
    return plain if len(plain) == len(list(options)) else {json.dumps(each): each for each in options}


def point(space: Space, drawn: Mapping[str, str]) -> dict[str, Value]:
    """Return the point that texts stand for: what is active takes what was drawn for it, or its default.

    Raises:
        DataError: a text stands for nothing that the parameter may be.
    """
    values: dict[str, Value] = {}
    for param in space.active(values):
        values[param.name] = _read(param, drawn[param.name]) if param.name in drawn else param.default
    return values


def _read(param: Param, text: str) -> Value:
    domain = param.domain
    try:
        if isinstance(domain, Float):
            return min(max(float(text), domain.low), domain.high)  # a decimal may be rounded beyond the end
        if isinstance(domain, Int) and domain.step == 1:
            found: Value = round(float(text))
        else:
            found = _texts(domain)[text]
    except (KeyError, ValueError, OverflowError) as error:
        raise DataError(f"{param.name}={text!r} was drawn, which is not in {domain}.") from error
    if found not in domain:
        raise DataError(f"{param.name}={text!r} was drawn, which is not in {domain}.")
    return found


def to_rows(space: Space) -> list[dict[str, Any]]:
    """Return the space as JSON can hold it."""
    return [
        {
            "name": each.name,
            "domain": _domain_row(each.domain),
            "default": each.default,
            "when": [[condition.parent, list(condition.values)] for condition in each.when],
        }
        for each in space.params
    ]


def from_rows(rows: Iterable[Mapping[str, Any]]) -> Space:
    """Read a space back.

    Raises:
        DataError: these rows are none.
    """
    try:
        return Space(
            tuple(
                Param(
                    row["name"],
                    _DOMAINS[row["domain"][0]](*row["domain"][1:]),
                    row["default"],
                    tuple(Condition(parent, tuple(values)) for parent, values in row["when"]),
                )
                for row in rows
            )
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"This is no search space: {error!r}.") from error


_DOMAINS: dict[str, type[Float] | type[Int] | type[Choice]] = {"float": Float, "int": Int, "choice": Choice}


def _domain_row(domain: Domain) -> list[Value]:
    match domain:
        case Float():
            return ["float", domain.low, domain.high, domain.log]
        case Int():
            return ["int", domain.low, domain.high, domain.step, domain.log]
        case Choice():
            return ["choice", *domain.options]
