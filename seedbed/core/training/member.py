"""What is needed, beside the weights, to use a trained candidate again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from seedbed.core.data.view import View
from seedbed.core.errors import DataError
from seedbed.core.protocols import Lookup
from seedbed.core.search.candidate import Candidate

FILE = "member.json"
CHECKPOINT = "checkpoint.safetensors"

JUDGED = "judged.safetensors"
"""The checkpoint that was judged, beside one that has learnt more, while a resumable trial still has to end."""
PREDICTIONS = "predictions.npz"


@dataclass(frozen=True, kw_only=True, slots=True)
class Component:
    """Who offered a component the candidate names; what to install where it is missing."""

    kind: str
    name: str
    version: int
    owner: str
    owner_version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One trained candidate: its input form, and whether predictions are averaged over test-time views."""

    trial: int
    candidate: Candidate
    view: View
    test_time_views: bool = False
    components: tuple[Component, ...] = field(default=())

    def save(self, folder: Path) -> None:
        """Write `member.json`, whole or not at all."""
        partial = folder / f"{FILE}.partial"
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(self)))
        partial.replace(folder / FILE)


def load_member(folder: Path) -> Member:
    """Read `member.json` of a trial's folder.

    Raises:
        DataError: it is missing or damaged.
    """
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Member)
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{folder / FILE} cannot be read ({error}); this trial's model is lost.") from error


def components_of(candidate: Candidate, lookup: Lookup) -> tuple[Component, ...]:
    """Return the owner of every component a candidate names."""
    found = []
    for reference, version in sorted(candidate.versions.items()):
        kind, name = reference.split(":")
        owner = lookup.owner(kind, name)
        found.append(Component(kind=kind, name=name, version=version, owner=owner.name, owner_version=owner.version))
    return tuple(found)
