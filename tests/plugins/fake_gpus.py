"""Two GPUs of 10 GB that only the tests believe in, and trials that say what they would take of one."""

import os
import time
from dataclasses import replace
from pathlib import Path

from fake_runners import epoch, finished

from seedbed.core.search.events import TrialPlanned
from seedbed.plugins.backends.gpus import Gpu

GB = 10**9


def query():
    return tuple(
        Gpu(index=place, uuid=f"GPU-{name}", name="Test 10", total_bytes=10 * GB, free_bytes=10 * GB)
        for place, name in enumerate(("aa", "bb"))
    )


def one():
    return query()[:1]


def none():
    return ()


def run(job, emit, should_stop, desk):
    """Say what was taken, wait until as many are there as are to meet, and tell where this ran."""
    values = job.candidate.values
    folder = Path(values["folder"])
    (folder / f"{job.trial}").touch()
    if device := values.get("planned"):
        plan = {"precision": "float32", "memory_format": "contiguous", "batch_size": 1, "steps": None}
        emit(TrialPlanned(trial=job.trial, device=device, **plan))
    emit(replace(epoch(job), peak_bytes=values.get("peak", GB)))
    limit = time.monotonic() + 20.0
    while len(list(folder.iterdir())) < values.get("meet", 1) and time.monotonic() < limit:
        time.sleep(0.01)
    here = (os.environ["CUDA_VISIBLE_DEVICES"], os.environ["PYTORCH_ALLOC_CONF"], job.device, str(job.memory_bytes))
    here += (str(len(list(folder.iterdir()))), str(job.processes), *job.gpus)
    emit(replace(finished(job, *here), peak_bytes=values.get("peak", GB)))
