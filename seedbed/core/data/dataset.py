"""A Hugging Face dataset with a known modality, target column and parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from seedbed.core.data.profile import Finding
from seedbed.core.task import Modality

if TYPE_CHECKING:
    import datasets

Part = Literal["train", "valid", "test", ""]
"""The part of the data a row was given to by its owner; empty where that is left to the engine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """What a reader returns.

    `rows` has three columns for images: `image` (`datasets.Image(decode=False)`: a struct of `bytes`
    and `path`, one of them set), `target` (string) and `part` (a `Part`). Row order is stable: equal
    addresses give equal rows. `name` is short and fit for a folder name; `findings` are things only
    the reader could see (an empty class folder, a file of no known type).
    """

    rows: datasets.Dataset
    modality: Modality
    source: str
    name: str
    findings: tuple[Finding, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.rows)
