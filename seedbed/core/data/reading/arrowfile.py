"""Rows that may be too many for memory, as a memory-mapped Arrow file in the cache; an edge.

A stored folder, `cache/tables/<key>`, holds `rows.arrow` (an Arrow IPC stream) and `rows.json` (how many
rows there are, and what was found while they were made). The key is a fingerprint of what went in, so
that equal data is converted once. The folder is filled under another name and renamed when whole: a
killed run leaves nothing half-done that could be taken for whole.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from seedbed.core.data.preparing.cachefolder import make_room, put_in_place
from seedbed.core.data.profile import Finding
from seedbed.core.errors import DataError

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

VERSION = 1  # raise it when equal input would be stored in another form
BATCH_BYTES = 8 * 2**20
"""About how much a batch should hold: large enough to be quick, small enough that a few fit anywhere."""
MOST_COLUMNS = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """Memory-mapped rows, and what was found while they were made."""

    rows: datasets.Dataset
    findings: tuple[Finding, ...] = ()


class _Facts(msgspec.Struct):
    rows: int
    findings: tuple[Finding, ...]


class Sink:
    """Takes batches of one schema, in row order, and the findings to be kept beside them.

    `scratch` is a folder for what is needed until all is written.
    """

    def __init__(self, file: Path, scratch: Path) -> None:
        self.file = file
        self.scratch = scratch
        self.findings: list[Finding] = []
        self.rows = 0
        self._schema: pa.Schema | None = None
        self._stream: pa.RecordBatchStreamWriter | None = None

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Append rows; the first batch settles the schema, types that `datasets` lacks are given another.

        Raises:
            DataError: there is no room, or a type has no counterpart.
        """
        import pyarrow as pa

        schema = plain_schema(batch.schema) if self._schema is None else self._schema
        try:
            plain = batch if batch.schema.equals(schema) else batch.cast(schema)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(f"Columns of the types {batch.schema.types} cannot be stored: {error}.") from error
        try:
            if self._stream is None:
                self._schema = schema
                self._stream = pa.ipc.new_stream(str(self.file), schema)
            self._stream.write(plain)
        except OSError as error:
            raise DataError(f"The cache {self.scratch} has no room ({error}); set SEEDBED_HOME.") from error
        self.rows += batch.num_rows

    def close(self) -> None:
        """Finish the file."""
        if self._stream is not None:
            self._stream.close()


def store(cache: Path, key: str, fill: Callable[[Sink], None], *, needed_bytes: int = 0) -> Stored:
    """Open what is stored under a key, or let `fill` write it.

    `needed_bytes` is about what it will take on the disk.

    Raises:
        DataError: the cache has no room or cannot be written to, or `fill` wrote nothing or raised it.
    """
    folder = cache / "tables" / key
    with suppress(DataError):  # missing or damaged: made below
        return _open(folder)
    try:
        make_room(folder.parent, needed_bytes, "The rows")
        outer = tempfile.TemporaryDirectory(prefix=".partial-", dir=folder.parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise DataError(f"The cache {cache} cannot be written to ({error}); set SEEDBED_HOME.") from error
    with outer:
        partial = Path(outer.name) / key
        partial.mkdir()
        sink = Sink(partial / "rows.arrow", Path(outer.name))
        try:
            fill(sink)
        finally:
            with suppress(OSError):  # a full disk was told by `write`
                sink.close()
        try:
            facts = _Facts(rows=sink.rows, findings=tuple(sink.findings))
            (partial / "rows.json").write_bytes(msgspec.json.encode(facts))
            put_in_place(partial, folder, _open)
        except OSError as error:
            raise DataError(f"The cache {cache} cannot be written to ({error}); set SEEDBED_HOME.") from error
    return _open(folder)


def fingerprint(*parts: object) -> str:
    """Name a content: a digest of the parts' text."""
    text = "\0".join([str(VERSION), *map(str, parts)])
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def file_stamp(path: Path) -> str:
    """Return what changes when a file does: its whole path, size and time of change.

    Raises:
        DataError: the file cannot be looked at.
    """
    try:
        whole = path.resolve(strict=True)
        found = whole.stat()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    return f"{whole} {found.st_size} {found.st_mtime_ns}"


def unique_names(names: Iterable[str]) -> list[str]:
    """Give every column a name of its own: an empty one its number, a repeated one a number after it."""
    # A file that was written with a NUL in a name cannot be opened again.
    wanted = [name.encode("utf-8", "backslashreplace").decode().replace("\0", " ").strip() for name in names]
    taken = set(wanted)
    seen: set[str] = set()
    numbers: dict[str, int] = {}  # the next to be tried: from 2 every time, ten thousand equal names take 7 s
    unique = []
    for place, name in enumerate(wanted, start=1):
        base = name or f"column_{place}"
        chosen, number = base, numbers.get(base, 2)
        while chosen in seen or (chosen != name and chosen in taken):
            chosen, number = f"{base}_{number}", number + 1
        numbers[base] = number
        seen.add(chosen)
        unique.append(chosen)
    return unique


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return a schema of types that `datasets` knows, to which batches of the given one can be cast.

    Raises:
        DataError: a type has no counterpart there.
    """
    import pyarrow as pa
    from datasets import Features

    plain = pa.schema([field.with_type(_plain(field.type)) for field in schema])
    for field in plain:
        try:
            Features.from_arrow_schema(pa.schema([field]))
        except (ValueError, KeyError, TypeError, NotImplementedError) as error:
            raise DataError(f"The column {field.name!r} is of the type {field.type}, which cannot be used.") from error
    described = plain.with_metadata({b"huggingface": (schema.metadata or {}).get(b"huggingface", b"")})
    try:  # what `datasets` wrote about class names and images, where it fits
        declared: pa.Schema = Features.from_arrow_schema(described).arrow_schema
    except Exception:
        return plain  # a file may claim anything
    return declared if declared.equals(plain) else plain


def _plain(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(kind):
        return _plain(kind.value_type)
    if types.is_map(kind):
        pair = {"key": _plain(kind.key_type), "value": _plain(kind.item_type)}
        return pa.list_(pa.struct(list(pair.items())))
    if types.is_struct(kind):
        return pa.struct([each.with_type(_plain(each.type)) for each in kind])
    if types.is_fixed_size_list(kind):
        return pa.list_(_plain(kind.value_type), kind.list_size)
    if types.is_large_list(kind) or types.is_large_list_view(kind):
        return pa.large_list(_plain(kind.value_type))
    if types.is_list(kind) or types.is_list_view(kind):
        return pa.list_(_plain(kind.value_type))
    if types.is_string_view(kind):
        return pa.string()
    if types.is_binary_view(kind):
        return pa.binary()
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type)
    return kind


def _open(folder: Path) -> Stored:
    """Open a stored folder.

    Raises:
        DataError: it is missing or damaged.
    """
    from datasets import Dataset

    try:
        facts = msgspec.json.decode((folder / "rows.json").read_bytes(), type=_Facts)
        rows = Dataset.from_file(str(folder / "rows.arrow"))
    except (OSError, ValueError, TypeError, msgspec.MsgspecError) as error:
        raise DataError(f"{folder} holds no rows ({error}); read the data again.") from error
    if len(rows) != facts.rows:
        raise DataError(f"{folder} is damaged; delete it and read the data again.")
    return Stored(rows=rows, findings=facts.findings)
