"""A plugin: a backend that trains nothing, and answers at once with looks and scores that depend on the candidate.

seedbed --plugin benchmarks/fake_backend.py fit demo:digits --trials 1000 --strategy random --backend fake
"""

from __future__ import annotations

import hashlib
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seedbed import BackendSpec, hookimpl
from seedbed.core.data.splitting.splits import load_splits
from seedbed.core.protocols import Workplace
from seedbed.core.search.candidate import EvaluationJob, Job, TrialJob
from seedbed.core.search.events import EpochFinished, EvaluationFailed, Event, TrialFinished
from seedbed.core.training.assemble import make_view
from seedbed.core.training.member import CHECKPOINT, PREDICTIONS, Member, components_of
from seedbed.core.training.predictions import Predictions

LOOKS = 10
_NO_WEIGHTS = struct.pack("<Q", 2) + b"{}"  # of safetensors


@dataclass(frozen=True)
class FakeOptions:
    """`slots` jobs may be open at a time."""

    slots: int = 4


@hookimpl
def register_backends() -> Iterator[BackendSpec]:
    """Offer the backend."""
    yield BackendSpec(
        name="fake", summary="Trains nothing: for benchmarks.", build=f"{__name__}:FakeBackend", options=FakeOptions
    )


class FakeBackend:
    """Says of every candidate, with its own probability, which validation rows it gets right."""

    def __init__(self, options: FakeOptions, workplace: Workplace) -> None:
        self._options = options
        self._events: deque[Event] = deque()
        self._open = 0
        self._lookup = workplace.lookup
        self._truth: tuple[np.ndarray, np.ndarray, int] | None = None

    def __enter__(self) -> FakeBackend:
        return self

    def __exit__(self, *exc: object) -> None:
        self._events.clear()

    def free_slots(self) -> int:
        """As many as options say."""
        return self._options.slots - self._open

    def submit(self, job: Job) -> None:
        """Answer at once; the events wait until they are polled."""
        self._open += 1
        if isinstance(job, EvaluationJob):
            self._events.append(EvaluationFailed(error="A fake model cannot be scored."))
        else:
            self._events.extend(self._trial(job))

    def _trial(self, job: TrialJob) -> Iterator[Event]:
        if self._truth is None:
            splits = load_splits(Path(job.splits))
            self._truth = splits.valid, splits.targets[splits.valid], len(splits.classes)
        rows, targets, classes = self._truth
        seed = int.from_bytes(hashlib.sha256(job.candidate.fingerprint.encode()).digest()[:8], "big")
        rng = np.random.default_rng(seed)
        skill = rng.uniform(0.3, 0.95)
        guessed = np.where(rng.random(len(rows)) < skill, targets, rng.integers(0, classes, len(rows)))
        outputs = np.full((len(rows), classes), 0.1 / classes, dtype=np.float32)
        outputs[np.arange(len(rows)), guessed] += 0.9
        folder = Path(job.folder)
        folder.mkdir(parents=True, exist_ok=True)
        Predictions(rows, targets, outputs).save(folder / PREDICTIONS)
        view = make_view(job.candidate, job.profile, self._lookup)
        components = components_of(job.candidate, self._lookup)
        Member(trial=job.trial, candidate=job.candidate, view=view, components=components).save(folder)
        (folder / CHECKPOINT).write_bytes(_NO_WEIGHTS)
        score = float((guessed == targets).mean())
        for look in range(1, LOOKS + 1):
            yield EpochFinished(
                trial=job.trial,
                epoch=float(look),
                progress=look / LOOKS,
                train_loss=1.0 / look,
                valid_loss=1.0 / look,
                score=score * look / LOOKS,
                seconds=0.01 * look,
                is_best=look == LOOKS,
            )
        yield TrialFinished(trial=job.trial, score=score, seconds=0.1, epochs=LOOKS, steps=LOOKS, row_seconds=1e-4)

    def stop(self, trial: int) -> None:
        """Nothing is under way."""

    def poll(self, timeout: float) -> list[Event]:
        """Return what has come."""
        found = list(self._events)
        self._events.clear()
        self._open = 0
        return found

    def idle(self) -> bool:
        """Whether no event waits."""
        return not self._events
