"""Columns of a dataset out of those of a table, a batch at a time; pure, but that paths with `\\` are looked up."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seedbed.core.data.inference.cells import MISSING, is_number, split_labels
from seedbed.core.data.inference.facts import is_file
from seedbed.core.data.inference.roles import part_of
from seedbed.core.data.reading.arrowforms import form_of, lengths_of, lists, nulls_of, without_empty
from seedbed.core.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

LINE = "\n"
"""What stands between the texts of several columns."""


def class_names(array: pa.Array) -> pa.Array:
    """Return classes as strings: 1.0 is `1`, yes is `true`; NaN and infinity are no classes."""
    import pyarrow as pa

    form = form_of(array.type)
    if form == "string":
        return array
    if form == "float":
        return _by_value(array.cast(pa.float64(), safe=False), _float_name, pa.string())
    return array.cast(pa.string())


def _float_name(value: float) -> str | None:
    if not np.isfinite(value):
        return None
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def amounts(array: pa.Array) -> pa.Array:
    """Return values as float64; null for what is no number, or an infinite one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if form_of(array.type) == "string":
        found = _by_value(array, _amount, pa.float64())
    elif form_of(array.type) == "boolean":
        found = array.cast(pa.int8()).cast(pa.float64())
    else:
        found = array.cast(pa.float64(), safe=False)
    return pc.if_else(pc.is_finite(found), found, pa.scalar(None, pa.float64()))


def _amount(cell: str) -> float | None:
    return float(cell) if is_number(cell) else None


def is_unread(array: pa.Array, made: pa.Array) -> np.ndarray:
    """Return a mask (n,) of cells that hold something, of which nothing came."""
    import pyarrow.compute as pc

    told = without_empty(array)
    if form_of(array.type) == "string":
        blank = pc.is_in(pc.utf8_lower(pc.utf8_trim_whitespace(told)), value_set=_missing_words())
        return np.asarray(~nulls_of(told) & nulls_of(made) & ~blank.to_numpy(zero_copy_only=False))
    return np.asarray(~nulls_of(told) & nulls_of(made))


def _missing_words() -> pa.Array:
    import pyarrow as pa

    return pa.array(sorted(MISSING), pa.string())


def label_lists(array: pa.Array, separator: str) -> pa.Array:
    """Return lists of labels, out of lists or of cells that hold several; missing ones stay missing."""
    import pyarrow as pa

    if pa.types.is_list(array.type):
        return lists(lengths_of(array), class_names(array.flatten()), nulls_of(array))
    return _by_value(class_names(array), lambda cell: split_labels(cell, separator), pa.list_(pa.string()))


def labels_that_hold(arrays: Sequence[pa.Array], names: Sequence[str]) -> pa.Array:
    """Return for each row the names of the columns that say yes; missing where all of them are."""
    import pyarrow as pa

    holds = np.stack([amounts(array).fill_null(0).to_numpy(zero_copy_only=False) > 0 for array in arrays], axis=1)
    missing = np.asarray(np.stack([nulls_of(without_empty(array)) for array in arrays], axis=1).all(axis=1))
    _, columns = np.nonzero(holds)
    return lists(holds.sum(axis=1), pa.array(list(names), pa.string()).take(pa.array(columns)), missing)


def joined_text(arrays: Sequence[pa.Array]) -> pa.Array:
    """Return one text a row, each column's on a line of its own; empty ones are left out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = [class_names(array).cast(pa.string()) for array in arrays]
    if len(texts) == 1:
        return texts[0]
    told = [without_empty(text) for text in texts]
    found = pc.binary_join_element_wise(*told, LINE, null_handling="skip")
    missing = np.stack([nulls_of(text) for text in told], axis=1).all(axis=1)
    return pc.if_else(pa.array(missing), pa.scalar(None, pa.string()), found)


def image_files(array: pa.Array, folder: Path) -> pa.Array:
    """Return images as structs of bytes and path, with whole paths; relative ones are seen from the folder.

    Raises:
        DataError: the folder's own path is no text.
    """
    import pyarrow as pa

    if pa.types.is_binary(array.type):
        found, names = array, pa.nulls(len(array), pa.string())
    elif pa.types.is_struct(array.type):
        # `flatten` and not `field`: it knows the rows that are missing as a whole
        columns = dict(zip([each.name for each in array.type], array.flatten(), strict=True))
        found, names = columns["bytes"].cast(pa.binary()), columns["path"].cast(pa.string())
    else:
        found, names = pa.nulls(len(array), pa.binary()), array
    paths = _whole(names, nulls_of(found), folder)
    return pa.StructArray.from_arrays([found, paths], names=["bytes", "path"])


def _whole(names: pa.Array, needed: np.ndarray, folder: Path) -> pa.Array:
    """Return whole paths where they are needed, the names that came with bytes as they are."""
    import pyarrow as pa

    base = os.path.abspath(folder)  # noqa: PTH100 - a tenth of the cost of a Path
    told = base.encode("utf-8", "backslashreplace").decode()
    if told != base:
        raise DataError(f"The path {told} holds bytes that are not UTF-8; rename that folder.")
    whole = [
        _path(name, base) if name and is_needed else name
        for name, is_needed in zip(names.to_pylist(), needed.tolist(), strict=True)
    ]
    return pa.array(whole, pa.string())


def _path(name: str, base: str) -> str:
    name = name.strip().removeprefix("file://")
    path = os.path.normpath(os.path.join(base, name))  # noqa: PTH118
    if "\\" in name and not is_file(Path(base), path):  # a table made on Windows
        return os.path.normpath(os.path.join(base, name.replace("\\", "/")))  # noqa: PTH118
    return path


def part_names(array: pa.Array) -> pa.Array:
    """Return `train`, `valid` or `test` for what people call them, an empty string where it is open."""
    import pyarrow as pa

    if not pa.types.is_string(array.type):
        return pa.array([""] * len(array), pa.string())
    return _by_value(array, lambda value: part_of(value) or "", pa.string()).fill_null("")


def group_names(array: pa.Array) -> pa.Array:
    """Return groups as strings, null where there is none."""
    return without_empty(class_names(array))


def order_values(array: pa.Array) -> pa.Array:
    """Return what rows are sorted by: numbers and dates as float64, all else as strings."""
    import pyarrow as pa

    form = form_of(array.type)
    if form == "date":
        return array.cast(pa.timestamp("us"), safe=False).cast(pa.int64()).cast(pa.float64(), safe=False)
    if form in ("integer", "float"):
        return array.cast(pa.float64(), safe=False)
    return without_empty(class_names(array))


def _by_value(array: pa.Array, make: Callable[..., object], kind: pa.DataType) -> pa.Array:
    """Make a value of every different one, once; missing ones stay missing."""
    import pyarrow as pa

    encoded = array.dictionary_encode()
    made = pa.array([make(value) for value in encoded.dictionary.to_pylist()], kind)
    return made.take(encoded.indices)
