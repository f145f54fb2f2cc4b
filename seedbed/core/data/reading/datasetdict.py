"""Data sets of the `datasets` library, one or several splits, as one table; rows stay memory-mapped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

from seedbed.core.data.dataset import Part, Table, short_name
from seedbed.core.data.parts import PART_NAMES
from seedbed.core.data.profile import Finding
from seedbed.core.data.reading.arraycolumns import cast_columns
from seedbed.core.data.reading.arrowfile import fingerprint, plain_schema, unique_names
from seedbed.core.data.reading.arrowforms import lengths_of, lists, named
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class _Split:
    """One split as plain arrow; `indices` chooses and orders its rows, where it is a view of others."""

    name: str
    part: Part
    table: pa.Table
    indices: datasets.table.Table | None
    images: frozenset[str]
    labels: frozenset[str]
    stamp: str


def table_of_splits(splits: Mapping[str, datasets.Dataset], source: str, name: str, *, stamp: str = "") -> Table:
    """Join the splits of a data set into one table, with their parts; nothing large is copied.

    Class indices become class names, images stay encoded, and formats and transforms are set aside. `stamp`
    changes when the files do that the rows lie in.

    Raises:
        DataError: there are no rows, or the splits do not fit together.
    """
    told: list[Finding] = []
    parts = _parts(splits, source, told)
    found = [_plain(split, part, splits[split], stamp, told) for split, part in parts.items()]
    first = found[0]
    schema, images = first.table.schema, first.images
    part_column = unique_names([*schema.names, "part"])[-1] if any(parts.values()) else ""
    rows = [_dataset(each, schema, images, part_column, source, told) for each in found]
    if len(rows) > 1:
        import datasets

        joined = datasets.concatenate_datasets(rows)
    else:
        joined = rows[0]
    target = next(iter(first.labels)) if len(first.labels) == 1 else ""
    if target:
        told.append(_told(f"column `{target}` is declared as class labels → the target.", "--target names another."))
    return Table(
        rows=joined,
        source=source,
        name=short_name(name, "rows"),
        schema=Schema(target=target, part=part_column),
        findings=tuple(told),
    )


def _parts(splits: Mapping[str, datasets.Dataset], source: str, told: list[Finding]) -> dict[str, Part]:
    """Say which part each split is; those that are none are left out, training comes first."""
    filled = {name: _part(name) for name, rows in splits.items() if len(rows)}
    if not filled:
        raise DataError(f"{source} has no rows; give a data set with one row for each example.")
    if len(filled) == 1:
        part = next(iter(filled.values()))
        return {name: part if part == "train" else "" for name in filled}
    named = {name: part for name, part in filled.items() if part is not None}
    if not named:
        told.append(_told(f"The splits {_listed(filled)} are joined, as none is called train, valid or test."))
        return dict.fromkeys(filled, "")
    if "train" not in named.values():
        named = {name: "" if part == "valid" else part for name, part in named.items()}
        if "" not in named.values():
            named = dict.fromkeys(named, "")
        told.append(
            _told(f"None of the splits {_listed(filled)} is called train, so the engine chooses what to train on.")
        )
    if left := [name for name in filled if name not in named]:
        told.append(
            Finding(
                check="intake",
                severity="warning",
                evidence=f"The splits {_listed(left)} are left out, as they are neither train nor valid nor test.",
                remedy="Rename them, or save what is wanted as a data set of its own.",
            )
        )
    return dict(sorted(named.items(), key=lambda item: ("train", "", "valid", "test").index(item[1])))


def _part(name: str) -> Part | None:
    """Return the part that a split's name tells, as `test` or `validation_matched`; None where it tells none."""
    words = re.findall(r"[a-z]+", name.lower())
    return next((PART_NAMES[word] for word in words if word in PART_NAMES), None)


def _plain(name: str, part: Part, rows: datasets.Dataset, stamp: str, told: list[Finding]) -> _Split:
    """Bring the columns of a split to types that say what they hold without `datasets`."""
    import datasets
    import pyarrow as pa

    columns: dict[str, pa.ChunkedArray] = {}
    images, labels = set(), set()
    table: pa.Table = rows.data.table
    for old, new in zip(table.column_names, unique_names(table.column_names), strict=True):
        feature, values = rows.features.get(old), table.column(old)
        if isinstance(feature, datasets.Image):
            images.add(new)
        elif hasattr(feature, "decode_example"):
            told.append(_told(f"column `{new}` is left out: it holds {type(feature).__name__.lower()} data."))
            continue
        elif isinstance(feature, datasets.ClassLabel):
            labels.add(new)
            values = _each(values, partial(_names, names=feature.names), pa.string())
        elif isinstance(getattr(feature, "feature", None), datasets.ClassLabel) and pa.types.is_list(values.type):
            values = _each(values, partial(_name_lists, names=feature.feature.names), pa.list_(pa.string()))
        elif isinstance(values.type, pa.BaseExtensionType):
            values = _each(values, attrgetter("storage"), values.type.storage_type)
        columns[new] = values
    made = pa.table(columns)
    made = cast_columns(made, plain_schema(made.schema.remove_metadata()))
    return _Split(name, part, made, rows._indices, frozenset(images), frozenset(labels), f"{rows._fingerprint} {stamp}")


def _each(values: pa.ChunkedArray, change: Callable[[pa.Array], pa.Array], kind: pa.DataType) -> pa.ChunkedArray:
    import pyarrow as pa

    return pa.chunked_array([change(piece) for piece in values.chunks], kind)


def _names(codes: pa.Array, names: list[str]) -> pa.Array:
    """Return class names for indices; where there are names already, they stay."""
    import pyarrow as pa

    return codes if pa.types.is_string(codes.type) else named(codes, names)


def _name_lists(indices: pa.ListArray, names: list[str]) -> pa.Array:
    """Return lists of names for lists of indices; a row without a list gets an empty one."""
    return lists(lengths_of(indices), _names(indices.flatten(), names))


def _dataset(
    split: _Split, schema: pa.Schema, images: frozenset[str], part_column: str, source: str, told: list[Finding]
) -> datasets.Dataset:
    """Give a split the columns of the first one, and its part."""
    import datasets
    import pyarrow as pa

    table = split.table
    absent = [name for name in schema.names if name not in table.column_names]
    if absent:
        told.append(_told(f"The split {split.name} lacks the columns {_listed(absent)}; they are empty there."))
    if extra := [name for name in table.column_names if name not in schema.names]:
        told.append(
            _told(f"The columns {_listed(extra)} of the split {split.name} are left out: the first lacks them.")
        )
    columns = [
        table.column(field.name) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    made = pa.table(columns, names=schema.names)
    try:
        made = cast_columns(made, schema)
    except (pa.ArrowException, ValueError) as error:
        raise DataError(
            f"{source}: the columns of the split {split.name} do not fit those of the first one ({error}); "
            "bring all splits to the same types."
        ) from error
    if part_column:
        made = made.append_column(part_column, pa.repeat(pa.scalar(split.part, pa.string()), len(table)))
    features = datasets.Features.from_arrow_schema(made.schema.remove_metadata())
    features.update({name: datasets.Image(decode=False) for name in images})
    return datasets.Dataset(
        made,
        info=datasets.DatasetInfo(features=features),
        indices_table=split.indices,
        # Without one, `datasets` would pickle all rows to make it.
        fingerprint=fingerprint("splits", split.part, split.stamp),
    )


def _told(evidence: str, remedy: str = "") -> Finding:
    return Finding(check="intake", severity="info", evidence=evidence, remedy=remedy)


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:10]) + (" …" if len(shown) > 10 else "")
