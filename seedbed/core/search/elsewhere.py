"""What a study must know of where its trials run: elsewhere they may be joined, told twice, late. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from seedbed.core.protocols import Backend
from seedbed.core.search.events import EpochFinished, Event, TrialPlaced
from seedbed.core.search.history import Trial


@dataclass(frozen=True, slots=True)
class Ways:
    """How a backend differs from one that runs jobs here; `Backend` says what each is."""

    backend: Backend

    @property
    def joins(self) -> bool:
        """Whether a trial that runs there is joined by submitting its job again."""
        return bool(getattr(self.backend, "joins", False))

    @property
    def is_late(self) -> bool:
        """Whether the files of a trial are here only when its last event is."""
        return bool(getattr(self.backend, "late", False))

    @property
    def hosts(self) -> bool:
        """Whether the whole study is to be handed over to it."""
        return bool(getattr(self.backend, "hosts", False))

    @property
    def gpus(self) -> int:
        """How many GPUs a trial may go over at most."""
        return max(int(getattr(self.backend, "gpus", 1)), 1)

    def delay(self) -> float:
        """Return the seconds from a submit until a job computes, as far as is known."""
        delay = getattr(self.backend, "delay", None)
        return 0.0 if delay is None else max(float(delay()), 0.0)


def was_told(event: Event, trial: Trial) -> bool:
    """Whether this was told of a trial before: by the machine it ran on, or in the log that is read from its beginning.

    Looks of a trial that is told by one process only are never compared: two may well lie at the same place.
    """
    if not trial.places:
        return False
    match event:
        case TrialPlaced():
            return (event.place, event.attempt) in trial.places
        case EpochFinished():
            reached = (event.progress, event.epoch)
            return any(reached <= (each.progress, each.epoch) for each in trial.curve[-1:])
    return False
