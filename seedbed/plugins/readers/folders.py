"""What lies in a folder: visible files and folders, images among them, and names that say a part; an edge."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from seedbed.core.data.columns import SUFFIXES
from seedbed.core.data.parts import PART_NAMES
from seedbed.core.errors import DataError

_SYSTEM_FILES = frozenset({"__macosx", "thumbs.db", "desktop.ini", "icon\r"})
_MOST_IN_A_SENTENCE = 5
_MOST_LEVELS = 64  # below Python's limit of recursion, which a path of 4,096 characters can reach
_MOST_WRAPPINGS = 8


def list_folder(folder: str) -> tuple[list[str], list[str]]:
    """Return the names of the visible folders and files, each sorted; links are followed, dead ones left out."""
    folders, files = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in _SYSTEM_FILES:
                continue
            with suppress(OSError):  # a link to itself
                if entry.is_dir():
                    folders.append(entry.name)
                elif entry.is_file():
                    files.append(entry.name)
    return sorted(folders), sorted(files)


def walk(folder: str) -> Iterator[str]:
    """Yield the visible files below a folder, seen from it.

    A folder that links lead to several times is gone through once: circles end, and so do folders that
    all link to each other, the paths through which are without number.
    """
    return _walk(folder, "", {os.path.realpath(folder)}, _MOST_LEVELS)


def _walk(folder: str, prefix: str, seen: set[str], levels: int) -> Iterator[str]:
    folders, files = list_folder(folder)
    for name in files:
        yield prefix + name
    for name in folders if levels else ():
        path = f"{folder}{os.sep}{name}"
        real = os.path.realpath(path)
        if real not in seen:
            seen.add(real)
            yield from _walk(path, f"{prefix}{name}/", seen, levels - 1)


def is_image(name: str) -> bool:
    """Whether a file is taken for an image: by its suffix, and by a name that tables and JSON can hold."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a tenth of the cost of a Path
    return suffix in SUFFIXES and shown(name) == name


def unwrap(root: Path) -> Path:
    """Step into a lone folder of folders, as archives leave them: photos/photos/cat/1.jpg."""
    for _ in range(_MOST_WRAPPINGS):
        folders, files = list_folder(str(root))
        if len(folders) != 1 or any(map(is_image, files)) or folders[0].lower() in PART_NAMES:
            break
        inner, images = list_folder(str(root / folders[0]))
        if not inner or any(map(is_image, images)):
            break
        root = root / folders[0]
    return root


def shown(name: str) -> str:
    """Return the name with what is not valid Unicode escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def require_text(path: Path) -> None:
    """See that a path can be written into a table.

    Raises:
        DataError: it holds bytes that are no text.
    """
    if shown(str(path)) != str(path):
        raise DataError(f"The path {shown(str(path))} holds bytes that are not UTF-8; rename that folder.")


def not_listed(error: OSError, source: str) -> str:
    """Return the sentence for a folder that cannot be listed, by its own name."""
    where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else source
    return f"{shown(where)} cannot be read: {error.strerror or error}. Check its permissions, or take it out."


def listed(names: list[str]) -> str:
    """Return the first few names, for a sentence."""
    return ", ".join(names[:_MOST_IN_A_SENTENCE]) + (" …" if len(names) > _MOST_IN_A_SENTENCE else "")


def some(count: int, noun: str) -> str:
    """Return `1 image` or `2,000 images`."""
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s"
