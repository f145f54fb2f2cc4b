"""A Hugging Face dataset: as a reader found it, and with its modality, target and parts known."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seedbed.core.data.profile import Finding
from seedbed.core.data.schema import Schema
from seedbed.core.task import Modality, TaskKind

if TYPE_CHECKING:
    import datasets

Part = Literal["train", "valid", "test", ""]
"""The part of the data a row was given to by its owner; empty where that is left to the engine."""


def short_name(name: str, otherwise: str) -> str:
    """Return a name for data that is fit for a folder's."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:40] or otherwise


OWN = "column:"
"""Before the names of the columns that a table has beside those in use."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadContext:
    """What a reader may use: a folder for converted rows, named by content, and the network or not.

    `modality` is what the user says the data is, for forms that leave it open, as arrays do.
    """

    cache: Path
    offline: bool = False
    modality: Modality | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows as a reader found them, in any columns, before it is settled what is to be learnt from them.

    `rows` lie memory-mapped where they may be many. `schema` is what the form itself says (a UCR file
    knows its target), `folder` where relative paths of image files are seen from. Row order is stable:
    equal addresses give equal rows. `name` is short and fit for a folder name; `findings` are things
    only the reader could see (a line of another length, a file of no known type).
    """

    rows: datasets.Dataset
    source: str
    name: str
    schema: Schema = field(default_factory=Schema)
    folder: Path | None = None
    findings: tuple[Finding, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """Rows of a known form: what all that follows works with.

    `rows` has one column for the input, named after the modality:

    - `image`: a struct of `bytes` and `path`, one of them set (`datasets.Image(decode=False)`);
    - `text`: a string;
    - `series`: a list of channels, each a list of float32 of the same length within a row;

    then `part` (a `Part`) and `target`: a string for classification, float64 for regression, a list of
    strings for multi-label; null or empty where it is missing. There may be `group` (string) and
    `order` (float64 or string). Row order is stable. `schema` names the columns they were made of.
    """

    rows: datasets.Dataset
    modality: Modality
    source: str
    name: str
    kind: TaskKind = "classification"
    schema: Schema = field(default_factory=Schema)
    findings: tuple[Finding, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.rows)
