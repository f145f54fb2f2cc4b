"""Stored texts as a model's inputs: ids of the run's own vocabulary, padded, or the strings themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seedbed.core.data.feeding.source import Inputs, SampleChange
from seedbed.core.data.preparing.lay_texts import open_texts
from seedbed.core.data.preparing.tokens import open_tokens
from seedbed.core.data.view import View


class Texts:
    """The rows of a dataset, as strings and as ids, memory-mapped; the view says which of the two is given."""

    def __init__(self, folder: Path, tokens: Path, device: torch.device) -> None:
        self.texts = open_texts(folder)
        opened = open_tokens(tokens)
        self.ids, self.offsets = opened.ids(), opened.offsets()
        self.device = device
        self._lengths = np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def gather(self, rows: Tensor, view: View, change: SampleChange | None = None) -> Inputs:
        """Return ids int64 (B, T), 0 where there is nothing, and mask bool (B, T); or a list of B strings."""
        wanted = rows.cpu().numpy()
        if view.encoding == "strings":
            return (self.texts.of(wanted),)
        begins, ends = self.offsets[wanted], self.offsets[wanted + 1]
        mask = np.arange(int((ends - begins).max(initial=1))) < (ends - begins)[:, None]
        ids = np.zeros(mask.shape, dtype=np.int64)
        ids[mask] = np.concatenate([self.ids[begin:end] for begin, end in zip(begins, ends, strict=True)])
        return torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device)

    def ready(self, inputs: Inputs, view: View) -> Inputs:
        """Return them as they are."""
        return inputs

    def lengths(self) -> np.ndarray:
        """Return the tokens of each row, int64 (N,)."""
        return self._lengths
