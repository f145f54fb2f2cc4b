"""A runner that really trains, and waits after a look until a test lets it go on, or asks it to end."""

import os
import time
from pathlib import Path

import torch
from core.training.helpers import fake_lookup

from seedbed.core.search.events import EpochFinished
from seedbed.core.training.desk import Desk
from seedbed.core.training.trial import run_trial

PROGRESS = 0.4


def run(job, emit, should_stop, desk):
    """Train; from the look at PROGRESS on wait for the candidate's file `gate`, beside which the process is named."""
    torch.set_num_threads(1)
    gate = Path(job.candidate.values["gate"])
    gate.with_suffix(".pid").write_text(str(os.getpid()))

    def told(event):
        emit(event)
        while isinstance(event, EpochFinished) and event.progress >= PROGRESS and not gate.exists():
            if should_stop():
                break
            time.sleep(0.01)

    run_trial(job, told, should_stop, Desk(fake_lookup()))
