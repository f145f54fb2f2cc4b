"""Which column of a table names the images of a folder, and how: by path, by name, or by either without suffix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from seedbed.core.data.dataset import Part
from seedbed.core.data.parts import PART_NAMES

Way = Literal["path", "name", "path without suffix", "name without suffix"]
WAYS: tuple[Way, ...] = ("path", "name", "path without suffix", "name without suffix")
LEAST_SHARE = 0.5
"""The least share of a column's first cells that have to name images."""


@dataclass(frozen=True, slots=True)
class Match:
    """A column that names images: `named` counts the different ones among its first cells."""

    column: str
    way: Way
    named: int
    share: float


class Names:
    """The images below a folder, by one way of naming them; several may share a name."""

    def __init__(self, images: Iterable[str], way: Way) -> None:
        self.way = way
        self._paths: dict[str, list[str]] = {}
        for path in images:
            self._paths.setdefault(_key(path, way), []).append(path)

    def find(self, cell: str, part: Part = "") -> str | None:
        """Return the image that a cell names, None where it names none, or several not told apart by the part."""
        wanted = cell.strip().replace("\\", "/").removeprefix("./")
        if not wanted:
            return None
        if self.way.startswith("name"):
            return _only(self._paths.get(wanted.rpartition("/")[2], ()), part)
        while True:  # photos/cat/1.jpg may be written seen from above the folder, or on another machine
            found = _only(self._paths.get(wanted, ()), part)
            _, slash, wanted = wanted.partition("/")
            if found is not None or not slash:
                return found


def best_match(columns: Mapping[str, Sequence[str]], images: Sequence[str], part: Part = "") -> Match | None:
    """Return the column whose first cells name the most images; of equal ones the plainer way wins."""
    found: list[Match] = []
    for way in WAYS:
        names = Names(images, way)
        for column, cells in columns.items():
            paths = [path for path in (names.find(cell, part) for cell in cells) if path is not None]
            if cells and len(paths) >= LEAST_SHARE * len(cells):
                found.append(Match(column, way, len(set(paths)), len(paths) / len(cells)))
    return max(found, key=lambda each: each.named, default=None)


def says_part(folder: str) -> Part:
    """Return the part that a folder's name begins or ends with: of test, test_images and images-test the test part."""
    words = folder.lower().replace("-", "_").split("_")
    return PART_NAMES.get(words[0]) or PART_NAMES.get(words[-1]) or ""


def _key(path: str, way: Way) -> str:
    name = path.rpartition("/")[2] if way.startswith("name") else path
    return name.rpartition(".")[0] if way.endswith("suffix") else name


def _only(paths: Sequence[str], part: Part) -> str | None:
    if len(paths) > 1 and part:
        paths = [path for path in paths if any(says_part(folder) == part for folder in path.split("/")[:-1])]
    return paths[0] if len(paths) == 1 else None
