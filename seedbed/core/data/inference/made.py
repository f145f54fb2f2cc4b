"""The columns of a dataset that have to be made out of those of a table, and what could not be made of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seedbed.core.data.inference import channels, derive
from seedbed.core.data.inference.facts import ColumnFacts
from seedbed.core.data.inference.infer import Reading
from seedbed.core.data.inference.modality import channels_of
from seedbed.core.data.profile import MOST_NAMED, Finding
from seedbed.core.data.reading.arrowfile import Sink
from seedbed.core.data.reading.arrowforms import BATCH_ROWS, scan, without_empty
from seedbed.core.errors import DataError

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

MOST_UNREAD = 0.05  # of the targets may be no numbers where numbers are asked for
_BATCH_NUMBERS = 2**22  # of a wide series, which is held as one matrix


@dataclass(slots=True)
class Notes:
    """Rows of which something is to be told, by what: the count of all, and the numbers of the first."""

    counts: Counter[str] = field(default_factory=Counter)
    rows: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    examples: list[str] = field(default_factory=list)

    def add(self, what: str, mask: np.ndarray, start: int) -> None:
        """Note the rows of a batch that a mask (n,) marks; the batch begins at `start`."""
        found = np.flatnonzero(mask)
        self.counts[what] += len(found)
        room = MOST_NAMED - len(self.rows[what])
        self.rows[what] += (found[:room] + start).tolist()


class Plan:
    """Which columns are taken as they are (`taken`: new name → old name), and how the others are made."""

    def __init__(
        self, rows: datasets.Dataset, facts: Mapping[str, ColumnFacts], reading: Reading, folder: Path
    ) -> None:
        schema = reading.schema
        self.rows, self.facts, self.reading, self.folder = rows, facts, reading, folder
        self.modality = schema.modality or "text"
        self.used = {*schema.inputs, *reading.targets, schema.part, schema.group, schema.order}
        self.taken: dict[str, str] = {}
        if len(schema.inputs) == 1 and self._lies_ready(self.modality, schema.inputs[0]):
            self.taken[self.modality] = schema.inputs[0]
        if schema.kind == "classification" and reading.targets and self._lies_ready("text", reading.targets[0]):
            self.taken["target"] = reading.targets[0]
        roles = {
            self.modality: schema.inputs,
            "target": reading.targets,
            "part": (schema.part,) if schema.part else (),
            "group": (schema.group,) if schema.group else (),
            "order": (schema.order,) if schema.order else (),
        }
        self.made = {name: columns for name, columns in roles.items() if columns and name not in self.taken}
        self.sources = list(dict.fromkeys(column for columns in self.made.values() for column in columns))

    def _lies_ready(self, modality: str, name: str) -> bool:
        """Whether a column has the form already that it is to have."""
        import pyarrow as pa

        column, fact = self.rows.data.table.column(name), self.facts[name]
        match modality:
            case "text":
                return bool(column.type == pa.string())
            case "image":
                is_form = column.type == pa.struct({"bytes": pa.binary(), "path": pa.string()})
                return is_form and not any(chunk.flatten()[0].null_count for chunk in column.chunks)
            case _:
                is_form = column.type == pa.list_(pa.list_(pa.float32()))
                return is_form and self.reading.layout == "channels" and fact.narrowest == fact.widest

    def fill(self, sink: Sink) -> None:
        """Make the columns, batch by batch, and tell what could not be made."""
        import pyarrow as pa

        notes, start = Notes(), 0
        most = min(BATCH_ROWS, _BATCH_NUMBERS // len(self.sources) + 1)
        for batch in scan(self.rows, self.sources, most):
            given = dict(zip(self.sources, batch, strict=True))
            made = {}
            for name, columns in self.made.items():
                arrays = [given[column] for column in columns]
                try:
                    made[name] = self._make(name, arrays, notes, start)
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                    listed = ", ".join(str(self.facts[column]) for column in columns[:5])
                    raise DataError(
                        f"Column {listed} cannot be used as {name} ({error}). Choose others with --input, --target, "
                        "--part, --group or --order."
                    ) from error
            sink.write(pa.table(made))
            start += len(batch[0])
        sink.findings += self._findings(notes, start)

    def _make(self, name: str, arrays: list[pa.Array], notes: Notes, start: int) -> pa.Array:
        match name:
            case "text":
                return derive.joined_text(arrays)
            case "image":
                return derive.image_files(arrays[0], self.folder)
            case "series":
                found = self._series(arrays)
                notes.add("uneven", found.uneven, start)
                notes.add("odd", found.odd, start)
                return found.rows
            case "target":
                return self._target(arrays, notes, start)
            case "part":
                return derive.part_names(arrays[0])
            case "group":
                return derive.group_names(arrays[0])
            case _:
                return derive.order_values(arrays[0])

    def _series(self, arrays: list[pa.Array]) -> channels.Series:
        inputs = self.reading.schema.inputs
        match self.reading.layout:
            case "lists":
                return channels.from_lists(arrays)
            case "channels":
                return channels.from_channels(arrays[0])
            case "steps_first":
                return channels.from_steps(arrays[0], self.facts[inputs[0]].widest)
            case "cells":
                return channels.from_cells(arrays)
            case _:
                given = dict(zip(inputs, arrays, strict=True))
                return channels.from_wide([[given[name] for name in names] for names in channels_of(inputs)])

    def _target(self, arrays: list[pa.Array], notes: Notes, start: int) -> pa.Array:
        kind, targets = self.reading.schema.kind, self.reading.targets
        if len(targets) > 1:
            return derive.labels_that_hold(arrays, targets)
        if kind == "multilabel":
            return derive.label_lists(arrays[0], self.reading.separator)
        if kind == "classification":
            return derive.class_names(without_empty(arrays[0]))
        made = derive.amounts(arrays[0])
        unread = derive.is_unread(arrays[0], made)
        notes.add("unread", unread, start)
        if unread.any() and len(notes.examples) < 3:
            notes.examples += [repr(arrays[0][int(row)].as_py())[:60] for row in np.flatnonzero(unread)[:3]]
        return made

    def _findings(self, notes: Notes, total: int) -> Iterator[Finding]:
        if notes.counts["unread"]:
            yield self._unread(notes, total)
        inputs = " and ".join(f"`{name}`" for name in self.reading.schema.inputs[:5])
        if notes.counts["odd"]:
            if notes.counts["odd"] == total:
                raise DataError(
                    f"Column {inputs} cannot be read as series in any of {total:,} rows. Expected are lists of "
                    "numbers, as [1.5, 2, 3.5], or numbers between commas or spaces."
                )
            yield Finding(
                check="intake",
                severity="warning",
                evidence=f"Column {inputs}: {notes.counts['odd']:,} of {total:,} cells are no lists of numbers.",
                remedy="Correct them; without a series a row is left out.",
                rows=tuple(map(str, notes.rows["odd"])),
                count=notes.counts["odd"],
            )
        if notes.counts["uneven"]:
            yield Finding(
                check="intake",
                severity="warning",
                evidence=f"Column {inputs}: in {notes.counts['uneven']:,} of {total:,} rows the channels differ in "
                "length; the shorter ones are filled with missing values.",
                remedy="If they are sampled at different rates, resample them.",
                rows=tuple(map(str, notes.rows["uneven"])),
                count=notes.counts["uneven"],
            )

    def _unread(self, notes: Notes, total: int) -> Finding:
        fact, count = self.facts[self.reading.targets[0]], notes.counts["unread"]
        examples = ", ".join(notes.examples[:3])
        if count > MOST_UNREAD * max(total - fact.missing, 1):
            raise DataError(
                f"Column {fact} cannot be learnt by regression: {count:,} of {total:,} cells are no numbers, such as "
                f"{examples}. Say --task classification, or name another column with --target."
            )
        return Finding(
            check="intake",
            severity="warning",
            evidence=f"Column `{fact.name}`: {count:,} of {total:,} cells are no finite numbers, such as {examples}.",
            remedy="Correct them; without a target a row is left out.",
            rows=tuple(map(str, notes.rows["unread"])),
            count=count,
        )
