"""Folders of the cache, named by content, in which something was prepared once; an edge.

A folder is filled under another name and renamed when whole: a killed run leaves nothing half-done that
could be taken for whole, and of two processes that prepare the same the later one uses the earlier one's.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec
import numpy as np

from seedbed.core.errors import DataError

FACTS = "prepared.json"
NOT_WHOLE = (OSError, EOFError, ValueError, TypeError, msgspec.MsgspecError)
"""What reading a damaged folder, or one of another version, can raise."""

_STALE_SECONDS = 86_400

T = TypeVar("T")


@contextmanager
def filling(folder: Path, needed: int, what: str, opens: Callable[[Path], object]) -> Iterator[Path]:
    """Give a folder to fill; it takes the place of `folder` when the block ends well, and is removed if not.

    `needed` is what will be written, in bytes, `what` names it for people ("The prepared images").
    `opens` raises DataError where an older folder of that name is not whole.

    Raises:
        DataError: the cache has no room or cannot be written to.
    """
    cache = folder.parent
    try:
        make_room(cache, needed, what)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=cache) as outer:
            partial = Path(outer) / folder.name
            partial.mkdir()
            yield partial
            put_in_place(partial, folder, opens)
    except OSError as error:
        raise DataError(f"The cache {cache} cannot be written to ({error}); set SEEDBED_HOME.") from error


def write_facts(value: object, folder: Path) -> None:
    """Write a dataclass beside the arrays it describes."""
    facts = msgspec.to_builtins(value, enc_hook=str)
    (folder / FACTS).write_bytes(msgspec.json.encode(facts))


def read_facts(folder: Path, kind: type[T]) -> T:
    """Read a dataclass back; its field `folder` is the folder it lies in now.

    Raises:
        One of `NOT_WHOLE`: the folder is missing, damaged or of another version.
    """
    facts = msgspec.json.decode((folder / FACTS).read_bytes())
    return msgspec.convert({**facts, "folder": folder}, kind, dec_hook=_keep_path)


class ArrayFile:
    """A `.npy` file that grows block by block, where the number of rows is known only at its end.

    Written through a memory map, a full disk would be a bus error; here it is an OSError.
    """

    def __init__(self, file: BinaryIO, dtype: str, row: tuple[int, ...] = ()) -> None:
        self.rows = 0
        self._file = file
        self._dtype = np.dtype(dtype)
        self._row = row
        self._head()

    def append(self, block: np.ndarray) -> None:
        """Write some rows, of shape (n, *row)."""
        self._file.write(np.ascontiguousarray(block, dtype=self._dtype).data)
        self.rows += len(block)

    def finish(self) -> None:
        """Write the number of rows; NumPy leaves room in a header for the first axis to grow."""
        self._file.seek(0)
        self._head()
        self._file.seek(0, 2)

    def _head(self) -> None:
        facts = {"descr": self._dtype.str, "fortran_order": False, "shape": (self.rows, *self._row)}
        np.lib.format.write_array_header_1_0(self._file, facts)


def make_room(cache: Path, needed: int, what: str) -> None:
    """Make the cache folder, clear what runs killed a day ago left in it, and see that there is space."""
    cache.mkdir(parents=True, exist_ok=True)
    for left in cache.glob(".partial-*"):
        with suppress(OSError):  # another process was quicker
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    free = shutil.disk_usage(cache).free
    if free < needed * 1.02 + 2**20:
        raise DataError(
            f"{what} take {needed / 2**30:.2f} GiB; {cache} has {free / 2**30:.2f} GiB left. "
            "Free some space or set SEEDBED_HOME to a folder on another disk."
        )


def put_in_place(partial: Path, folder: Path, opens: Callable[[Path], object]) -> None:
    """Give a filled folder its name, unless another process was first; an older one that is damaged makes way."""
    try:
        partial.rename(folder)
    except OSError:
        try:
            opens(folder)  # another process was first
        except DataError:
            shutil.rmtree(folder)  # or an older run left it damaged
            partial.rename(folder)


def _keep_path(kind: type, value: Any) -> Any:  # noqa: ANN401 - msgspec hands over what it does not know
    return Path(value) if kind is Path else value
