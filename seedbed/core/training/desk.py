"""What a worker keeps warm between jobs."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from seedbed.core.data.feeding.carried import Carried
from seedbed.core.data.feeding.opening import open_source
from seedbed.core.data.feeding.source import Source
from seedbed.core.data.splitting.split import Splits, load_splits
from seedbed.core.protocols import Lookup
from seedbed.core.task import Modality
from seedbed.core.training.compiling import Compilation
from seedbed.core.training.devices import device_of
from seedbed.core.training.numerics import Numerics
from seedbed.core.training.parallel import Ring


@dataclass(slots=True)
class Desk:
    """The registry of this process, and what is costly to open or to measure twice."""

    lookup: Lookup
    sources: dict[tuple[str, str, str], Source] = field(default_factory=dict)
    splits: dict[str, Splits] = field(default_factory=dict)
    calibrations: dict[Hashable, Numerics] = field(default_factory=dict)
    compilations: dict[Hashable, Compilation] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    """With what another process opens the same registry."""
    ring: Ring | None = None
    """The processes that share this one's trial."""

    def open_source(self, modality: Modality, data: str, tokens: str, device: torch.device) -> Source:
        """Open prepared rows once for each device."""
        key = (data, tokens, str(device))
        if key not in self.sources:
            self.sources[key] = open_rows(modality, Path(data), tokens, device)
        return self.sources[key]

    def open_splits(self, path: str) -> Splits:
        """Read a split once."""
        if path not in self.splits:
            self.splits[path] = load_splits(Path(path))
        return self.splits[path]


def open_rows(modality: Modality, data: Path, tokens: str, device: torch.device) -> Source:
    """Open prepared rows so that batches of them come to a device; what has room there lies there."""
    there = device_of(device)
    source = open_source(modality, data, tokens, there.feeds_from, room=room_on(device))
    return source if there.feeds_from == device else Carried(source, device)


def room_on(device: torch.device) -> float:
    """Return the bytes that a device has left, infinitely many where its memory is the host's."""
    found = device_of(device).memory()
    return math.inf if found is None else float(found[0])
