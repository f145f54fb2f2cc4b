"""Prepared series as tensors: standardised and padded batch by batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seedbed.core.data.feeding.source import Inputs, SampleChange
from seedbed.core.data.preparing.padding import pad
from seedbed.core.data.preparing.prepare_series import open_series
from seedbed.core.data.view import View


class Series:
    """The prepared rows of a dataset, end to end on disk, memory-mapped."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        prepared = open_series(folder)
        self.values, self.offsets = prepared.values(), prepared.offsets()
        self.device = device
        self._lengths = np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def gather(self, rows: Tensor, view: View, change: SampleChange | None = None) -> Inputs:
        """Return values float32 (B, C, T), standardised by the view and 0 where there is nothing, and mask bool (B, T).

        A row without a step has one all the same, of zeros: nothing can be pooled over none.
        """
        padded = pad(
            self.values, self.offsets, rows.cpu().numpy(), mean=np.asarray(view.mean), std=np.asarray(view.std)
        )
        values, mask = torch.from_numpy(padded.values), torch.from_numpy(padded.mask)
        if mask.shape[1] == 0:
            values, mask = values.new_zeros(*values.shape[:2], 1), mask.new_zeros(len(mask), 1)
        mask[:, 0] = True
        return values.to(self.device), mask.to(self.device)

    def ready(self, inputs: Inputs, view: View) -> Inputs:
        """Return them as they are: `gather` has standardised them."""
        return inputs

    def lengths(self) -> np.ndarray:
        """Return the steps of each row, int64 (N,)."""
        return self._lengths
