"""Which column plays which part: what a reader knows, what a user says, and what is then inferred."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from seedbed.core.task import Modality, TaskKind

NestedLayout = Literal["channels", "steps_first"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Schema:
    """How a table is read; every field is empty where it is open.

    `inputs` are the columns a model sees, `target` the one it learns, `part` says which rows are for
    training, validation and test, rows with equal `group` stay on one side of every split, and `order`
    sorts rows in time, so that what comes later is validated on. `kind` is the kind of task. `layout` says
    of inputs that are lists of lists which of the two are the channels, as few rows do not show it.
    """

    modality: Modality | None = None
    kind: TaskKind | None = None
    inputs: tuple[str, ...] = ()
    target: str = ""
    part: str = ""
    group: str = ""
    order: str = ""
    layout: NestedLayout | Literal[""] = ""

    def over(self, other: Schema) -> Schema:
        """Return this schema with what it leaves open taken from another."""
        return Schema(**{each.name: getattr(self, each.name) or getattr(other, each.name) for each in fields(self)})

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is named, inputs first, without repetition."""
        named = (*self.inputs, self.target, self.part, self.group, self.order)
        return tuple(dict.fromkeys(name for name in named if name))
