"""One file of rows as a table: converted once, then opened from the cache; an edge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from seedbed.core.data.dataset import ReadContext, Table, short_name
from seedbed.core.data.reading.arrowfile import Sink, file_stamp, fingerprint, store


def file_table(
    source: str, context: ReadContext, kind: str, convert: Callable[[Path, Sink], None], *, growth: int = 1
) -> Table:
    """Return the rows of a file, memory-mapped; `convert` writes them where the cache has them not.

    `kind` names reader and version, `growth` says how many times the file's size the rows take.

    Raises:
        DataError: the file cannot be looked at, or what `convert` raises.
    """
    path = Path(source)
    key = fingerprint(kind, file_stamp(path))
    stored = store(context.cache, key, lambda sink: convert(path, sink), needed_bytes=growth * path.stat().st_size)
    return Table(
        rows=stored.rows,
        source=source,
        name=short_name(path.stem, "table"),
        folder=path.resolve().parent,
        findings=stored.findings,
    )
