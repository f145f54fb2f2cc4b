"""What all modalities have in common on the way from stored rows to a model's inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from seedbed.core.data.preparing.buckets import bucketed
from seedbed.core.data.view import View

Inputs = tuple[Any, ...]
"""What a backbone is called with: see `Backbone`."""

SampleChange = Callable[[np.ndarray], np.ndarray]
"""A change to stored images, uint8 (B, H, W, C), one at a time, before anything else is done to them."""


class Source(Protocol):
    """The stored rows of a dataset, read-only, and how they become a model's inputs."""

    device: torch.device

    def __len__(self) -> int: ...

    def gather(self, rows: Tensor, view: View, change: SampleChange | None = None) -> Inputs:
        """Return the inputs of these rows (B,) in the form that augmenters take, on the device."""
        ...

    def ready(self, inputs: Inputs, view: View) -> Inputs:
        """Bring what augmenters gave into the form that backbones take."""
        ...

    def lengths(self) -> np.ndarray | None:
        """Return how long each row is, int64 (N,); None where all are padded to one size anyway."""
        ...


def epochs(source: Source, rows: Tensor, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield batches of row numbers for ever, each epoch in a new order.

    Rows of unequal length come in batches of like length. Where all are equal the rows left over at an
    epoch's end begin the next one. Either way no batch is so small that batch normalisation breaks, and no
    row is seen more often than another.
    """
    lengths = source.lengths()
    if lengths is None or len(np.unique(lengths[rows.numpy()])) == 1:
        yield from _even(rows, batch_size, generator)
    else:
        yield from _by_length(lengths[rows.numpy()], rows, batch_size, generator)


def in_order_of_length(source: Source, rows: Tensor) -> Tensor | None:
    """Return the order (N,) in which rows waste the least on padding, the longest first; None: as they are."""
    lengths = source.lengths()
    if lengths is None:
        return None
    # Longest first: if they need more memory than there is, that shows at once.
    return torch.from_numpy(np.argsort(-lengths[rows.numpy()], kind="stable"))


def _even(rows: Tensor, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    left = rows[:0]
    while True:
        order = rows[torch.randperm(len(rows), generator=generator)]
        left = torch.cat([left, order])
        whole = len(left) // batch_size * batch_size
        if whole:  # splitting nothing would give one empty batch
            yield from left[:whole].split(batch_size)
        left = left[whole:]


def _by_length(lengths: np.ndarray, rows: Tensor, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    while True:
        for places in bucketed(lengths, batch_size, rng):
            yield rows[torch.from_numpy(places)]
