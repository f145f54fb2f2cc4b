"""Whole runs that take a second or two: in this process, with nets and a strategy made for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from seedbed import api
from seedbed.core.training.startup import spare_dynamo

PLUGINS = Path(__file__).parent / "faults" / "plugins"


@contextmanager
def surroundings(home: Path) -> Iterator[None]:
    """A cache folder of its own, no installed plugins, and what makes small torch jobs fast."""
    spare_dynamo()  # its import would take longer than a run
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two threads that fight for a busy core make tiny nets ten times slower
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEDBED_HOME", str(home))
        patch.setenv("SEEDBED_PLUGINS", "")
        yield
    torch.set_num_threads(threads)


def options(**more):
    """Options of `seedbed.fit` for a quick run; the strategy tries three sizes of `blur`, then ends."""
    return {
        "backend": "inline",
        "strategy": "quick",
        "use": ["architecture:blur"],
        "plugins": [str(PLUGINS / "quick.py")],
        "offline": True,
        "trials": 1,
    } | more


def quick_fit(out, source="demo:digits", **more):
    return api.fit(source, out=out, **options(**more))


def quick_start(out, source="demo:digits", **more):
    return api.start(source, out=out, **options(**more))


def photos(folder: Path, count: int = 12, first: int = 0) -> Path:
    """Write two classes of small random pictures, told apart by their brightness."""
    for name, low in (("dark", 0), ("light", 128)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + count):
            pixels = np.random.default_rng(number).integers(low, low + 128, (10, 10), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


class Cancelling:
    """A monitor that cancels the run it watches at the first event that `when` holds for."""

    def __init__(self, when):
        self.when, self.handle = when, None

    def on_event(self, event, history):
        if self.when(event):
            self.handle.cancel()

    def close(self):
        pass


def cancelled_when(when, out, **more):
    """Start a run and return its handle; it is cancelled within the event for which `when` holds.

    The event must come later than the handle: any that is preceded by work.
    """
    monitor = Cancelling(when)
    monitor.handle = handle = quick_start(out, monitors=[monitor], **more)
    return handle
