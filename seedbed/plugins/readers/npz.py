"""NumPy archives: arrays of images, series or strings with their targets, read a block at a time; an edge."""

from __future__ import annotations

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from seedbed import NoOptions
from seedbed.core.data.dataset import ReadContext, Table, short_name
from seedbed.core.data.reading.arrayforms import MOST_ROW_BYTES, rows_at_once
from seedbed.core.data.reading.arrayroles import Shape, roles_of
from seedbed.core.data.reading.arrayrows import array_batches, array_schema
from seedbed.core.data.reading.arrowfile import Sink, file_stamp, fingerprint, store
from seedbed.core.errors import DataError
from seedbed.core.task import Modality

VERSION = 1  # raise it when an equal file would give other rows
MOST_WHOLE_BYTES = 2 * 2**30
"""The most that is read at once: of columns besides the inputs, and of arrays with the columns first."""

# What zipfile, zlib and numpy raise on rubbish; RecursionError and NotImplementedError are RuntimeErrors.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError, EOFError, OSError, ValueError,
    TypeError, KeyError, IndexError, OverflowError, SyntaxError, MemoryError, RuntimeError,
)  # fmt: skip
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def build(options: NoOptions) -> Npz:
    """Build the reader."""
    return Npz()


@dataclass(frozen=True, slots=True)
class Member:
    """One array of an archive, as its header declares it; its values begin at `begins` in the member."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    is_fortran: bool
    begins: int

    @property
    def size(self) -> int:
        """The bytes that the values take, by the header."""
        return math.prod(self.shape) * self.dtype.itemsize

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the rows in order, some megabytes at a time."""
        if self.is_fortran or not self.size:
            whole, step = self.whole(), rows_at_once(self.shape, self.dtype.itemsize)
            yield from (whole[start : start + step] for start in range(0, len(whole), step))
            return
        row = self.size // self.shape[0]
        if row > MOST_ROW_BYTES:
            raise DataError(f"A row of `{self.name}` takes {row:,} bytes; {MOST_ROW_BYTES:,} are the most.")
        step = rows_at_once(self.shape, self.dtype.itemsize)
        with self.archive.open(self.info) as file:
            _exactly(file, self.begins, self.name)
            for start in range(0, self.shape[0], step):
                count = min(step, self.shape[0] - start)
                values = np.frombuffer(_exactly(file, count * row, self.name), self.dtype)
                yield values.reshape(count, *self.shape[1:])
            file.read(1)  # at its end, zipfile holds the checksum against what was read

    def whole(self) -> np.ndarray:
        """Return all values.

        Raises:
            DataError: they are too many.
        """
        if self.size > MOST_WHOLE_BYTES:
            raise DataError(
                f"`{self.name}` takes {self.size:,} bytes, and {MOST_WHOLE_BYTES:,} are the most for an array that "
                "must be read at once; save it with np.ascontiguousarray, or leave it out."
            )
        with self.archive.open(self.info) as file:
            _exactly(file, self.begins, self.name)
            values = np.frombuffer(_exactly(file, self.size, self.name), self.dtype)
            file.read(1)
        return values.reshape(self.shape, order="F" if self.is_fortran else "C")


class Npz:
    """Reads `x` and `y`, or `x_train`, `y_train`, `x_test`, `y_test`, from an archive of `numpy.savez`."""

    def read(self, source: str, context: ReadContext) -> Table:
        """Convert the arrays into rows, once; nothing is unpickled, and what is large passes in blocks.

        Raises:
            DataError: the file is damaged, or its arrays fit nothing that can be learnt from.
        """
        path = Path(source)
        wanted: Modality | None = context.modality
        key = fingerprint("npz", VERSION, file_stamp(path), wanted)
        with _opened(path, source) as archive:
            members = _members(archive, source)
            roles = roles_of({name: Shape(each.shape, each.dtype) for name, each in members.items()}, source)

            def fill(sink: Sink) -> None:
                for batch in array_batches(roles, members, wanted, sink.findings):
                    sink.write(batch)

            needed = sum(members[columns[roles.inputs]].size for columns in roles.parts.values())
            stored = store(context.cache, key, fill, needed_bytes=needed)
            return Table(
                rows=stored.rows,
                source=source,
                name=short_name(path.stem, "arrays"),
                schema=array_schema(roles, stored.rows),
                findings=stored.findings,
            )


@contextmanager
def _opened(path: Path, source: str) -> Iterator[zipfile.ZipFile]:
    """Open an archive; whatever its damage raises while it is read becomes a sentence."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except DataError:
        raise
    except _DAMAGE as error:
        raise DataError(
            f"{source} cannot be read as a NumPy archive: {str(error)[:200] or type(error).__name__}. "
            "It may be damaged or incomplete; write it again with numpy.savez_compressed(file, x=…, y=…)."
        ) from error


def _members(archive: zipfile.ZipFile, source: str) -> dict[str, Member]:
    """Read the headers of all arrays; what they declare is held against what is there before anything is allocated.

    Raises:
        DataError: an array holds Python objects, or has another size than it says; or there is none.
    """
    found = {}
    for info in archive.infolist():
        if not info.filename.endswith(".npy"):
            continue
        name = info.filename.removesuffix(".npy").encode("utf-8", "backslashreplace").decode()
        with archive.open(info) as file:
            version = np.lib.format.read_magic(file)
            if version not in _HEADERS:
                raise DataError(
                    f"{source}: `{name}` is written in the version {version} of the format; 1 and 2 are read."
                )
            shape, is_fortran, dtype = _HEADERS[version](file)
            begins = file.tell()
        member = Member(archive, info, name, shape, dtype, is_fortran=is_fortran, begins=begins)
        if dtype.hasobject:
            raise DataError(
                f"{source}: `{name}` holds Python objects, which are pickled; unpickling runs code, so it is not done. "
                "Save it as an array of numbers or of strings, as with np.array(texts, dtype=str); series of unequal "
                "lengths can be given as JSON lines or in a .ts file."
            )
        if dtype.kind not in "biufUSmM":
            raise DataError(f"{source}: `{name}` is of the type {dtype}; arrays of numbers or of strings are read.")
        if min(shape, default=0) < 0 or begins + member.size != info.file_size:
            raise DataError(
                f"{source}: `{name}` says that it is {shape} of {dtype}, which takes {member.size:,} bytes, but has "
                f"{info.file_size - begins:,}. It is damaged; write it again."
            )
        found[name] = member
    if not found:
        raise DataError(f"{source} holds no arrays; write it with numpy.savez_compressed(file, x=…, y=…).")
    return found


def _exactly(file: IO[bytes], size: int, name: str) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError(f"`{name}` ends {size - len(data):,} bytes too early")
    return data
