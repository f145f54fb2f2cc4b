"""Rows of arrays as arrow columns: encoded images, series as lists of channels, strings; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from seedbed.core.data.reading.arrayforms import ArrayForm, Scale
from seedbed.core.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


def column_of(block: np.ndarray, form: ArrayForm) -> pa.Array:
    """Return a block (n, …) as arrow: encoded images, lists of channels, or strings.

    An image with a value that is no number becomes empty: preparation names the row, and the others go on.
    """
    if form.modality == "text":
        return strings_of(block)
    rows = form.view(block)
    return series_column(rows) if form.modality == "series" else _images(rows, form.scale)


def series_column(rows: np.ndarray) -> pa.Array:
    """Return rows (n, C, T) as list<list<float32>>, by way of offsets: no Python object is made."""
    import pyarrow as pa

    count, channels, steps = rows.shape
    with np.errstate(over="ignore"):
        values = pa.array(np.ascontiguousarray(rows, dtype=np.float32).reshape(-1))
    inner = pa.ListArray.from_arrays(pa.array(np.arange(count * channels + 1, dtype=np.int32) * steps), values)
    return pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32) * channels), inner)


def _images(rows: np.ndarray, scale: Scale) -> pa.Array:
    from PIL import Image

    from seedbed.core.data.reading.encode import as_file

    if rows.ndim == 4 and rows.shape[3] == 1:
        rows = rows[..., 0]
    holes = np.zeros(len(rows), dtype=bool)
    if rows.dtype.kind == "f":
        finite = np.isfinite(rows)
        holes = ~finite.reshape(len(rows), -1).all(axis=1)
        rows = np.round(np.where(finite, rows, 0) * (255.0 if scale == "unit" else 1.0))
    elif scale == "unit":
        rows = rows * np.uint8(255)
    pixels = np.ascontiguousarray(rows, dtype=np.uint16 if scale == "deep" else np.uint8)
    files = [None if hole else as_file(Image.fromarray(each)) for each, hole in zip(pixels, holes, strict=True)]
    return image_structs(files)


def image_structs(files: Sequence[bytes | None], paths: Sequence[str | None] | None = None) -> pa.Array:
    """Return encoded images, or the paths of files, in the form of `datasets.Image(decode=False)`."""
    import pyarrow as pa

    names = pa.nulls(len(files), pa.string()) if paths is None else pa.array(paths, pa.string())
    return pa.StructArray.from_arrays([pa.array(files, pa.binary()), names], names=["bytes", "path"])


def strings_of(block: np.ndarray) -> pa.Array:
    """Return an array of strings (n,) as arrow; bytes are taken for UTF-8, what is no Unicode is escaped.

    Raises:
        DataError: a character is none.
    """
    import pyarrow as pa

    if block.dtype.kind == "S":
        return pa.array([each.decode("utf-8", "replace") for each in block.tolist()], pa.string())
    try:
        texts = block.tolist()
    except (SystemError, ValueError) as error:  # NumPy does not look at what it takes for characters
        raise DataError(f"A text holds a character that Unicode lacks ({error}); save the texts anew.") from error
    return pa.array([str(each).encode("utf-8", "backslashreplace").decode() for each in texts], pa.string())


def cast_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Bring a table to a schema with the same columns; those that fit are not touched.

    Casting a whole table fails in pyarrow 25.0 where a column holds lists of nulls alone, even to its own type.

    Raises:
        pyarrow.ArrowException: a value has no counterpart.
    """
    import pyarrow as pa

    pairs = zip(table.columns, schema, strict=True)
    columns = [each if each.type.equals(field.type) else each.cast(field.type) for each, field in pairs]
    return pa.Table.from_arrays(columns, schema=schema)
