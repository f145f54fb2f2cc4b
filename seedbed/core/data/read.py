"""Find the reader for an address and let it read; an edge."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from seedbed.core.data.columns import column
from seedbed.core.data.dataset import Dataset
from seedbed.core.errors import DataError, PluginError, SeedbedError, UnknownName, UsageError
from seedbed.core.protocols import Lookup, Reader
from seedbed.core.specs import ReaderSpec

_SCHEME = re.compile(r"([a-z][a-z0-9_+.-]+):", re.IGNORECASE)  # two letters or more: C:\photos is a path


def read(source: str, lookup: Lookup) -> Dataset:
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
                return _read(spec, source, lookup)
    path = Path(source).expanduser()
    if not path.exists():
        raise _missing(source, path, scheme, specs)
    for spec in specs:
        if path.is_file() and path.name.lower().endswith(spec.suffixes):
            return _read(spec, str(path), lookup)
    if path.is_dir():
        return _read(_recognise(path, specs, lookup), str(path), lookup)
    raise DataError(f"{source} is a file that no reader knows. {_readable(specs)}")


def read_parts(source: str, test: str | None, lookup: Lookup) -> Dataset:
    """Read the data, and from a second address the rows to test on, if one is given.

    Of `test` its own test part is taken, and all rows where it has none. They take the place of the
    test part that `source` may have, so that a score is always of one known set of rows.

    Raises:
        DataError: as `read`; or the two are of different modalities.
    """
    dataset = read(source, lookup)
    if test is None:
        return dataset
    other = read(test, lookup)
    if other.modality != dataset.modality:
        raise DataError(
            f"{source} holds {dataset.modality} data, but {test} {other.modality} data; "
            "give --test data of the same kind."
        )
    import datasets

    kept = [row for row, part in enumerate(column(dataset, "part")) if part != "test"]
    parts = column(other, "part")
    taken = [row for row, part in enumerate(parts) if part == "test"] or list(range(len(parts)))
    tested = other.rows.select(taken).remove_columns("part").add_column("part", ["test"] * len(taken))
    rows = datasets.concatenate_datasets([dataset.rows.select(kept), tested])
    return replace(dataset, rows=rows, findings=(*dataset.findings, *other.findings))


def _read(spec: ReaderSpec, source: str, lookup: Lookup) -> Dataset:
    try:
        return _open(spec, lookup).read(source)
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
        found = [spec for spec in specs if spec.folders and _open(spec, lookup).recognises(path)]
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
