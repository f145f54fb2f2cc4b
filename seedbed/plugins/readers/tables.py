"""The files of tables in a folder: which there are, which part a name says, and the parts as one table; an edge."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed import Finding
from seedbed.core.data.dataset import Part, ReadContext, Table
from seedbed.core.data.parts import PART_NAMES
from seedbed.core.data.reading.arrowfile import file_stamp, fingerprint, unique_names
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError
from seedbed.plugins.readers import delimited, jsonlines, parquet
from seedbed.plugins.readers.folders import list_folder, listed, some

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

DELIMITED = (".csv", ".tsv", ".tab", ".txt", ".csv.gz", ".tsv.gz")
PARQUET = (".parquet", ".pq")
JSON = (".jsonl", ".ndjson", ".json")

_ONLY_AS_PARTS = (".txt", ".json")  # in a folder these are as often notes and settings
_NAME = re.compile(
    rf"(?:(?P<stem>.+)[_.-])?(?P<part>{'|'.join(PART_NAMES)})(?:[_.-]?(?:labels?|data|set))?(?P<shard>-\d+-of-\d+)?",
    re.IGNORECASE,
)
_ID = re.compile(r"(?i)(|.*[_ -])(id|idx|index|uid|uuid|key)|column_1|unnamed: 0")
_ORDER: tuple[Part, ...] = ("train", "valid", "test", "")


@dataclass(frozen=True, kw_only=True, slots=True)
class TableFile:
    """A table, and what its name says: `stem` is what parts that belong together share."""

    path: Path
    part: Part = ""
    stem: str = ""
    is_shard: bool = False


def tables_in(folder: Path) -> list[TableFile]:
    """Return the tables that lie in a folder, not below it, training first; shards keep their order."""
    found = []
    for name in list_folder(str(folder))[1]:
        suffix = next((each for each in (*DELIMITED, *PARQUET, *JSON)[::-1] if name.lower().endswith(each)), None)
        if suffix is None:
            continue
        said = _NAME.fullmatch(name[: -len(suffix)])
        if said is not None:
            part, stem = PART_NAMES[said["part"].lower()], said["stem"] or ""
            found.append(TableFile(path=folder / name, part=part, stem=stem, is_shard=bool(said["shard"])))
        elif suffix not in _ONLY_AS_PARTS:
            found.append(TableFile(path=folder / name))
    return sorted(found, key=lambda each: _ORDER.index(each.part))


def chosen(tables: Sequence[TableFile], source: str) -> tuple[list[TableFile], list[Finding]]:
    """Return the tables to be read: parts that belong together, or a single one; the others are told.

    Raises:
        DataError: it is not clear which are meant.
    """
    parts = [each for each in tables if each.part]
    if not parts:
        if len(tables) == 1:
            return list(tables), []
        raise DataError(
            f"{source} holds {some(len(tables), 'table')}: {listed([each.path.name for each in tables])}. None is "
            f"named train, valid or test; give one of them, as in {tables[0].path}."
        )
    stems = sorted({each.stem for each in parts})
    if len(stems) > 1:
        other = next((each.path for each in parts if each.stem == parts[0].stem and each.part == "test"), None)
        raise DataError(
            f"{source} holds the parts of {len(stems)} data sets: {listed([each.path.name for each in parts])}. Give "
            f"one of them, as in {parts[0].path}{f' --test {other}' if other else ''}."
        )
    for part in _ORDER:
        same = [each for each in parts if each.part == part]
        if len(same) > 1 and not all(each.is_shard for each in same):
            names = " and ".join(each.path.name for each in same)
            raise DataError(f"{source}: {names} are both the {part} part; keep one of them, or give one as DATA.")
    others = [each.path.name for each in tables if not each.part]
    note = Finding(
        check="intake",
        severity="info",
        evidence=f"{some(len(others), 'table')} beside the parts left out: {listed(others)}.",
        remedy="Give a file as DATA to read that one.",
        rows=tuple(others),
        count=len(others),
    )
    return parts, [note] if others else []


def read_table(path: Path, context: ReadContext) -> Table:
    """Read one table by its suffix.

    Raises:
        DataError: it cannot be used.
    """
    from seedbed import NoOptions

    return _module(path).build(NoOptions()).read(str(path), context)  # type: ignore[no-any-return]


def peek(path: Path) -> dict[str, list[str]]:
    """Return the first rows of a table as columns of strings.

    Raises:
        DataError: it cannot be used.
    """
    return _module(path).peek(path)  # type: ignore[no-any-return]


def _module(path: Path) -> Any:  # noqa: ANN401 - mypy has no word for a module of a given shape
    name = path.name.lower()
    return parquet if name.endswith(PARQUET) else jsonlines if name.endswith(JSON) else delimited


def read_parts(files: Sequence[TableFile], source: str, name: str, context: ReadContext) -> Table:
    """Read tables as one, with a column for the part where there are several; no row is copied.

    A part that lacks a column of the first one, as a test file without the targets does, is left out. But a
    column like `id` is left out instead, and so is one that the first lacks.

    Raises:
        DataError: a table cannot be used.
    """
    found = [(each, read_table(each.path, context)) for each in files]
    first = found[0][1]
    if len(found) == 1:
        return replace(first, source=source, name=name)
    notes = [finding for _, table in found for finding in table.findings]
    wanted = first.rows.column_names
    kept = [found[0]]
    dropped: set[str] = set()
    for file, table in found[1:]:
        names = table.rows.column_names
        missing = [each for each in wanted if each not in names]
        if any(not _ID.fullmatch(each) for each in missing):
            notes.append(_left_out(file, missing, files[0], len(table)))
            continue
        kept.append((file, table))
        dropped.update(missing, (each for each in names if each not in wanted))
    if dropped:
        notes.append(_dropped(sorted(dropped)))
    common = [each for each in wanted if each not in dropped]
    if not common:
        raise DataError(f"The tables {listed([each.path.name for each in files])} have no column in common.")
    part = unique_names([*common, "part"])[-1] if len({file.part for file, _ in kept}) > 1 else ""
    rows = _joined([(file.part, table.rows) for file, table in kept], common, part)
    stamps = fingerprint("parts", part, *(file_stamp(file.path) for file, _ in kept))
    return Table(
        rows=_as_dataset(rows, first.rows, stamps),
        source=source,
        name=name,
        schema=Schema(part=part),
        folder=first.folder,
        findings=tuple(notes),
    )


def with_column(table: Table, name: str, cells: Iterable[pa.Array], stamp: str) -> Table:
    """Return a table with one column of strings put in another's place; the others are not copied."""
    import pyarrow as pa

    rows = table.rows.data.table
    place = rows.column_names.index(name)
    changed = rows.set_column(place, name, pa.chunked_array(list(cells), pa.string()))
    return replace(table, rows=_as_dataset(changed, table.rows, fingerprint(table.rows._fingerprint, stamp)))


def _joined(parts: Sequence[tuple[Part, datasets.Dataset]], names: list[str], part_column: str) -> pa.Table:
    import pyarrow as pa

    tables = [rows.data.table.select(names) for _, rows in parts]
    schema = pa.schema([(name, _common_type([table.field(name).type for table in tables])) for name in names])
    joined = []
    for (part, _), table in zip(parts, tables, strict=True):
        try:
            plain = table if table.schema.equals(schema) else table.cast(schema)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(f"The columns of the {part} part do not fit those of the first ({error}).") from error
        if part_column:
            plain = plain.append_column(part_column, pa.repeat(pa.scalar(part, pa.string()), len(plain)))
        joined.append(plain.replace_schema_metadata(None))
    return pa.concat_tables(joined)


def _common_type(kinds: Sequence[pa.DataType]) -> pa.DataType:
    import pyarrow as pa
    from pyarrow import types

    filled = list(dict.fromkeys(kind for kind in kinds if not types.is_null(kind)))
    if len(filled) < 2:
        return (filled or list(kinds))[0]
    if all(types.is_integer(kind) or types.is_floating(kind) for kind in filled):
        return pa.float64() if any(map(types.is_floating, filled)) else pa.int64()
    if any(types.is_nested(kind) for kind in filled):
        return filled[0]
    return pa.string()


def _as_dataset(table: pa.Table, like: datasets.Dataset, stamp: str) -> datasets.Dataset:
    import datasets

    features = datasets.Features.from_arrow_schema(table.schema)
    for name, feature in like.features.items():  # class names and images, where the type is still the same
        if name in features and getattr(feature, "pa_type", None) == table.field(name).type:
            features[name] = feature
    # Without a fingerprint of ours, `datasets` would pickle all rows to make one.
    return datasets.Dataset(table, info=datasets.DatasetInfo(features=features), fingerprint=stamp)


def _left_out(file: TableFile, missing: list[str], first: TableFile, rows: int) -> Finding:
    columns = ", ".join(f"`{each}`" for each in missing[:5])
    return Finding(
        check="intake",
        severity="warning",
        evidence=f"{file.path.name} lacks {columns} of {first.path.name}; its {rows:,} rows are left out.",
        remedy=f"Add what is missing if rows of {file.path.name} are to be scored; seedbed predict needs no targets.",
        rows=(file.path.name,),
        count=rows,
    )


def _dropped(names: list[str]) -> Finding:
    return Finding(
        check="intake",
        severity="info",
        evidence=f"{some(len(names), 'column')} not common to all parts left out: {listed(names)}.",
        remedy="Give all parts the same columns.",
    )
