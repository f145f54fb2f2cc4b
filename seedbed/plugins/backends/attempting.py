"""Running one job where no worker process stands between: exactly one terminal event comes of it."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable

from seedbed.core.errors import DataError, TrialError
from seedbed.core.search.candidate import Job
from seedbed.core.search.events import TERMINAL, Event, from_line, to_line
from seedbed.plugins.backends.endings import failed

log = logging.getLogger(__name__)

Run = Callable[[Job, Callable[[Event], None], Callable[[], bool]], None]


def attempt(job: Job, put: Callable[[Event], None], should_stop: Callable[[], bool], run: Callable[[], Run]) -> None:
    """Run a job and `put` its events, whatever the runner does; `run` returns what executes it, or raises."""
    relay, began = _Relay(put), time.monotonic()
    try:
        run()(job, relay, should_stop)
        if not relay.is_over:
            raise TrialError("The job ended without saying how.")
    except BaseException as error:  # the thread must live on, even after a plugin's SystemExit
        relay(failed(job, f"{type(error).__name__}: {error}", traceback.format_exc(), time.monotonic() - began))


class _Relay:
    """Passes on the events of one job: those the journal can keep, and none after the terminal one."""

    def __init__(self, put: Callable[[Event], None]) -> None:
        self._put = put
        self.is_over = False

    def __call__(self, event: Event) -> None:
        if self.is_over:
            log.warning("%s came after the job's end and is dropped.", type(event).__name__)
            return
        try:
            from_line(to_line(event))
        except DataError as error:  # a score of NaN turns into null, which nobody could read back
            raise TrialError(f"The trial reports what cannot be kept; is every number finite? {error}") from error
        self.is_over = isinstance(event, TERMINAL)
        self._put(event)
