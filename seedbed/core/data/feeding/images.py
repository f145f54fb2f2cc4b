"""Prepared images as tensors: gathered by row, brought to a model's input form."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from seedbed.core.data.feeding.source import Inputs, SampleChange
from seedbed.core.data.view import View

_RESIDENT_SHARE = 0.4
"""Of an accelerator's free memory, what the images may take: nets and their gradients need the rest."""


class Images:
    """The prepared rows of a dataset; uint8 (N, H, W, C) on disk, memory-mapped.

    `room` is how many bytes the device has left.
    """

    def __init__(self, folder: Path, device: torch.device, room: float = math.inf) -> None:
        # "c" (copy on write) because torch warns of arrays it may not write to; nothing here writes.
        array = np.load(folder / "images.npy", mmap_mode="c")
        pixels = torch.from_numpy(array)
        # On an accelerator the whole set is resident, so that a step copies nothing but row numbers.
        self.pixels = pixels.to(device) if pixels.nbytes <= _RESIDENT_SHARE * room else pixels
        self.device = device

    def __len__(self) -> int:
        return len(self.pixels)

    def gather(self, rows: Tensor, view: View, change: SampleChange | None = None) -> Inputs:
        """Return float32 (B, C, H, W) in [0, 1] of the view's size and channels."""
        found = self.pixels[rows.to(self.pixels.device)].to(self.device)
        if change is not None:
            found = torch.from_numpy(change(found.cpu().numpy())).to(self.device)
        return (to_unit(found.permute(0, 3, 1, 2), view),)  # channels-last in memory

    def ready(self, inputs: Inputs, view: View) -> Inputs:
        """Normalise by the view's mean and standard deviation."""
        return (normalise(inputs[0], view),)

    def lengths(self) -> None:
        """All images have one size."""
        return None


def to_unit(pixels: Tensor, view: View) -> Tensor:
    """Bring uint8 (B, C, H, W) to float32 in [0, 1] of the view's size and channels."""
    return resize(pixels.float().div_(255), view)


def resize(inputs: Tensor, view: View) -> Tensor:
    """Bring float32 (B, C, H, W) to the view's size and channels."""
    if inputs.shape[-2:] != (view.height, view.width):
        inputs = F.interpolate(
            inputs,
            (view.height, view.width),
            mode="bilinear",
            align_corners=False,
            antialias=_shrinks(inputs, view),
        )
    if inputs.shape[1] == 1 and view.channels == 3:
        inputs = inputs.expand(-1, 3, -1, -1)
    elif inputs.shape[1] == 3 and view.channels == 1:
        inputs = inputs.mean(1, keepdim=True)
    return inputs


def _shrinks(inputs: Tensor, view: View) -> bool:
    # Antialiasing is a no-op when enlarging, but costs five times the plain kernel on the CPU.
    return bool(inputs.shape[-2] > view.height or inputs.shape[-1] > view.width)


def normalise(inputs: Tensor, view: View) -> Tensor:
    """Subtract the view's mean and divide by its standard deviation, channel by channel."""
    mean = inputs.new_tensor(view.mean)[:, None, None]
    std = inputs.new_tensor(view.std)[:, None, None]
    return (inputs - mean) / std
