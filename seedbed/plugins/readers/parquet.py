"""Tables in Parquet files; an edge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed import Finding, NoOptions
from seedbed.core.data.dataset import ReadContext, Table
from seedbed.core.data.reading.arrowfile import (
    BATCH_BYTES,
    MOST_COLUMNS,
    Sink,
    plain_schema,
    unique_names,
)
from seedbed.core.errors import DataError
from seedbed.plugins.readers.filetable import file_table
from seedbed.plugins.readers.folders import some

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

VERSION = 1  # raise it when equal files would give other rows

_MOST_BATCH_ROWS = 65_536
_PEEK_ROWS = 200
_PROBED_ROWS = 32


def build(options: NoOptions) -> Parquet:
    """Build the reader."""
    return Parquet()


class Parquet:
    """Reads a Parquet file; nested columns, dates and encoded images are kept as they are."""

    def read(self, source: str, context: ReadContext) -> Table:
        """Convert the file into memory-mapped rows, or open what an earlier call left in the cache.

        Raises:
            DataError: the file is damaged or holds no rows.
        """
        # pages are compressed; tables of text take about twice as much
        return file_table(source, context, f"parquet {VERSION}", _convert, growth=2)


def peek(path: Path) -> dict[str, list[str]]:
    """Return the first rows as columns of strings: single texts and numbers alone.

    Raises:
        DataError: the file is damaged.
    """
    with _opened(path) as file:
        for batch in file.iter_batches(_PEEK_ROWS):
            columns = zip(unique_names(batch.schema.names), batch.columns, strict=True)
            lists = {name: cells.to_pylist() if _is_single(cells.type) else [] for name, cells in columns}
            return {
                name: [str(cell) for cell in cells if isinstance(cell, str | int | float)]
                for name, cells in lists.items()
            }
    return {}


def _is_single(kind: pa.DataType) -> bool:
    """Whether a column holds texts or numbers; of dates Python cannot hold all."""
    from pyarrow import types

    value = kind.value_type if types.is_dictionary(kind) else kind
    return not (types.is_nested(value) or types.is_temporal(value))


def _convert(path: Path, sink: Sink) -> None:
    with _opened(path) as file:
        if not file.metadata.num_rows or not len(file.schema_arrow):
            raise DataError(f"{path} has {len(file.schema_arrow)} columns but {file.metadata.num_rows} rows.")
        if len(file.schema_arrow) > MOST_COLUMNS:
            raise DataError(f"{path} has {len(file.schema_arrow):,} columns; at most {MOST_COLUMNS:,} can be used.")
        mended: dict[str, int] = {}
        for batch in _batches(file, mended):
            sink.write(batch)
        names = unique_names(file.schema_arrow.names)
    sink.findings += [_not_utf8(path, name, count) for name, count in mended.items()]
    renamed = [
        f"{old or 'empty'} → {new}" for old, new in zip(file.schema_arrow.names, names, strict=True) if old != new
    ]
    if renamed:
        sink.findings.append(
            Finding(
                check="intake",
                severity="info",
                evidence=f"{path.name}: column names are empty or not unique: {', '.join(renamed[:5])}.",
                remedy="Rename them.",
            )
        )


def _not_utf8(path: Path, name: str, count: int) -> Finding:
    return Finding(
        check="intake",
        severity="warning",
        evidence=f"{path.name}, column {name!r}: {some(count, 'cell')} not in UTF-8; what is none was replaced.",
        remedy="If letters look wrong, write the file anew from texts in UTF-8.",
        count=count,
    )


def _batches(file: pq.ParquetFile, mended: dict[str, int]) -> Iterator[pa.RecordBatch]:
    """Yield all rows, with names of their own, in batches of about equal size in memory.

    `mended` counts by column the texts that had to be brought to UTF-8.
    """
    import pyarrow as pa

    schema = file.schema_arrow
    fields = [field.with_name(name) for field, name in zip(schema, unique_names(schema.names), strict=True)]
    named = plain_schema(pa.schema(fields, schema.metadata))
    for batch in file.iter_batches(_batch_rows(file)):
        columns = [
            _mended(cells.cast(field.type), field.name, mended)
            for cells, field in zip(batch.columns, named, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=named)


def _mended(cells: pa.Array, name: str, mended: dict[str, int]) -> pa.Array:
    """Return cells with texts in UTF-8, as which other programs may have written anything."""
    import pyarrow as pa
    from pyarrow import types

    try:
        cells.validate(full=True)
        return cells
    except pa.ArrowInvalid:
        if not (types.is_string(cells.type) or types.is_large_string(cells.type)):
            raise
    given = cells.cast(pa.large_binary()).to_pylist()
    texts = [None if each is None else each.decode("utf-8", "replace") for each in given]
    changed = sum(text is not None and text.encode() != each for text, each in zip(texts, given, strict=True))
    mended[name] = mended.get(name, 0) + changed
    return pa.array(texts, cells.type)


def _batch_rows(file: pq.ParquetFile) -> int:
    """Return how many rows make a batch: by the sizes that the file states, and by its first rows.

    Of cells that repeat the file holds, and counts, one copy.
    """
    facts = file.metadata
    stated = sum(facts.row_group(number).total_byte_size for number in range(facts.num_row_groups)) / facts.num_rows
    first = next(file.iter_batches(_PROBED_ROWS))
    row_bytes = max(stated, first.nbytes / max(len(first), 1), 1.0)
    return int(min(max(BATCH_BYTES / row_bytes, 1), _MOST_BATCH_ROWS))


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a file so that what is wrong with it is said in a sentence.

    Raises:
        DataError: it is no Parquet file, or a damaged one.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Without pre_buffer a row group is read column by column and page by page, not as a whole.
        with pq.ParquetFile(path, memory_map=True, pre_buffer=False) as file:
            yield file
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is no Parquet file that can be read ({str(error)[:300]}); copy or write it anew."
        ) from error
