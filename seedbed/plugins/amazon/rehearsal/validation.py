"""What the service checks of a request before it does anything: the limits of botocore's own service model.

botocore checks names, types and some minima before it sends; maxima, patterns and enums are left to the service.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from seedbed.plugins.amazon.rehearsal.wire import Refused

_NUMBERS = ("integer", "long", "float", "double")
# Java's classes of letters, spaces and digits, in Python's words.
_CLASSES = {r"\p{L}": r"\w", r"\p{Z}": r"\s", r"\p{N}": r"\d"}


@cache
def _pattern(text: str) -> re.Pattern[str] | None:
    """The service's pattern for Python, or None where Python has no words for it."""
    for java, ours in _CLASSES.items():
        text = text.replace(java, ours)
    try:
        return re.compile(text, re.DOTALL)
    except re.error:
        return None


def mistakes(shape: Shape, value: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 (a JSON edge)
    """Say everything in `value` that breaks the limits of `shape`, in the service's words."""
    bounds = shape.metadata
    if shape.type_name == "string":
        yield from _of_text(bounds, value, path)
    elif shape.type_name in _NUMBERS:
        if value < bounds.get("min", value):
            yield _broken(path, value, f"Member must have value greater than or equal to {bounds['min']}")
        if value > bounds.get("max", value):
            yield _broken(path, value, f"Member must have value less than or equal to {bounds['max']}")
    elif isinstance(shape, ListShape):
        yield from _of_length(bounds, value, path)
        for number, each in enumerate(value, 1):
            yield from mistakes(shape.member, each, f"{path}.{number}.member")
    elif isinstance(shape, MapShape):
        yield from _of_length(bounds, value, path)
        for key, each in value.items():
            yield from mistakes(shape.key, key, f"{path}.key")
            yield from mistakes(shape.value, each, f"{path}.{key}")
    elif isinstance(shape, StructureShape):
        for name in shape.required_members:
            if value.get(name) is None:
                yield _broken(_below(path, name), None, "Member must not be null")
        for name, each in value.items():
            if name in shape.members and each is not None:
                yield from mistakes(shape.members[name], each, _below(path, name))


def check(model: ServiceModel, operation: str, request: dict[str, Any]) -> None:
    """Raises: Refused, with every mistake of the request in one message."""
    shape = model.operation_model(operation).input_shape
    found = list(mistakes(shape, request)) if shape is not None else []
    if found:
        some = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: "
        raise Refused("ValidationException", some + "; ".join(found))


def _of_text(bounds: dict[str, Any], value: str, path: str) -> Iterator[str]:
    yield from _of_length(bounds, value, path)
    pattern = _pattern(bounds["pattern"]) if "pattern" in bounds else None
    if pattern is not None and not pattern.fullmatch(value):
        yield _broken(path, value, f"Member must satisfy regular expression pattern: {bounds['pattern']}")
    if "enum" in bounds and value not in bounds["enum"]:
        yield _broken(path, value, f"Member must satisfy enum value set: [{', '.join(bounds['enum'])}]")


def _of_length(bounds: dict[str, Any], value: Any, path: str) -> Iterator[str]:  # noqa: ANN401
    if len(value) < bounds.get("min", 0):
        yield _broken(path, value, f"Member must have length greater than or equal to {bounds['min']}")
    if len(value) > bounds.get("max", len(value)):
        yield _broken(path, value, f"Member must have length less than or equal to {bounds['max']}")


def _below(path: str, name: str) -> str:
    first = name[0].lower() + name[1:]
    return f"{path}.{first}" if path else first


def _broken(path: str, value: Any, rule: str) -> str:  # noqa: ANN401
    shown = "null" if value is None else str(value)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    return f"Value '{shown}' at '{path}' failed to satisfy constraint: {rule}"
