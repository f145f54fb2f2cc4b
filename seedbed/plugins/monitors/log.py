"""The events of a run as log records, for products that collect logs."""

from __future__ import annotations

import logging

from seedbed.core.protocols import Workplace
from seedbed.core.search.events import Event, to_line
from seedbed.core.search.history import History
from seedbed.core.specs import NoOptions
from seedbed.plugins.monitors.words import sentence, weight

log = logging.getLogger("seedbed.run")

_LEVELS = {"warning": logging.WARNING, "error": logging.ERROR}


class LogMonitor:
    """Logs what matters at INFO or above, as a sentence, and all else at DEBUG, as JSON."""

    def on_event(self, event: Event, history: History) -> None:
        """Log one event."""
        said = sentence(event, history)
        if said is None:
            log.debug("%s", to_line(event).decode())
        else:
            log.log(_LEVELS.get(weight(event), logging.INFO), "%s", said)

    def close(self) -> None:
        """Nothing to give back: handlers belong to whoever configured logging."""


def log_events(options: NoOptions, workplace: Workplace) -> LogMonitor:
    """Build the monitor."""
    return LogMonitor()
