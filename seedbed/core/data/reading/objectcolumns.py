"""Values that a program holds, of whatever type, as one arrow column; pure."""

from __future__ import annotations

import datetime
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from seedbed.core.data.profile import Finding
from seedbed.core.data.reading.arraycolumns import column_of, image_structs, series_column
from seedbed.core.data.reading.arrayforms import blocks_of, form_of, look
from seedbed.core.data.reading.arrayroles import plain_column
from seedbed.core.errors import DataError
from seedbed.core.task import Modality

if TYPE_CHECKING:
    import pyarrow as pa

MOST_DEPTH = 6
"""Lists deeper than this are refused: nothing that can be learnt from nests as deep, and arrow would recurse."""

_SCALARS = (str, bool, int, float, complex, Decimal, datetime.date, datetime.time, datetime.timedelta, np.generic)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Column:
    """An arrow column; `is_image` says that it holds encoded images."""

    values: pa.ChunkedArray
    is_image: bool = False
    findings: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.values)


def column_from(
    name: str,
    values: Any,  # noqa: ANN401 - whatever the user has
    modality: Modality | None = None,
    *,
    is_input: bool = False,
) -> Column:
    """Return values as a column: an array, a series of pandas or polars, a tensor, or any sequence.

    `modality` is the user's word on what an array of several axes shows. An array that shows nothing is
    refused where it `is_input`; elsewhere it is a column of lists, as the others may be what counts.

    Raises:
        DataError: they are no sequence, or hold what no column can.
    """
    import pyarrow as pa

    package = package_of(values)
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return Column(values=_chunked(values))
    if package == "pandas":
        return _of_pandas(name, values, modality, is_input)
    if hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__"):
        return Column(values=_chunked(pa.chunked_array(values) if package != "pyarrow" else values))
    if hasattr(values, "__array__") and not isinstance(values, np.generic):
        return _of_array(name, as_array(name, values), modality, is_input)
    if isinstance(values, Sequence) and not isinstance(values, str | bytes | bytearray):
        return _of_list(name, list(values), modality, is_input)
    raise DataError(f"The column {name!r} is of the type {type(values).__name__}; give a list or an array of values.")


def package_of(value: object) -> str:
    """Return the name of the package that a value's class comes from."""
    return type(value).__module__.partition(".")[0]


def as_array(name: str, values: Any) -> np.ndarray:  # noqa: ANN401 - an array of any library
    """Return an array or a tensor of any library as one of NumPy.

    Raises:
        DataError: it cannot be had, as for a tensor on a GPU.
    """
    try:
        array = np.asarray(values)
    except Exception as error:  # the border to a library of the user's
        raise DataError(
            f"{name!r}, a {type(values).__name__}, does not become a NumPy array ({str(error)[:200]}); "
            "convert it first."
        ) from error
    if array.ndim == 0:
        raise DataError(f"{name!r} is a single value, {str(array)[:60]}; give one for each row.")
    return array


def _chunked(values: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    return values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])


def _of_pandas(name: str, series: Any, modality: Modality | None, is_input: bool) -> Column:  # noqa: ANN401
    import pyarrow as pa

    if series.dtype != object:
        try:
            return Column(values=_chunked(pa.array(series, from_pandas=True)))
        except (pa.ArrowException, TypeError, ValueError):  # intervals, periods: taken one by one
            pass
    missing = series.isna().to_numpy()
    cells = series.to_numpy(dtype=object)
    found = [None if gone else cell for gone, cell in zip(missing, cells, strict=True)]
    return _of_list(name, found, modality, is_input)


def _of_array(name: str, array: np.ndarray, modality: Modality | None, is_input: bool) -> Column:
    import pyarrow as pa

    if array.dtype == object:
        return _of_list(name, list(array), modality, is_input)
    if array.ndim == 1:
        return Column(values=_chunked(plain_column(name, array)))
    if array.ndim == 2 and array.shape[1] == 1:
        return Column(values=_chunked(plain_column(name, array[:, 0])))
    if array.ndim == 2 and not is_input:
        return _lists(name, array)
    try:
        form = form_of(look(name, array.shape, array.dtype, blocks_of(array)), modality)
    except DataError:
        if is_input:
            raise
        return _lists(name, array)
    pieces = [column_of(block, form) for block in blocks_of(array)]
    return Column(values=pa.chunked_array(pieces), is_image=form.modality == "image", findings=form.findings)


def _lists(name: str, array: np.ndarray) -> Column:
    """Return rows of an array (N, …) as lists of lists, by way of offsets."""
    import pyarrow as pa

    pieces = []
    for block in blocks_of(array):
        values = plain_column(name, block.reshape(-1))
        for axis in range(block.ndim - 1, 0, -1):
            count = math.prod(block.shape[:axis])
            values = pa.ListArray.from_arrays(
                pa.array(np.arange(count + 1, dtype=np.int32) * block.shape[axis]), values
            )
        pieces.append(values)
    return Column(values=pa.chunked_array(pieces))


def _of_list(name: str, cells: list[Any], modality: Modality | None, is_input: bool) -> Column:
    import pyarrow as pa

    kinds = {type(cell) for cell in cells} - {type(None)}
    arrays = {kind for kind in kinds if _is_array(kind)}
    if any(map(_is_picture, kinds)) or (arrays and any(issubclass(kind, str | bytes | os.PathLike) for kind in kinds)):
        return _pictures(name, cells)
    if kinds and kinds == arrays:
        return _of_arrays(name, cells, modality, is_input)
    try:
        if kinds != {str}:
            cells = [_plain(cell) for cell in cells]
        return Column(values=_chunked(pa.array(cells, from_pandas=True)))
    except _TooDeep as error:
        raise DataError(f"The column {name!r} nests lists more than {MOST_DEPTH} deep; flatten them.") from error
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _mixed(name, cells)


class _TooDeep(Exception):
    """A cell nests further than arrow should follow."""


def _is_picture(kind: type) -> bool:
    return any(each.__module__ == "PIL.Image" for each in kind.__mro__)


def _is_array(kind: type) -> bool:
    return hasattr(kind, "__array__") and not issubclass(kind, np.generic)


def _plain(cell: Any, depth: int = 0) -> Any:  # noqa: ANN401 - a cell may be anything
    """Return a cell as arrow takes it: paths and odd strings as plain ones, arrays within lists as lists."""
    if depth > MOST_DEPTH:
        raise _TooDeep
    match cell:
        case str():
            return cell.encode("utf-8", "backslashreplace").decode()
        case np.generic():
            return cell.item()
        case os.PathLike():
            return os.fspath(cell)
        case list() | tuple():
            return [_plain(each, depth + 1) for each in cell]
        case set() | frozenset():
            return [_plain(each, depth + 1) for each in sorted(cell, key=str)]
        case dict():
            return {str(key): _plain(each, depth + 1) for key, each in cell.items()}
        case _:
            return cell.tolist() if _is_array(type(cell)) else cell


def _mixed(name: str, cells: Sequence[Any]) -> Column:
    """Return cells of several types: as numbers where all are, else as strings."""
    import pyarrow as pa

    cells = [cell.item() if isinstance(cell, np.generic) else cell for cell in cells]
    for row, cell in enumerate(cells):
        if cell is not None and not isinstance(cell, _SCALARS) and not isinstance(cell, os.PathLike):
            raise DataError(
                f"The column {name!r} holds a {type(cell).__name__} in row {row}, beside or with values that do not go "
                "with it; give values of one type: numbers, strings, lists of numbers, arrays or pictures."
            )
    given = [cell for cell in cells if cell is not None]
    if all(isinstance(cell, bool | int | float | Decimal) for cell in given):
        try:
            return Column(values=_chunked(pa.array([None if each is None else float(each) for each in cells])))
        except OverflowError:  # an integer beyond any float
            pass
    texts = [None if each is None else str(each).encode("utf-8", "backslashreplace").decode() for each in cells]
    return Column(values=_chunked(pa.array(texts, pa.string())))


def _of_arrays(name: str, cells: Sequence[Any], modality: Modality | None, is_input: bool) -> Column:
    """Return one array a row: of one shape, as an array of them all; else series or images of several sizes."""
    import pyarrow as pa

    arrays = [None if cell is None else as_array(f"{name}, row {row}", cell) for row, cell in enumerate(cells)]
    given = [each for each in arrays if each is not None]
    if any(each.dtype.kind not in "biuf" for each in given):
        return Column(values=_chunked(pa.array([_plain(each) for each in arrays], from_pandas=True)))
    shapes, axes = {each.shape for each in given}, {each.ndim for each in given}
    if len(shapes) == 1 and len(given) == len(arrays):
        return _of_array(name, np.stack(given), modality, is_input)
    is_image = axes == {3} or (axes <= {2, 3} and all(each.dtype == np.uint8 for each in given))
    if modality == "image" or (modality is None and is_image):
        return _pictures(name, cells)
    if not axes <= {1, 2}:
        raise DataError(f"The column {name!r} holds arrays of {sorted(axes)} axes; series are (T,) or (C, T).")
    rows = [None if each is None else series_column(np.atleast_2d(each)[None])[0].as_py() for each in arrays]
    return Column(values=_chunked(pa.array(rows, pa.list_(pa.list_(pa.float32())))))


def _pictures(name: str, cells: Sequence[Any]) -> Column:
    """Return pictures, encoded images, paths or single arrays as encoded images; a missing one is empty."""
    import pyarrow as pa

    from seedbed.core.data.reading.encode import encoded_image

    files: list[bytes | None] = []
    paths: list[str | None] = []
    for row, cell in enumerate(cells):
        try:
            origin = None if cell is None else encoded_image(cell, row)
        except (TypeError, ValueError, OSError) as error:
            raise DataError(f"The column {name!r} holds in row {row} what is no image ({str(error)[:200]}).") from error
        files.append(origin if isinstance(origin, bytes) else None)
        paths.append(origin if isinstance(origin, str) else None)
    step = 1000  # an array of bytes holds 2 GB at most
    pieces = [image_structs(files[at : at + step], paths[at : at + step]) for at in range(0, len(files), step)]
    return Column(values=pa.chunked_array(pieces), is_image=True)
