"""Columns as plain arrow arrays, a batch at a time: what interpretation measures and converts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

Form = Literal[
    "image", "numbers", "channels", "labels", "string", "boolean", "integer", "float", "date", "empty", "other"
]
"""How a column is stored; `numbers` are lists of numbers, `channels` lists of these, `labels` lists of strings."""

BATCH_BYTES = 32 * 2**20
BATCH_ROWS = 2**16


def scan(rows: datasets.Dataset, names: Sequence[str], most_rows: int = BATCH_ROWS) -> Iterator[list[pa.Array]]:
    """Yield batches of some columns in plain types, in row order, of about 32 MiB."""
    if not names:
        return
    step = max(1, min(most_rows, BATCH_BYTES * len(rows) // max(int(rows.data.nbytes), 1)))
    view = rows.with_format("arrow", columns=list(names))
    features = dict(rows.features)  # once: each look at them copies them all
    for start in range(0, len(rows), step):
        table = view[start : start + step]
        yield [plain(table.column(name), features[name]) for name in names]


def plain(column: pa.ChunkedArray, feature: object) -> pa.Array:
    """Return a column as one array without dictionaries, large or fixed types or zones, and class names for numbers."""
    import pyarrow as pa

    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # an older pyarrow
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    array = _plain(array)
    names = getattr(feature, "names", None) or getattr(getattr(feature, "feature", None), "names", None)
    if not isinstance(names, list):
        return array
    if pa.types.is_integer(array.type):
        return named(array, names)
    if pa.types.is_list(array.type):
        return lists(lengths_of(array), named(array.flatten(), names), nulls_of(array))
    return array


def form_of(kind: pa.DataType) -> Form:
    """Return the form of a plain type; `other` for binary columns, as it takes a look to know images."""
    import pyarrow as pa

    types = pa.types
    if types.is_list(kind):
        inside: dict[Form, Form] = {"integer": "numbers", "float": "numbers", "numbers": "channels", "string": "labels"}
        return inside.get(form_of(kind.value_type), "other")
    if types.is_struct(kind):
        return "image" if {each.name for each in kind} == {"bytes", "path"} else "other"
    if types.is_date(kind) or types.is_timestamp(kind):
        return "date"
    if types.is_floating(kind) or types.is_decimal(kind):
        return "float"
    known: tuple[tuple[bool, Form], ...] = (
        (types.is_null(kind), "empty"),
        (types.is_boolean(kind), "boolean"),
        (types.is_integer(kind), "integer"),
        (types.is_string(kind), "string"),
    )
    return next((form for fits, form in known if fits), "other")


def lists(lengths: np.ndarray, values: pa.Array, nulls: np.ndarray | None = None) -> pa.ListArray:
    """Build lists of these lengths (n,) from the values end to end; `nulls` (n,) marks those that are missing."""
    import pyarrow as pa

    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    mask = None if nulls is None or not nulls.any() else pa.array(nulls)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=mask)


def lengths_of(array: pa.Array) -> np.ndarray:
    """Return the length of each list, int64 (n,); 0 where it is missing."""
    import pyarrow.compute as pc

    found: np.ndarray = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    return found.astype(np.int64)


def nulls_of(array: pa.Array) -> np.ndarray:
    """Return a mask (n,) of what is missing."""
    found: np.ndarray = array.is_null().to_numpy(zero_copy_only=False)
    return found


def without_empty(array: pa.Array) -> pa.Array:
    """Return an array with null in the place of empty strings and NaN."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(array.type):
        return pc.if_else(pc.equal(pc.binary_length(array), 0), pa.scalar(None, array.type), array)
    if pa.types.is_floating(array.type):
        return pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    return array


def named(codes: pa.Array, names: list[str]) -> pa.Array:
    """Return class names for indices, null for what is no index of one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # -1 is how `datasets` marks rows without a class
    known = pc.and_(pc.greater_equal(codes, 0), pc.less(codes, len(names)))
    return pa.array(names, pa.string()).take(pc.if_else(known, codes, pa.scalar(None, codes.type)))


def _plain(array: pa.Array) -> pa.Array:
    import pyarrow as pa

    kind, types = array.type, pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(array.storage)
    if types.is_dictionary(kind):
        return _plain(array.dictionary_decode())
    if types.is_large_string(kind) or types.is_string_view(kind):
        return array.cast(pa.string())
    if types.is_large_binary(kind) or types.is_binary_view(kind) or types.is_fixed_size_binary(kind):
        return array.cast(pa.binary())
    if types.is_float16(kind):
        return array.cast(pa.float32())
    if types.is_timestamp(kind) and kind.tz is not None:
        return array.cast(pa.timestamp(kind.unit))  # the same moments; a zone may be one that there is not
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        values = array.flatten()  # of this slice alone: `values` would be those of the whole file
        inner = _plain(values)
        if inner is values and types.is_list(kind):
            return array
        return lists(lengths_of(array), inner, nulls_of(array))
    return array
