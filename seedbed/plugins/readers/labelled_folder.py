"""A folder of images with a table that names them and says what is to be learnt; an edge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed import Finding, NoOptions
from seedbed.core.data.dataset import Part, ReadContext, Table, short_name
from seedbed.core.data.profile import MOST_NAMED
from seedbed.core.data.reading.arrowfile import fingerprint
from seedbed.core.data.reading.arrowforms import scan
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError
from seedbed.plugins.readers.folders import is_image, listed, not_listed, some, walk
from seedbed.plugins.readers.forms import Form, form_of
from seedbed.plugins.readers.pathmatch import Match, Names
from seedbed.plugins.readers.tables import chosen, read_parts, with_column

if TYPE_CHECKING:
    import pyarrow as pa

EXPECTED = "Expected is a folder of images and a table that names each of them: file,label and then 1.jpg,cat."


def build(options: NoOptions) -> LabelledFolder:
    """Build the reader."""
    return LabelledFolder()


@dataclass(slots=True)
class _Tally:
    """What naming images came across: cells that name none, by row, and images that are named."""

    missing: list[str] = field(default_factory=list)
    missing_count: int = 0
    named: set[str] = field(default_factory=set)


class LabelledFolder:
    """Reads images anywhere below a folder and the tables beside them; file names may lack their suffix."""

    def recognises(self, path: Path) -> bool:
        """Whether there are images, and a table that names them."""
        form = form_of(path)
        return form is not None and form.kind == "labelled"

    def read(self, source: str, context: ReadContext) -> Table:
        """Read the tables, with the images' paths as they are seen from the folder.

        Raises:
            DataError: no table names images, or it is not clear which is meant.
        """
        try:
            form = form_of(Path(source).resolve())
            images = sorted(filter(is_image, walk(str(form.root)))) if form is not None else []
        except OSError as error:
            raise DataError(not_listed(error, source)) from error
        if form is None or not form.matches:
            raise DataError(f"{source} holds no table that names its images. {EXPECTED}")
        files, notes = chosen([table for table, _ in form.matches], source)
        match = next(match for table, match in form.matches if table == files[0])
        table = read_parts(files, source, short_name(Path(source).resolve().name, "images"), context)
        if match.column not in table.rows.column_names:
            raise DataError(f"{source}: the column {match.column!r}, which names the images, is not in all tables.")
        tally = _Tally()
        cells = _paths(table, match, images, files[0].part, tally)
        stamp = fingerprint(match, *images)
        resolved = with_column(table, match.column, cells, stamp)
        findings = [*table.findings, *notes, _evidence(files[0].path.name, match), *_others(form)]
        findings += _complaints(tally, images)
        schema = Schema(modality="image", inputs=(match.column,)).over(table.schema)
        return replace(resolved, schema=schema, folder=form.root, findings=tuple(findings))


def _paths(table: Table, match: Match, images: list[str], alone: Part, tally: _Tally) -> Iterator[pa.Array]:
    """Yield the path of each row's image, and the cell as it is where there is none; `alone` is a lone table's part."""
    import pyarrow as pa

    names, part_column, first = Names(images, match.way), table.schema.part, 0
    columns = [match.column, part_column] if part_column else [match.column]
    for named, *given in scan(table.rows, columns):
        cells = named.cast(pa.string()).to_pylist()
        parts = given[0].to_pylist() if given else [alone] * len(cells)
        paths = []
        for row, (cell, part) in enumerate(zip(cells, parts, strict=True), start=first):
            path = names.find(cell or "", part)
            if path is not None:
                tally.named.add(path)
            else:
                tally.missing_count += 1
                if len(tally.missing) < MOST_NAMED:
                    tally.missing.append(cell or f"row {row}")
            paths.append(cell if path is None else path)
        first += len(cells)
        yield pa.array(paths, pa.string())


def _evidence(name: str, match: Match) -> Finding:
    return Finding(
        check="intake",
        severity="info",
        evidence=(
            f"{name}, column `{match.column}`: {match.share:.0%} of its first cells name images of the folder "
            f"by {match.way} → the images are the input."
        ),
        remedy="--input names another column.",
    )


def _others(form: Form) -> Iterator[Finding]:
    others = [each.path.name for each in form.tables if each not in dict(form.matches)]
    if others:
        yield Finding(
            check="intake",
            severity="info",
            evidence=f"{some(len(others), 'table')} that name no images left out: {listed(others)}.",
            remedy="Give a file as DATA to read that one.",
            rows=tuple(others[:MOST_NAMED]),
            count=len(others),
        )


def _complaints(tally: _Tally, images: list[str]) -> Iterator[Finding]:
    if tally.missing_count:
        yield Finding(
            check="labelled_folder",
            severity="warning",
            evidence=f"{some(tally.missing_count, 'row')} whose image is missing: {listed(tally.missing)}.",
            remedy="Add the images, or take the rows out of the table.",
            rows=tuple(tally.missing),
            count=tally.missing_count,
        )
    unnamed = [path for path in images if path not in tally.named]
    if unnamed:
        yield Finding(
            check="labelled_folder",
            severity="info",
            evidence=f"{some(len(unnamed), 'image')} that no row names: {listed(unnamed)}.",
            remedy="Add a row for each that should be learnt from.",
            rows=tuple(unnamed[:MOST_NAMED]),
            count=len(unnamed),
        )
