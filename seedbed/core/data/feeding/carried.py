"""Rows that are gathered and augmented in one place and learnt from in another."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from seedbed.core.data.feeding.source import Inputs, SampleChange, Source
from seedbed.core.data.view import View


class Carried:
    """A source whose batches go to `device` at the last moment: for devices that cannot augment."""

    def __init__(self, source: Source, device: torch.device) -> None:
        self._source = source
        self.device = device

    def __len__(self) -> int:
        return len(self._source)

    def gather(self, rows: Tensor, view: View, change: SampleChange | None = None) -> Inputs:
        """Return the inputs of these rows (B,) where they are stored."""
        return self._source.gather(rows, view, change)

    def ready(self, inputs: Inputs, view: View) -> Inputs:
        """Bring them into the form that backbones take, and to the device."""
        found = self._source.ready(inputs, view)
        return tuple(each.to(self.device) if isinstance(each, Tensor) else each for each in found)

    def lengths(self) -> np.ndarray | None:
        """Return how long each row is."""
        return self._source.lengths()
