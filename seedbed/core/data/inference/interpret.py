"""Settle what is to be learnt from a table, and bring its rows into the form that all that follows works with; an edge.

Columns that are of that form already are taken as they lie; what has to be made goes into a file in the
cache, named by the content that it is made of, and is memory-mapped from there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.core.data.columns import row_names
from seedbed.core.data.dataset import OWN, Dataset, Table
from seedbed.core.data.inference.facts import ColumnFacts, measure_columns
from seedbed.core.data.inference.infer import Reading, check_names, infer, merged
from seedbed.core.data.inference.made import Notes, Plan
from seedbed.core.data.profile import Finding
from seedbed.core.data.reading.arrowfile import Sink, fingerprint, store
from seedbed.core.data.reading.arrowforms import nulls_of, scan, without_empty
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

VERSION = 1  # raise it when equal columns would be made into others
_BLOCK = 2**16


def interpret(table: Table, wanted: Schema, cache: Path, *, need_target: bool = True) -> Dataset:
    """Return the rows of a table as a dataset; what the user wants holds, what is open is inferred and told.

    Without `need_target` no target, part, group or order is looked for, and the target is null in all rows.

    Raises:
        DataError: there is nothing to learn, or to learn from; or what is asked for does not fit the data.
        UsageError: `wanted` names a column that is not there, or one for two purposes.
    """
    rows = _without_indices(table.rows, cache)
    if not len(rows) or not rows.column_names:
        raise DataError(f"{table.source} holds no rows. Expected is one row for each example, with its columns named.")
    schema = merged(wanted, table.schema)
    check_names(schema, rows.column_names, need_target=need_target)
    folder = table.folder or Path.cwd()
    facts = measure_columns(rows, folder)
    reading = infer(facts, schema, table.source, need_target=need_target)
    columns, findings = _columns(rows, facts, reading, folder, cache)
    dataset = Dataset(
        rows=columns,
        modality=reading.schema.modality or "text",
        kind=reading.schema.kind or "classification",
        source=table.source,
        name=table.name,
        schema=reading.schema,
    )
    named = [_with_names(finding, dataset) for finding in (*findings, *_unlabelled(dataset, reading))]
    found = (*table.findings, *reading.findings, *named)
    return replace(dataset, findings=found)


def _without_indices(rows: datasets.Dataset, cache: Path) -> datasets.Dataset:
    """Return rows that lie in their own order; a selection or shuffle of the `datasets` package is written out."""
    if rows._indices is None:
        return rows
    import datasets

    def fill(sink: Sink) -> None:
        for batch in rows.with_format("arrow").iter(8192):
            sink.write(batch)

    stored = store(cache, fingerprint("rows", rows._fingerprint), fill).rows
    return datasets.Dataset(
        stored.data, info=datasets.DatasetInfo(features=rows.features), fingerprint=stored._fingerprint
    )


def _columns(
    rows: datasets.Dataset, facts: Mapping[str, ColumnFacts], reading: Reading, folder: Path, cache: Path
) -> tuple[datasets.Dataset, tuple[Finding, ...]]:
    """Put the dataset's columns together: those that lie as they should, those that are made, and all others."""
    import datasets
    import pyarrow as pa

    plan = Plan(rows, facts, reading, folder)
    key = fingerprint(VERSION, reading, *(facts[name] for name in plan.sources), folder, _digest(rows, plan.sources))
    table, given = rows.data.table, dict(rows.features)
    columns = {name: table.column(source) for name, source in plan.taken.items()}
    features = {name: given[source] for name, source in plan.taken.items()}
    findings: tuple[Finding, ...] = ()
    if plan.sources:
        stored = store(cache, key, plan.fill, needed_bytes=int(rows.select_columns(plan.sources).data.nbytes))
        columns |= {name: stored.rows.data.table.column(name) for name in stored.rows.column_names}
        features |= dict(stored.rows.features)
        findings = stored.findings
    if "target" not in columns:
        columns["target"] = _repeated(pa.nulls(_BLOCK, _target_type(reading)), len(rows))
    if "part" not in columns:
        columns["part"] = _repeated(pa.array([""] * _BLOCK, pa.string()), len(rows))
    # of a text that is made of several columns, one alone may give the target away
    parts = reading.schema.inputs if plan.modality == "text" and "text" in plan.made else ()
    for name in rows.column_names:
        if name not in plan.used or name in parts:
            columns[f"{OWN}{name}"] = table.column(name)
            features[f"{OWN}{name}"] = given[name]
    made = pa.table(columns)
    missing = datasets.Features.from_arrow_schema(made.select([n for n in columns if n not in features]).schema)
    ordered = datasets.Features({name: {**features, **missing}[name] for name in columns})
    if reading.schema.modality == "image":
        ordered["image"] = datasets.Image(decode=False)
    info = datasets.DatasetInfo(features=ordered)
    # without a name, `datasets` would make one of all the bytes
    return datasets.Dataset(made, info=info, fingerprint=fingerprint(key, rows._fingerprint)), findings


def _repeated(block: pa.Array, count: int) -> pa.ChunkedArray:
    """Return a column that is one block over and over, and takes no more memory than that."""
    import pyarrow as pa

    whole, rest = divmod(count, len(block))
    return pa.chunked_array([*[block] * whole, block[:rest]], block.type)


def _target_type(reading: Reading) -> pa.DataType:
    import pyarrow as pa

    match reading.schema.kind:
        case "regression":
            return pa.float64()
        case "multilabel":
            return pa.list_(pa.string())
        case _:
            return pa.string()


def _digest(rows: datasets.Dataset, names: list[str]) -> str:
    """Return a digest of the content of some columns."""
    import pyarrow as pa

    digest = hashlib.blake2b(digest_size=16)
    for batch in scan(rows, names):
        digest.update(pa.RecordBatch.from_arrays(batch, names=[str(n) for n in range(len(batch))]).serialize())
    return digest.hexdigest()


def _unlabelled(dataset: Dataset, reading: Reading) -> Iterable[Finding]:
    """Tell of rows that have no target."""
    if not reading.targets:
        return
    notes, start = Notes(), 0
    for (array,) in scan(dataset.rows, ["target"]):
        notes.add("unlabelled", nulls_of(without_empty(array)), start)
        start += len(array)
    count = notes.counts["unlabelled"]
    if count == start:
        raise DataError(
            f"{dataset.source} has no target in any row: column `{dataset.schema.target}` is empty. Expected is a "
            "value for each example to learn from; name another column with --target."
        )
    if count:
        yield Finding(
            check="intake",
            severity="warning" if count > start / 2 else "info",
            evidence=f"Column `{dataset.schema.target}`: {count:,} of {start:,} rows have no target, and are left out.",
            remedy="Fill it in if they are to be learnt from.",
            rows=tuple(map(str, notes.rows["unlabelled"])),
            count=count,
        )


def _with_names(finding: Finding, dataset: Dataset) -> Finding:
    """Name the rows that a finding has numbered."""
    return replace(finding, rows=row_names(dataset, map(int, finding.rows)))
