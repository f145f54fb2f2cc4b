"""One line on stderr for each thing that matters."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from seedbed.core.protocols import Workplace
from seedbed.core.search.events import BundleSaved, EpochFinished, Event, StageEntered
from seedbed.core.search.history import History
from seedbed.core.specs import NoOptions
from seedbed.plugins.monitors import words

_PROGRESS_SECONDS = 10.0


class News:
    """Tells news from what only got further: an epoch, more of a stage, a better model of the same trials."""

    def __init__(self) -> None:
        self._stage = ""
        self._saved: tuple[int, ...] = ()

    def is_progress(self, event: Event) -> bool:
        """Whether the event only continues what was already said; to be asked once for each event, in order."""
        match event:
            case EpochFinished():
                return True
            case StageEntered():
                before, self._stage = self._stage, event.stage
                return before == event.stage
            case BundleSaved():
                saved, self._saved = self._saved, event.trials
                return saved == event.trials
            case _:
                return False


class PlainMonitor:
    """Prints sentences with the run's age in front; progress within a stage every ten seconds at most."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said_at = clock()
        self._news = News()

    def on_event(self, event: Event, history: History) -> None:
        """Print what there is to say, if anything."""
        is_progress = self._news.is_progress(event)
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
