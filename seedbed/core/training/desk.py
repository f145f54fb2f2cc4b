"""What a worker keeps warm between jobs."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from seedbed.core.data.feeding.opening import open_source
from seedbed.core.data.feeding.source import Source
from seedbed.core.data.splitting.split import Splits, load_splits
from seedbed.core.protocols import Lookup
from seedbed.core.task import Modality
from seedbed.core.training.numerics import Numerics


@dataclass(slots=True)
class Desk:
    """The registry of this process, and what is costly to open or to measure twice."""

    lookup: Lookup
    sources: dict[tuple[str, str, str], Source] = field(default_factory=dict)
    splits: dict[str, Splits] = field(default_factory=dict)
    calibrations: dict[Hashable, Numerics] = field(default_factory=dict)

    def open_source(self, modality: Modality, data: str, tokens: str, device: torch.device) -> Source:
        """Open prepared rows once for each device."""
        key = (data, tokens, str(device))
        if key not in self.sources:
            self.sources[key] = open_source(modality, Path(data), tokens, device)
        return self.sources[key]

    def open_splits(self, path: str) -> Splits:
        """Read a split once."""
        if path not in self.splits:
            self.splits[path] = load_splits(Path(path))
        return self.splits[path]


def pick_device(wanted: str) -> torch.device:
    """Return the device for `auto`, `cpu`, `cuda`, `cuda:1` or `mps`; auto takes an accelerator if there is one."""
    if wanted != "auto":
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
