"""Data that a program holds in memory → a table: frames, columns, records, arrays, and sets of `datasets`."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seedbed.core.data.dataset import Table
from seedbed.core.data.parts import PART_NAMES
from seedbed.core.data.profile import Finding
from seedbed.core.data.reading.arraycolumns import cast_columns
from seedbed.core.data.reading.arrayroles import Shape, roles_of, target_column
from seedbed.core.data.reading.arrayrows import InMemory, array_batches, array_schema
from seedbed.core.data.reading.arrowfile import plain_schema, unique_names
from seedbed.core.data.reading.datasetdict import table_of_splits
from seedbed.core.data.reading.objectcolumns import Column, as_array, column_from, package_of
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError
from seedbed.core.task import Modality

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

INPUT, TARGET = "input", "target"
"""The names that columns get which come without one."""

_EXPECTED = (
    "Give a pandas or polars DataFrame, a datasets.Dataset, a pyarrow.Table, a dict of columns, a list of dicts, an "
    "array of images (N, H, W[, C]) or series (N, C, T), or a list of texts, images or series."
)


def table_of(
    data: Any,  # noqa: ANN401 - whatever a program holds
    targets: Any = None,  # noqa: ANN401 - the same
    *,
    name: str = "memory",
    modality: Modality | None = None,
) -> Table:
    """Return data in memory as a table.

    Args:
        data: a pandas or polars frame or series, a `datasets.Dataset` or `DatasetDict`, a pyarrow table, a
            dict of columns or of arrays (`x_train`, `y_train`, `x_test` …), a list of dicts, an array or a
            tensor, or a sequence of texts, paths, pictures, arrays or lists.
        targets: what is to be learnt of each row, where it is no column of `data`.
        name: a short name, fit for a folder.
        modality: the user's word on what an array shows.

    Raises:
        DataError: the data is nothing of these, or does not fit together.
    """
    table = _table_of(data, name, modality)
    if targets is not None:
        table = _with_targets(table, targets)
    if not len(table):
        raise DataError(f"There are no rows in the data given. {_EXPECTED}")
    return table


def _table_of(data: Any, name: str, modality: Modality | None) -> Table:  # noqa: ANN401
    import pyarrow as pa

    package = package_of(data)
    if package == "datasets":
        return _of_datasets(data, name)
    if package == "pandas" and hasattr(data, "columns"):
        labels = [".".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in data.columns]
        return _of_columns(zip(labels, (data.iloc[:, at] for at in range(len(labels))), strict=True), name, modality)
    if isinstance(data, pa.RecordBatch | pa.Table):
        return _of_arrow(pa.table(data), name)
    if isinstance(data, Mapping):
        return _of_mapping(data, name, modality)
    if package != "pandas" and hasattr(data, "__arrow_c_stream__"):
        return _of_stream(data, name)
    if isinstance(data, str | bytes | bytearray | os.PathLike):
        raise DataError(f"{data!r:.60} is a single value; an address is read by fit or inspect. {_EXPECTED}")
    if isinstance(data, Sequence) and data and all(isinstance(each, Mapping) for each in data):
        labels = list(dict.fromkeys(key for row in data for key in row))
        return _of_columns(((str(key), [row.get(key) for row in data]) for key in labels), name, modality)
    if hasattr(data, "__array__") or isinstance(data, Sequence) or package == "pandas":
        return _of_columns([(INPUT, data)], name, modality, schema=Schema(inputs=(INPUT,)))
    raise DataError(f"Data of the type {type(data).__name__} cannot be read. {_EXPECTED}")


def _of_datasets(data: Any, name: str) -> Table:  # noqa: ANN401 - imported only where it is given
    import datasets

    if isinstance(data, datasets.IterableDataset | datasets.IterableDatasetDict):
        raise DataError(
            "An IterableDataset has no known length and cannot be gone through twice in order; load it without "
            "streaming=True, or make a Dataset of it: datasets.Dataset.from_list(list(data.take(100_000)))."
        )
    if isinstance(data, datasets.Dataset):
        return table_of_splits({"": data}, "memory", name)
    if isinstance(data, datasets.DatasetDict):
        return table_of_splits(data, "memory", name)
    raise DataError(f"A {type(data).__name__} of `datasets` cannot be read. {_EXPECTED}")


def _of_stream(data: Any, name: str) -> Table:  # noqa: ANN401 - polars and others by their arrow interface
    import pyarrow as pa

    try:
        return _of_arrow(pa.table(data), name)
    except (pa.ArrowException, TypeError, ValueError):
        return _of_columns([(INPUT, data)], name, None, schema=Schema(inputs=(INPUT,)))


def _of_arrow(table: pa.Table, name: str) -> Table:
    import pyarrow as pa

    table = table.rename_columns(unique_names(table.column_names))
    try:
        plain = cast_columns(table, plain_schema(table.schema.remove_metadata()))
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"The table has a column that cannot be used ({error}); leave it out.") from error
    return _table(plain, name)


def _of_mapping(data: Mapping[Any, Any], name: str, modality: Modality | None) -> Table:
    """Read a dict of columns; or of arrays, where their names tell parts or their lengths differ."""
    arrays = {str(key): as_array(str(key), each) for key, each in data.items() if _is_array(each)}
    lengths = {len(each) for each in data.values() if hasattr(each, "__len__")}
    is_parted = any(word in PART_NAMES for key in arrays for word in str(key).lower().split("_"))
    if arrays and any(each.ndim > 1 for each in arrays.values()) and (is_parted or len(lengths) > 1):
        return _of_arrays(arrays, name, modality)
    return _of_columns(((str(key), each) for key, each in data.items()), name, modality)


def _is_array(value: object) -> bool:
    return (
        hasattr(value, "__array__") and getattr(value, "ndim", 0) > 0 and package_of(value) not in ("pandas", "polars")
    )


def _of_arrays(arrays: Mapping[str, np.ndarray], name: str, modality: Modality | None) -> Table:
    import pyarrow as pa

    usable = {key: each for key, each in arrays.items() if each.dtype != object}
    roles = roles_of({key: Shape(each.shape, each.dtype) for key, each in usable.items()}, "The dict of arrays")
    told: list[Finding] = []
    batches = list(array_batches(roles, {key: InMemory(each) for key, each in usable.items()}, modality, told))
    rows = _rows(pa.Table.from_batches(batches))
    return Table(rows=rows, source="memory", name=name, schema=array_schema(roles, rows), findings=tuple(told))


def _of_columns(
    columns: Any,  # noqa: ANN401 - pairs of a name and values of any type
    name: str,
    modality: Modality | None,
    schema: Schema | None = None,
) -> Table:
    import pyarrow as pa

    pairs: list[tuple[str, Any]] = list(columns)
    labels = unique_names(label for label, _ in pairs)
    is_input = len(pairs) == 1
    made = {label: _column(label, each, modality, is_input) for label, (_, each) in zip(labels, pairs, strict=True)}
    lengths = {label: len(each) for label, each in made.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{label!r} {count:,}" for label, count in list(lengths.items())[:8])
        raise DataError(f"The columns have different lengths: {shown}; give one value for each row in all of them.")
    if not made:
        raise DataError(f"The data given has no columns. {_EXPECTED}")
    table = pa.table({label: each.values for label, each in made.items()})
    told = tuple(finding for each in made.values() for finding in each.findings)
    images = [label for label, each in made.items() if each.is_image]
    return _table(cast_columns(table, plain_schema(table.schema)), name, images, schema or Schema(), told)


def _column(label: str, values: Any, modality: Modality | None, is_input: bool) -> Column:  # noqa: ANN401
    """Return one column; of a dict's columns, a matrix of zeros and ones is labels before it is a series."""
    import pyarrow as pa

    if _is_array(values) and np.ndim(values) == 2 and np.shape(values)[1] > 1:
        array = as_array(label, values)
        if array.dtype.kind in "biu" and bool(((array == 0) | (array == 1)).all()) and label.lower() in _LABELS:
            found = target_column(label, array)
            return Column(values=pa.chunked_array([found.values]), findings=found.findings)
    return column_from(label, values, modality, is_input=is_input)


_LABELS = frozenset({"y", "label", "labels", "target", "targets", "class", "classes"})


def _with_targets(table: Table, targets: Any) -> Table:  # noqa: ANN401
    """Add targets as a column of their own."""
    import datasets
    import pyarrow as pa

    if isinstance(targets, str | bytes):
        raise DataError(f"The targets are {targets!r:.60}; give one for each row (a column is named by target=…).")
    label = unique_names([*table.rows.column_names, TARGET])[-1]
    told: tuple[Finding, ...] = ()
    kind = None
    if _is_array(targets) and as_array(label, targets).dtype != object:
        found = target_column(label, as_array(label, targets))
        values, kind, told = pa.chunked_array([found.values]), found.kind, found.findings
    else:
        values = column_from(label, targets).values
    if len(values) != len(table):
        raise DataError(f"There are {len(table):,} inputs but {len(values):,} targets; give one target for each.")
    rows: pa.Table = table.rows.data.table if table.rows._indices is None else table.rows.with_format("arrow")[:]
    given = rows.append_column(label, values)
    images = [name for name, each in table.rows.features.items() if isinstance(each, datasets.Image)]
    schema = Schema(target=label, kind=kind).over(table.schema)
    return _table(
        cast_columns(given, plain_schema(given.schema.remove_metadata())),
        table.name,
        images,
        schema,
        (*table.findings, *told),
    )


def _table(
    rows: pa.Table, name: str, images: Sequence[str] = (), schema: Schema | None = None, told: tuple[Finding, ...] = ()
) -> Table:
    return Table(rows=_rows(rows, images), source="memory", name=name, schema=schema or Schema(), findings=told)


def _rows(table: pa.Table, images: Sequence[str] = ()) -> datasets.Dataset:
    import datasets

    features = datasets.Features.from_arrow_schema(table.schema)
    features.update({name: datasets.Image(decode=False) for name in images})
    return datasets.Dataset(table, info=datasets.DatasetInfo(features=features), fingerprint=_fingerprint(table))


def _fingerprint(table: pa.Table) -> str:
    """Name rows by their content, at about 1 GB/s: what is derived of them is cached under it."""
    import pyarrow as pa

    sink = _Digest()
    with pa.ipc.new_stream(
        pa.PythonFile(sink, "w"), table.schema
    ) as stream:  # of a slice, it takes what is in it alone
        stream.write_table(table)
    return sink.digest.hexdigest()


class _Digest(io.RawIOBase):
    """A file that keeps nothing of what is written but a digest."""

    def __init__(self) -> None:
        super().__init__()
        self.digest = hashlib.blake2b(digest_size=12)

    def writable(self) -> bool:
        """It takes bytes."""
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        """Add to the digest."""
        self.digest.update(data)
        return len(data)
