"""Files and folders that are sent elsewhere: what tells their content, and how they are put down whole."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from pathlib import Path


def files_of(path: Path) -> list[Path]:
    """Return the files of a folder, or the one that a path is, in order."""
    return sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]


def key_of(path: Path) -> str:
    """Return what tells a file or folder from one of other content, by the names, sizes and times of its files."""
    digest = hashlib.sha256()
    for each in files_of(path):
        found = each.stat()
        told = (str(each), found.st_size, found.st_mtime_ns)
        digest.update(repr(told).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()[:20]


def beside(target: Path) -> Path:
    """Return where to build what shall take a place, in one step, by `put_in_place`."""
    return target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}.partial")


def put_in_place(source: Path, target: Path) -> None:
    """Move a file or folder into a place; a folder that is there already goes first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_dir():
        source.replace(target)
        return
    old = beside(target)
    target.rename(old)
    source.rename(target)
    shutil.rmtree(old, ignore_errors=True)
