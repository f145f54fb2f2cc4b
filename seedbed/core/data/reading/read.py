"""Find the reader for an address, let it read, and settle what is to be learnt; an edge."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from seedbed.core.data.columns import parts_of
from seedbed.core.data.dataset import Dataset, ReadContext, Table
from seedbed.core.data.inference.infer import target_names
from seedbed.core.data.inference.interpret import interpret
from seedbed.core.data.parts import TEST
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError, PluginError, SeedbedError, UnknownName, UsageError
from seedbed.core.protocols import FolderReader, Lookup, Reader
from seedbed.core.specs import ReaderSpec

if TYPE_CHECKING:
    import datasets

_SCHEME = re.compile(r"([a-z][a-z0-9_+.-]+):", re.IGNORECASE)  # two letters or more: C:\photos is a path
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")  # owner/name
_MOST_NAMED = 8


def read(source: str, lookup: Lookup, context: ReadContext) -> Table | Dataset:
    """Read what lies at an address: found by its scheme, then its suffix, then by asking about the folder.

    Raises:
        DataError: nothing is there, no reader knows it, or it holds nothing usable.
        UnknownName: no reader has this scheme.
        UsageError: several readers recognise the folder.
        PluginError: the reader broke.
    """
    specs = cast(Sequence[ReaderSpec], lookup.all("reader"))
    scheme = _SCHEME.match(source)
    if scheme is not None:
        for spec in specs:
            if scheme[1].lower() in spec.schemes:
                return _read(spec, source, lookup, context)
    path = _expanded(source)
    if not _exists(path):
        return _read_hub(source, path, scheme, specs, lookup, context)
    for spec in specs:
        if path.is_file() and path.name.lower().endswith(spec.suffixes):
            return _read(spec, str(path), lookup, context)
    if path.is_dir():
        return _read(_recognise(path, specs, lookup), str(path), lookup, context)
    raise DataError(f"{source} is a file that no reader knows. {_readable(specs)}")


def read_dataset(
    source: str | Table | Dataset,
    wanted: Schema,
    lookup: Lookup,
    context: ReadContext,
    *,
    test: str | None = None,
) -> Dataset:
    """Read the data (or take it as it was read) and settle what is to be learnt; then the rows to test on, if given.

    Of `test` its own test part is taken, and all rows where it has none. They take the place of the
    test part that `source` may have, so that a score is always of one known set of rows.

    Raises:
        DataError: as `read`; or the two are of different modalities.
        UsageError: `wanted` does not fit the data.
    """
    dataset = settle(_read_as(source, wanted, lookup, context) if isinstance(source, str) else source, wanted, context)
    if test is None:
        return dataset
    other = read_like(test, dataset.schema, lookup, context, need_target=True)
    if (other.modality, other.kind) != (dataset.modality, dataset.kind):
        raise DataError(
            f"{dataset.source} holds {dataset.modality} data for {dataset.kind}, but {test} {other.modality} data "
            f"for {other.kind}; give --test data of the same kind."
        )
    import datasets

    kept = np.flatnonzero(parts_of(dataset) != TEST)
    of_test = np.flatnonzero(parts_of(other) == TEST)
    if not len(of_test):
        of_test = np.arange(len(other))
    shared = [name for name in dataset.rows.column_names if name in other.rows.column_names and name != "part"]
    tested = other.rows.select_columns(shared).select(of_test)
    rows = dataset.rows.select_columns([*shared, "part"]).select(kept)
    tested = _with_features(tested.add_column("part", ["test"] * len(of_test)), rows.features)
    return replace(
        dataset, rows=datasets.concatenate_datasets([rows, tested]), findings=(*dataset.findings, *other.findings)
    )


def _with_features(rows: datasets.Dataset, features: datasets.Features) -> datasets.Dataset:
    """Bring rows to these types, without the bar that the library draws meanwhile."""
    import datasets

    was_drawn = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        return rows.cast(features)
    finally:
        if was_drawn:
            datasets.enable_progress_bars()


def read_like(source: str, schema: Schema, lookup: Lookup, context: ReadContext, *, need_target: bool) -> Dataset:
    """Read data as other data was read whose schema is given; columns that do not name inputs may be missing.

    Raises:
        DataError: it lacks columns to learn from, or the target where one is needed; or as `read_dataset`.
        UsageError: as `read_dataset`.
    """
    found = _read_as(source, schema, lookup, context)
    if isinstance(found, Table):
        _require_columns(found, schema, need_target=need_target)
    return settle(found, _for_another(schema, found, need_target=need_target), context, need_target=need_target)


def _require_columns(found: Table, schema: Schema, *, need_target: bool) -> None:
    names = found.rows.column_names
    targets = target_names(schema.target, names) if need_target else ()
    missing = [name for name in (*schema.inputs, *targets) if name not in names]
    if missing:
        raise DataError(
            f"{found.source} lacks the column{'s' if missing[1:] else ''} {_listed(missing)}. What is learnt from: "
            f"{_listed(schema.inputs)}{f', to say {_listed(targets)}' if targets else ''}; what it has: "
            f"{_listed(names)}. Name its columns alike, or give data that has them."
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(f"`{name}`" for name in names[:_MOST_NAMED]) + more


def _read_as(source: str, schema: Schema, lookup: Lookup, context: ReadContext) -> Table | Dataset:
    return read(source, lookup, replace(context, modality=schema.modality))


def settle(found: Table | Dataset, wanted: Schema, context: ReadContext, *, need_target: bool = True) -> Dataset:
    """Return what was read as a dataset: a table is interpreted, a form that leaves no choice is taken as it is.

    Raises:
        DataError: the table holds nothing that can be learnt, or from.
        UsageError: the user's wishes do not fit.
    """
    if isinstance(found, Table):
        return interpret(found, wanted, context.cache, need_target=need_target)
    asked = {
        "--modality": wanted.modality and wanted.modality != found.modality,
        "--task": wanted.kind and wanted.kind != found.kind,
        "--target": wanted.target and wanted.target != "target",
        "--input": wanted.inputs and wanted.inputs != (found.modality,),
        "--part": wanted.part and wanted.part != "part",
        "--group": wanted.group and wanted.group not in found.rows.column_names,
        "--order": wanted.order and wanted.order not in found.rows.column_names,
    }
    if refused := [flag for flag, is_asked in asked.items() if is_asked]:
        raise UsageError(
            f"{found.source} holds {found.modality} data for {found.kind}, in a form that has no columns to choose "
            f"from; leave {' and '.join(refused)} out."
        )
    return found


def _for_another(schema: Schema, found: Table | Dataset, *, need_target: bool) -> Schema:
    """Return the schema for other data of the same form: without the columns that it may lack."""
    if isinstance(found, Dataset):
        return Schema()
    names, roles = found.rows.column_names, ["part", "group", "order"]
    if not need_target:
        roles.append("target")
    lacking: dict[str, Any] = {role: "" for role in roles if getattr(schema, role) not in names}
    return replace(schema, **lacking)


def _expanded(source: str) -> Path:
    """Return the path with `~` resolved, as it is where there is no such user."""
    try:
        return Path(source).expanduser()
    except RuntimeError:
        return Path(source)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long for the file system, or with a NUL in it
        return False


def _read_hub(
    source: str,
    path: Path,
    scheme: re.Match[str] | None,
    specs: Sequence[ReaderSpec],
    lookup: Lookup,
    context: ReadContext,
) -> Table | Dataset:
    """Read `owner/name` from the hub where no such path can be meant, else say that there is nothing."""
    hub = next((spec for spec in specs if "hub" in spec.schemes), None)
    if hub is not None and scheme is None and _HUB_NAME.fullmatch(source) and not _exists(path.parent):
        return _read(hub, f"hub:{source}", lookup, context)
    raise _missing(source, path, scheme, specs)


def _read(spec: ReaderSpec, source: str, lookup: Lookup, context: ReadContext) -> Table | Dataset:
    try:
        return _open(spec, lookup).read(source, context)
    except SeedbedError:
        raise
    except Exception as error:  # the border to a plugin
        owner = lookup.owner("reader", spec.name)
        raise PluginError(
            f"The reader {spec.name!r} of {owner.name} {owner.version} failed on {source}: "
            f"{type(error).__name__}: {error}. Leave it out with --without reader:{spec.name}, "
            "or report it to its author."
        ) from error


def _open(spec: ReaderSpec, lookup: Lookup) -> Reader:
    reader: Reader = lookup.load(spec)(spec.options())
    return reader


def _recognise(path: Path, specs: Sequence[ReaderSpec], lookup: Lookup) -> ReaderSpec:
    try:
        found = [spec for spec in specs if spec.folders and cast(FolderReader, _open(spec, lookup)).recognises(path)]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}. Check its permissions.") from error
    if not found:
        raise DataError(f"{path} is a folder, but there is nothing in it that can be used. {_readable(specs)}")
    if len(found) > 1:
        names = " and ".join(spec.name for spec in found)
        raise UsageError(
            f"The readers {names} all recognise {path}; leave one out with --without reader:{found[0].name}."
        )
    return found[0]


def _missing(
    source: str, path: Path, scheme: re.Match[str] | None, specs: Sequence[ReaderSpec]
) -> DataError | UnknownName:
    if scheme is not None:
        schemes = [each for spec in specs for each in spec.schemes]
        return UnknownName("data scheme", scheme[1], schemes, hint=f"And no file or folder is named {source!r}.")
    if os.path.islink(path):  # noqa: PTH114 - no path is too odd for it
        return DataError(f"{source} is a link that leads to nothing, or in a circle; give what it was to lead to.")
    close = difflib.get_close_matches(path.name, _names_in(path.parent), n=1)
    if close:
        return DataError(f"There is no {source}. Did you mean {path.with_name(close[0])}?")
    return DataError(f"There is no {source}. {_readable(specs)}")


def _names_in(folder: Path) -> list[str]:
    try:
        return [each.name for each in folder.iterdir()]
    except OSError:
        return []


def _readable(specs: Sequence[ReaderSpec]) -> str:
    lines = [f"  {spec.name}: {spec.summary}" for spec in specs]
    return "\n".join(["What can be read:", *lines]) if lines else "There is no reader; see seedbed plugins list."
