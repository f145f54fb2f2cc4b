"""The order in which people expect names."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?")


def sort_naturally(names: Iterable[str]) -> tuple[str, ...]:
    """Sort names as people do: by number where all are numbers, `img2` before `img10` elsewhere."""
    names = list(names)
    if all(_NUMBER.fullmatch(name) for name in names):
        return tuple(sorted(names, key=lambda name: (float(name), name)))
    return tuple(sorted(names, key=_natural_key))


def _natural_key(name: str) -> tuple[list[str | tuple[int, str]], str]:
    pieces = re.split(r"([0-9]+)", name.casefold())
    return [_size(piece) if place % 2 else piece for place, piece in enumerate(pieces)], name


def _size(digits: str) -> tuple[int, str]:
    """Return what digits are compared by; `int` refuses more than 4,300 of them."""
    significant = digits.lstrip("0")
    return len(significant), significant
