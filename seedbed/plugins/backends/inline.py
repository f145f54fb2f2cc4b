"""The reference backend: jobs run one at a time in a thread of this process."""

from __future__ import annotations

import logging
import queue
import threading
from dataclasses import dataclass, field
from functools import cache
from pkgutil import resolve_name

from seedbed.core.network import staying_offline
from seedbed.core.protocols import Workplace
from seedbed.core.search.attempting import Run, attempt, on_desk
from seedbed.core.search.candidate import Job
from seedbed.core.search.events import TERMINAL, Event
from seedbed.plugins.backends import InlineOptions

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Task:
    """A job, the flag that asks it to end, and the one that says it has."""

    job: Job
    stop: threading.Event = field(default_factory=threading.Event)


class InlineBackend:
    """Runs jobs here; one thread at a time may drive it.

    Nothing can end a thread by force: a job that ignores its stop flag is left behind on leaving.
    """

    def __init__(self, options: InlineOptions, workplace: Workplace) -> None:
        self._options = options
        self._workplace = workplace
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._current: _Task | None = None
        self._thread = threading.Thread(target=self._begin, name="seedbed-inline", daemon=True)

    def __enter__(self) -> InlineBackend:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._current is not None:
            self._current.stop.set()
        self._tasks.put(None)
        self._thread.join(self._options.patience)
        if self._thread.is_alive():
            log.warning("A job ignored its stop flag for %g s and is left behind.", self._options.patience)

    def free_slots(self) -> int:
        """One, or none while a job's end has not been polled."""
        return 1 if self._current is None else 0

    def submit(self, job: Job) -> None:
        """Start a job; the slot must be free."""
        if self._current is not None:
            raise RuntimeError(f"Trial {self._current.job.trial} still runs; ask free_slots() before submit().")
        self._current = _Task(job)
        self._tasks.put(self._current)

    def stop(self, trial: int) -> None:
        """Raise the job's stop flag; a trial that does not run is none of our business."""
        if self._current is not None and self._current.job.trial == trial:
            self._current.stop.set()

    def poll(self, timeout: float) -> list[Event]:
        """Return the events that came, waiting up to `timeout` seconds for the first."""
        events: list[Event] = []
        try:
            events.append(self._events.get(timeout=max(timeout, 0.0)))
            while True:
                events.append(self._events.get_nowait())
        except queue.Empty:
            pass
        if any(isinstance(event, TERMINAL) for event in events):
            self._current = None
        return events

    def idle(self) -> bool:
        """Whether nothing runs and no event waits."""
        return self._current is None and self._events.empty()

    def _begin(self) -> None:
        with staying_offline(self._workplace.offline):
            self._work()

    def _work(self) -> None:
        opened = cache(self._open)  # what it raises is not kept: the next job tries again
        for task in iter(self._tasks.get, None):
            attempt(task.job, self._events.put, task.stop.is_set, lambda *told: opened()(*told))

    def _open(self) -> Run:
        """Import what runs jobs, and lay out its desk: what stays warm between them."""
        if self._options.runner != InlineOptions.runner:
            return on_desk(resolve_name(self._options.runner), None)
        from seedbed.core.work import Desk, run

        return on_desk(run, Desk(self._workplace.lookup, plugins=self._workplace.plugins))
