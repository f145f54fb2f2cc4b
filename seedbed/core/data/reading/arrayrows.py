"""Named arrays, in memory or streamed from a file → rows: batches of arrow, and what they are to be learnt for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from seedbed.core.data.profile import Finding
from seedbed.core.data.reading.arraycolumns import column_of
from seedbed.core.data.reading.arrayforms import ArrayForm, Sight, blocks_of, form_of, look
from seedbed.core.data.reading.arrayroles import Roles, plain_column, target_column
from seedbed.core.data.reading.arrowfile import unique_names
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError
from seedbed.core.task import Modality

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

_ORDER = ("", "train", "valid", "test")


class ArraySource(Protocol):
    """An array that need not be in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, the first axis counting the rows."""
        ...

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The type of the values."""
        ...

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the rows in order, some megabytes at a time; may be called again."""
        ...

    def whole(self) -> np.ndarray:
        """Return all values; asked for of columns with a value or a few a row."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class InMemory:
    """An array that lies in memory."""

    array: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The type of the values."""
        return self.array.dtype

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the rows, some megabytes at a time."""
        return blocks_of(self.array)

    def whole(self) -> np.ndarray:
        """Return the array itself."""
        return self.array


def array_batches(
    roles: Roles, arrays: Mapping[str, ArraySource], wanted: Modality | None, told: list[Finding]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of all parts in batches of one schema; findings go to `told` before the first batch.

    Columns are the inputs, the target, what else goes with the rows, and the part where there are parts.

    Raises:
        DataError: the arrays fit nothing that can be learnt from.
    """
    import pyarrow as pa

    parts = sorted(roles.parts, key=_ORDER.index)
    form = _form(roles, arrays, wanted)
    told += [*roles.findings, *form.findings]
    columns = {name: _column(roles, arrays, name, told) for name in (roles.target, *roles.others) if name}
    part_column = part_column_of(roles)
    schema, begins = _schema(roles, form, columns), 0
    for part in parts:
        for block in arrays[roles.parts[part][roles.inputs]].blocks():
            made = {roles.inputs: column_of(block, form)}
            made |= {name: values.slice(begins, len(block)) for name, values in columns.items()}
            if part_column:
                made[part_column] = pa.array([part] * len(block), pa.string())
            begins += len(block)
            yield pa.RecordBatch.from_arrays(list(made.values()), schema=schema)


def part_column_of(roles: Roles) -> str:
    """Return the name of the column that holds the part, empty where there are no parts."""
    return unique_names([roles.inputs, roles.target, *roles.others, "part"])[-1] if any(roles.parts) else ""


def array_schema(roles: Roles, rows: datasets.Dataset) -> Schema:
    """Return what the arrays themselves say about the rows made of them."""
    from datasets import Image, List, Value

    inputs = rows.features[roles.inputs]
    modality: Modality = "image" if isinstance(inputs, Image) else "text" if isinstance(inputs, Value) else "series"
    is_several = bool(roles.target) and isinstance(rows.features[roles.target], List)
    return Schema(
        modality=modality,
        kind="multilabel" if is_several else None,
        inputs=(roles.inputs,),
        target=roles.target,
        part=part_column_of(roles),
    )


def _form(roles: Roles, arrays: Mapping[str, ArraySource], wanted: Modality | None) -> ArrayForm:
    """Look at the inputs of all parts and decide what they show; one form holds for all."""
    names = [roles.parts[part][roles.inputs] for part in sorted(roles.parts, key=_ORDER.index)]
    sights = [look(name, arrays[name].shape, arrays[name].dtype, arrays[name].blocks()) for name in names]
    first = sights[0]
    for other in sights[1:]:
        if other.shape[1:] != first.shape[1:] or (other.dtype.kind in "UST") != (first.dtype.kind in "UST"):
            raise DataError(
                f"The rows of `{other.name}` are {other.shape[1:]} of {other.dtype}, but those of `{first.name}` "
                f"{first.shape[1:]} of {first.dtype}; give all parts in one form."
            )
    return form_of(_together(sights), wanted)


def _together(sights: list[Sight]) -> Sight:
    first = sights[0]
    widest = max((each.dtype for each in sights), key=lambda dtype: dtype.itemsize) if len(sights) > 1 else first.dtype
    return replace(
        first,
        shape=(sum(each.shape[0] for each in sights), *first.shape[1:]),
        dtype=widest,
        name=" and ".join(each.name for each in sights),
        least=min(each.least for each in sights),
        most=max(each.most for each in sights),
        is_whole=all(each.is_whole for each in sights),
    )


def _column(roles: Roles, arrays: Mapping[str, ArraySource], name: str, told: list[Finding]) -> pa.Array:
    """Return a column over all rows, null in the parts that lack it."""
    import pyarrow as pa

    parts = sorted(roles.parts, key=_ORDER.index)
    given = {part: arrays[roles.parts[part][name]].whole() for part in parts if name in roles.parts[part]}
    shapes = {each.shape[1:] for each in given.values()}
    if len(shapes) > 1:
        raise DataError(f"The arrays for `{name}` have rows of different shapes, {sorted(shapes)}; give all in one.")
    values = np.concatenate(list(given.values()))
    if name == roles.target:
        classes = arrays[roles.classes].whole().reshape(-1).astype(str).tolist() if roles.classes else ()
        made = target_column(name, values, classes)
        told += made.findings
        column = made.values
    else:
        column = plain_column(name, values.reshape(len(values)))
    pieces, begins = [], 0
    for part in parts:
        rows = arrays[roles.parts[part][roles.inputs]].shape[0]
        pieces.append(column.slice(begins, rows) if part in given else pa.nulls(rows, column.type))
        begins += rows if part in given else 0
    return pa.concat_arrays(pieces)


def _schema(roles: Roles, form: ArrayForm, columns: Mapping[str, pa.Array]) -> pa.Schema:
    """Return the arrow schema of the rows, images marked as such for `datasets`."""
    import datasets
    import pyarrow as pa

    kinds = {
        "image": datasets.Image(decode=False),
        "text": datasets.Value("string"),
        "series": datasets.List(datasets.List(datasets.Value("float32"))),
    }
    fields = [pa.field(name, values.type) for name, values in columns.items()]
    if part := part_column_of(roles):
        fields.append(pa.field(part, pa.string()))
    features = datasets.Features({roles.inputs: kinds[form.modality]})
    features.update(datasets.Features.from_arrow_schema(pa.schema(fields)))
    return features.arrow_schema
