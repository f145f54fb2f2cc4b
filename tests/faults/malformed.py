"""Malformed inputs: what a case is, ways to damage bytes, and all cases of the files beside this one."""

from __future__ import annotations

import functools
import hashlib
import os
import random
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

Write = Callable[[Path], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """Malformed data: `write` puts it into an empty folder and returns its address; `settings` are asked for with it.

    `name` is `form/fault/detail`.
    """

    name: str
    write: Write
    settings: Mapping[str, object] = field(default_factory=dict)


@functools.cache
def all_cases() -> tuple[Case, ...]:
    """Return all cases, in an order that never changes."""
    import malformed_arrays
    import malformed_folders
    import malformed_images
    import malformed_names
    import malformed_saved
    import malformed_tables

    modules = (
        malformed_tables,
        malformed_arrays,
        malformed_saved,
        malformed_images,
        malformed_names,
        malformed_folders,
    )
    return tuple(case for module in modules for case in module.cases())


def file_case(name: str, file: str, content: bytes, **settings: object) -> Case:
    """Return the case of a lone file."""

    def write(folder: Path) -> str:
        (folder / file).write_bytes(content)
        return str(folder / file)

    return Case(name=name, write=write, settings=settings)


def files_case(name: str, files: Mapping[str, bytes], address: str = "", **settings: object) -> Case:
    """Return the case of several files; the address is the folder, or what lies at `address` in it."""

    def write(folder: Path) -> str:
        for file, content in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content)
        return str(folder / address)

    return Case(name=name, write=write, settings=settings)


def truncated(content: bytes, most: int = 10**6) -> Iterator[tuple[int, bytes]]:
    """Yield a content cut off at every offset, or at `most` offsets evenly apart, with the offset."""
    step = -(-len(content) // most)
    for end in range(0, len(content), step):
        yield end, content[:end]


def flipped(content: bytes, count: int) -> Iterator[tuple[int, bytes]]:
    """Yield a content with one to eight random bytes changed, `count` times; with the number of the attempt."""
    for number in range(count):
        rng = random.Random(f"{len(content)} {number}")
        changed = bytearray(content)
        for _ in range(rng.choice((1, 1, 2, 4, 8))):
            changed[rng.randrange(len(changed))] ^= rng.randrange(1, 256)
        yield number, bytes(changed)


def damaged(form: str, file: str, content: bytes, cuts: int, flips: int, **settings: object) -> Iterator[Case]:
    """Yield cases of a lone file that is cut off, or has bytes changed."""
    for end, cut in truncated(content, cuts):
        yield file_case(f"{form}/truncated/{end}", file, cut, **settings)
    for number, changed in flipped(content, flips):
        yield file_case(f"{form}/flipped/{number}", file, changed, **settings)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What lies somewhere: its path, what the file system says of it, and a digest of its content or where it leads."""

    path: bytes
    status: os.stat_result
    content: bytes

    @property
    def is_special(self) -> bool:
        """Whether it is neither file nor folder, but a link, a pipe or the like."""
        return not (stat.S_ISREG(self.status.st_mode) or stat.S_ISDIR(self.status.st_mode))


def everything(folder: Path) -> Iterator[Found]:
    """Yield all that lies below a folder, without following links, however deep it is."""
    for place, folders, files, opened in os.fwalk(os.fsencode(folder)):
        for name in (*folders, *files):
            status = os.stat(name, dir_fd=opened, follow_symlinks=False)
            content = b""
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(name, dir_fd=opened)
            elif stat.S_ISREG(status.st_mode):
                with suppress(PermissionError), os.fdopen(os.open(name, os.O_RDONLY, dir_fd=opened), "rb") as file:
                    content = hashlib.blake2b(file.read(2**26)).digest()  # of a sparse one of gigabytes the beginning
            yield Found(path=place + b"/" + name, status=status, content=content)


def snapshot(folder: Path) -> dict[bytes, tuple[object, ...]]:
    """Return of all that lies below a folder what changes when it does: kind, rights, size, time of change, content."""
    return {
        each.path: (each.status.st_mode, each.status.st_size, each.status.st_mtime_ns, each.content)
        for each in everything(folder)
    }


def inputs_in(folder: Path) -> set[tuple[bytes, bytes]]:
    """Return what tells the inputs in a folder from all others: name and content of files, those named `good` aside.

    Links and special files differ by their paths.
    """
    found = set()
    for each in everything(folder):
        name = each.path.rpartition(b"/")[2]
        if each.is_special:
            found.add((os.path.relpath(each.path, os.fsencode(folder)), each.content))
        elif each.content and not name.startswith(b"good"):
            found.add((name, each.content))
    return found


def rows(count: int = 10) -> Sequence[tuple[str, str]]:
    """Return texts and classes that a model could learn."""
    return [(f"a {word} film {number}", word) for number in range(count // 2) for word in ("good", "bad")]
