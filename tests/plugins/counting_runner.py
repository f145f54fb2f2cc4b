"""A runner that counts: it leaves its state in its folder, goes on from there, and waits where a test tells it to."""

import json
import os
import time
from pathlib import Path

from seedbed.core.search.events import EpochFinished, TrialFinished, TrialStopped

LOOKS = 6


def run(job, emit, should_stop, desk):
    """Look LOOKS times; before look n wait for the file `go-n` in the candidate's `gate`; write there who runs it."""
    gate, folder = Path(job.candidate.values["gate"]), Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "state.json"
    done = json.loads(state.read_text()) if state.exists() else []
    (gate / f"trial-{job.trial}.pid").write_text(str(os.getpid()))
    for number in range(len(done), LOOKS):
        while not (gate / f"go-{number}").exists():
            if should_stop():
                emit(TrialStopped(trial=job.trial, reason="asked to", seconds=1.0))
                return
            time.sleep(0.01)
        done.append(Path(job.data).read_text() if Path(job.data).is_file() else os.getpid())
        partial = folder / "state.json.partial"
        partial.write_text(json.dumps(done))
        partial.replace(state)
        emit(_look(job, number))
    (folder / "predictions.npz").write_text(f"read from {job.data}")
    emit(TrialFinished(trial=job.trial, score=0.9, seconds=1.0, epochs=float(LOOKS), steps=LOOKS))


def _look(job, number):
    return EpochFinished(
        trial=job.trial,
        epoch=float(number + 1),
        progress=(number + 1) / LOOKS,
        train_loss=0.5,
        valid_loss=0.5,
        score=0.5 + 0.05 * number,
        seconds=float(number),
        is_best=True,
    )


def open_gates(gate, numbers):
    """Let trials pass the gates of these looks."""
    for number in numbers:
        (Path(gate) / f"go-{number}").touch()
