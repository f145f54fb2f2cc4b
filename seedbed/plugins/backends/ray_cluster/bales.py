"""Files and folders on their way through the object store: cut into pieces, put down whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from seedbed.plugins.backends.files import beside, files_of, key_of, put_in_place

PIECE = 16 * 2**20
"""Bytes that travel in one message at most: a store of a few hundred megabytes must hold several."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file; `name` is its path within what is packed, with slashes, "" for a single file."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Bale:
    """A file or folder in the object store: `pieces` are references to its parts, in order.

    `key` is equal for equal content; `path` is where it lies with its owner.
    """

    key: str
    path: str
    is_folder: bool
    pieces: tuple[Any, ...]


def pack(path: Path, size: int = PIECE) -> Iterator[Piece]:
    """Yield all that lies at a path in parts of at most `size` bytes; an empty file is one part."""
    for file in files_of(path):
        name = "" if file == path else file.relative_to(path).as_posix()
        with file.open("rb") as stream:
            part = stream.read(size)
            yield Piece(name, part)
            while len(part) == size and (part := stream.read(size)):
                yield Piece(name, part)


def unpack(pieces: Iterable[Piece], target: Path, *, is_folder: bool) -> None:
    """Put parts together at a path that does not exist yet, or replace what is there; the last step is a rename.

    Raises:
        ValueError: a name leads out of the folder.
    """
    partial = beside(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if is_folder:
            partial.mkdir()
        for piece in pieces:
            file = partial / _inside(piece.name) if is_folder else partial
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("ab") as stream:
                stream.write(piece.data)
        put_in_place(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True) if partial.is_dir() else partial.unlink(missing_ok=True)


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{name!r} leads out of its folder.")
    return path


class Store:
    """The bales of a run, each put into the object store once for as long as its content is the same."""

    def __init__(self, put: Callable[[Piece], Any]) -> None:
        """Use `put`, which stores a part and returns a reference to it."""
        self._put = put
        self._known: dict[Path, Bale] = {}

    def bale(self, path: Path, *, is_kept: bool = True) -> Bale:
        """Return the bale of a file or folder; what is not `is_kept` is packed anew each time."""
        key = key_of(path)
        known = self._known.get(path)
        if known is not None and known.key == key:
            return known
        pieces = tuple(self._put(piece) for piece in pack(path))
        found = Bale(key=key, path=str(path), is_folder=path.is_dir(), pieces=pieces)
        if is_kept:
            self._known[path] = found
        return found
