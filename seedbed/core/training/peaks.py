"""What a trial takes of an accelerator: held below a cap, told with its looks, and given back at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from seedbed.core.search.events import EpochFinished, Event
from seedbed.core.training.devices import device_of
from seedbed.core.training.memory import give_back


@contextmanager
def measured_memory(place: torch.device, most_bytes: int) -> Iterator[None]:
    """Let this process take so much of a device at most (0: all), measure its peak anew, and leave nothing behind.

    A worker stays warm between trials: what its allocator kept would be missing to the trials of others.
    """
    device = device_of(place)
    device.cap(most_bytes)
    device.reset_peak()
    try:
        yield
    finally:
        if device.counts_memory:
            give_back(place)


def with_peaks(emit: Callable[[Event], None], place: torch.device) -> Callable[[Event], None]:
    """Return an `emit` that tells with each look what the trial has taken so far."""
    device = device_of(place)
    if not device.counts_memory:
        return emit

    def emitted(event: Event) -> None:
        emit(replace(event, peak_bytes=device.peak_bytes()) if isinstance(event, EpochFinished) else event)

    return emitted
