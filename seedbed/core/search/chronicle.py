"""Where events go: stamped, into the journal, into the history, to the monitors."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from seedbed.core.protocols import Monitor
from seedbed.core.search.events import Event
from seedbed.core.search.history import History
from seedbed.core.search.journal import Journal, read

log = logging.getLogger(__name__)


class Chronicle:
    """The record of one run, and its clock: seconds since it began, earlier sessions of it included."""

    def __init__(
        self,
        journal: Journal,
        monitors: Sequence[Monitor] = (),
        *,
        began: float,
        history: History | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin, or go on with `history`; `began` is the Unix time from which this session counts."""
        self.history = History() if history is None else history  # one without trials is falsy
        self._journal = journal
        self._monitors = monitors
        self._clock = clock
        # Unix time may be set while a run goes on, so it is read once, and a steady clock from then on.
        self._zero = clock() - max(time.time() - began, 0.0) - self.history.seconds

    def now(self) -> float:
        """Return the run's age in seconds."""
        return self._clock() - self._zero

    def record(self, event: Event) -> None:
        """Write an event down, take it into account and show it."""
        event = replace(event, at=round(self.now(), 3))
        self._journal.append(event)
        self.history.apply(event)
        self._show(event)

    def relay(self, event: Event) -> None:
        """Take into account and show an event that is journalled where it came to be."""
        self.history.apply(event)
        self._show(event)

    def replace_journal(self, put: Callable[[], object]) -> None:
        """Go on with a journal in place of this one, which `put` brings to where this one lies."""
        path = self._journal.path
        self._journal.close()
        try:
            put()
        finally:
            self._journal = Journal(path)
            self.history = History(read(path))

    def _show(self, event: Event) -> None:
        for monitor in self._monitors:
            try:
                monitor.on_event(event, self.history)
            except Exception:  # a monitor is a plugin, and watching must not end what it watches
                log.warning("A monitor failed at %s.", type(event).__name__, exc_info=True)

    def close(self) -> None:
        """Release the journal and tell the monitors that it is over."""
        self._journal.close()
        for monitor in self._monitors:
            try:
                monitor.close()
            except Exception:  # as above
                log.warning("A monitor failed to close.", exc_info=True)
