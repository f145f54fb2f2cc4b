"""What the user has set, brought into the space: `--set` wins over every domain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, cast

from seedbed.core.errors import UnknownName, UsageError
from seedbed.core.protocols import Lookup
from seedbed.core.search.events import ComponentRefused
from seedbed.core.space import Choice, Condition, Param, Space, Value, Values, domains
from seedbed.core.specs import Spec

_ONE = ("architecture", "optimizer", "schedule")  # slots of which a candidate has one component


def expanded(fixed: Values, lookup: Lookup) -> dict[str, Value]:
    """Resolve `architecture=timm:resnet34`: the component timm, and resnet34 for the one name it asks for.

    Raises:
        UnknownName: there is no such component.
        UsageError: the component has no name to be given.
    """
    found = dict(fixed)
    for slot in _ONE:
        component, colon, name = str(fixed.get(slot, "")).partition(":")
        if not colon:
            continue
        spec = lookup.get(slot, component)
        texts = [each for each, default in _constants(spec).items() if isinstance(default, str)]
        if len(texts) != 1:
            raise UsageError(f"{slot}={fixed[slot]}: {component} takes no name after a colon; give {slot}={component}.")
        found |= {slot: spec.name, f"{slot}.{spec.name}.{texts[0]}": name}
    return found


_OF_THE_RUN = ("strategy", "backend")
"""Kinds of which a run has one, whose options are set as those of candidates are, but not searched."""


def of_candidates(fixed: Values) -> dict[str, Value]:
    """Return what the user has set of candidates, without the options of the strategy and the backend."""
    return {name: value for name, value in fixed.items() if name.partition(".")[0] not in _OF_THE_RUN}


def options_of(spec: Spec, fixed: Values) -> Any:  # noqa: ANN401 - an instance of `spec.options`
    """Return the options of a strategy or a backend: those that the user has set, the others by default.

    Raises:
        UnknownName: it has no such option, or another component of its kind was meant.
        UsageError: the value is of the wrong type.
    """
    defaults = {each.name: each.default for each in fields(spec.options)}
    found: dict[str, Value] = {}
    for name, value in fixed.items():
        kind, _, rest = name.partition(".")
        if kind != spec.kind:
            continue
        owner, _, option = rest.partition(".")
        if owner != spec.name or option not in defaults:
            known = [f"{spec.kind}.{spec.name}.{each}" for each in defaults]
            raise UnknownName("option", name, known, hint=f"This run's {spec.kind} is {spec.name}.")
        default = defaults[option]
        is_whole = type(default) is float and type(value) is int
        if type(value) is not type(default) and not is_whole:
            raise UsageError(f"{name}={value!r} is no {type(default).__name__}; give one like {default!r}.")
        found[option] = float(value) if is_whole else value
    return spec.options(**found)


def _constants(spec: Spec) -> dict[str, Value]:
    """Return the options that are not searched, with their defaults."""
    searched = domains(spec.options)
    return {each.name: cast(Value, each.default) for each in fields(spec.options) if each.name not in searched}


def requested(kind: str, fixed: Values) -> frozenset[str]:
    """Return the components of a kind that the user has set, or has set something of."""
    slots = (name.split(".") for name in fixed if name.startswith(f"{kind}."))
    return frozenset({str(fixed.get(kind, "")), *(slot[1] for slot in slots)})


def pin(
    space: Space, fixed: Values, offered: Mapping[str, Sequence[Spec]], refusals: Sequence[ComponentRefused]
) -> Space:
    """Narrow the parameters that the user has set to the one value given, whatever their domain was.

    Options that are not searched become parameters with that one value.

    Raises:
        UnknownName: there is no such parameter.
        UsageError: the value is of the wrong type, or the component refused.
    """
    space = Space((*space.params, *_set_constants(fixed, offered)))
    names = {param.name for param in space.params}
    for name, value in fixed.items():
        if name not in names:
            slot, _, rest = name.partition(".")
            wanted = rest.partition(".")[0] or value
            for each in refusals:
                if (each.kind, each.name) == (slot, wanted):
                    raise UsageError(f"{name} cannot be set here: {slot}:{wanted} {each.reason}.")
            raise UnknownName("parameter", name, names, hint="`--set` takes names of the search space.")
    fixed = {**_switched_on(fixed, offered), **fixed}
    pinned = []
    for param in space.params:
        if param.name in fixed:
            value = _fitting(param, fixed[param.name], refusals)
            param = replace(param, domain=Choice(value), default=value)
        pinned.append(param)
    return Space(tuple(pinned))


def _fitting(param: Param, value: Value, refusals: Sequence[ComponentRefused]) -> Value:
    """Return the value in the type that the parameter's default has."""
    if type(param.default) is float and type(value) is int:
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{param.name}={value} is no number to train with; give one like {param.default!r}.")
    if isinstance(param.domain, Choice) and isinstance(value, str) and value not in param.domain:
        reason = next((each.reason for each in refusals if (each.kind, each.name) == (param.name, value)), None)
        if reason is not None:
            raise UsageError(f"{param.name}={value} cannot be used here: it {reason}.")
        raise UnknownName(param.name, value, map(str, param.domain.options))
    if type(value) is not type(param.default):
        wanted = type(param.default).__name__
        raise UsageError(f"{param.name}={value!r} is no {wanted}; give one like {param.default!r}.")
    return value


def _switched_on(fixed: Values, offered: Mapping[str, Sequence[Spec]]) -> dict[str, Value]:
    """Return the switches of components of which an option is set: who sets one wants it to count."""
    switches = {f"{kind}.{spec.name}" for kind, specs in offered.items() if kind not in _ONE for spec in specs}
    return {switch: True for switch in switches if any(name.startswith(f"{switch}.") for name in fixed)}


def _set_constants(fixed: Values, offered: Mapping[str, Sequence[Spec]]) -> list[Param]:
    found = []
    for kind, specs in offered.items():
        for spec in specs:
            for name, default in _constants(spec).items():
                path = f"{kind}.{spec.name}.{name}"
                if path in fixed:
                    when = Condition(kind, (spec.name,)) if kind in _ONE else Condition(f"{kind}.{spec.name}", (True,))
                    # The value given, too: what is no option of the component's is not judged here.
                    found.append(Param(path, Choice(default, fixed[path]), default, (when,)))
    return found
