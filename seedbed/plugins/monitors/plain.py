"""One line on stderr for each thing that matters."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from seedbed.core.protocols import Workplace
from seedbed.core.search.events import EpochFinished, Event, StageEntered
from seedbed.core.search.history import History
from seedbed.core.specs import NoOptions
from seedbed.plugins.monitors import words

_PROGRESS_SECONDS = 10.0


class PlainMonitor:
    """Prints sentences with the run's age in front; progress within a stage every ten seconds at most."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said_at = clock()
        self._stage = ""

    def on_event(self, event: Event, history: History) -> None:
        """Print what there is to say, if anything."""
        is_progress = isinstance(event, EpochFinished)
        if isinstance(event, StageEntered):
            is_progress, self._stage = event.stage == self._stage, event.stage
        if is_progress and self._clock() - self._said_at < _PROGRESS_SECONDS:
            return
        if isinstance(event, EpochFinished):
            said: str | None = "; ".join(words.progress(each, history) for each in history.running)
        else:
            said = words.sentence(event, history)
        if said:
            self._say(said, history.seconds)

    def close(self) -> None:
        """Nothing is held."""

    def _say(self, text: str, age: float) -> None:
        self._said_at = self._clock()
        # Looked up now and not kept: whoever captures or redirects stderr meanwhile gets the line.
        sys.stderr.write(f"[{age:7.1f} s] {text}\n")
        sys.stderr.flush()


def plain(options: NoOptions, workplace: Workplace) -> PlainMonitor:
    """Build the monitor."""
    return PlainMonitor()
