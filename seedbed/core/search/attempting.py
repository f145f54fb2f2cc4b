"""One attempt at a job, wherever it is made: it shows that it is alive, and ends with exactly one terminal event."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable

from seedbed.core.errors import DataError, TrialError
from seedbed.core.search.candidate import EvaluationJob, Job
from seedbed.core.search.events import (
    TERMINAL,
    EvaluationFailed,
    Event,
    TrialFailed,
    TrialStopped,
    from_line,
    to_line,
)

log = logging.getLogger(__name__)

PULSE_SECONDS = 1.0
"""How often a job shows that it is alive, at most."""

Run = Callable[[Job, Callable[[Event], None], Callable[[], bool]], None]
"""Runs a job, emits its events, and ends soon after it was told to when it asks."""


def attempt(job: Job, put: Callable[[Event], None], should_stop: Callable[[], bool], run: Run) -> None:
    """Run a job and `put` its events, so that exactly one terminal event comes of it, whatever the runner does."""
    relay, began = _Relay(put), time.monotonic()
    try:
        run(job, relay, should_stop)
        if not relay.is_over:
            raise TrialError("The job ended without saying how.")
    except BaseException as error:  # a plugin's SystemExit must not cost a warm worker or a thread either
        log.warning("The job of trial %s raised.", job.trial, exc_info=True)
        relay(failed(job, f"{type(error).__name__}: {error}", traceback.format_exc(), time.monotonic() - began))


def on_desk(run: Callable[..., None], desk: object) -> Run:
    """Return what runs jobs on a desk: what stays warm between them, and what a runner gets as its last argument."""
    return lambda job, emit, should_stop: run(job, emit, should_stop, desk)


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
        self._put(event)
        self.is_over = isinstance(event, TERMINAL)


class Pulse:
    """Says that a job goes on each time it asks whether it shall stop.

    A thread of its own that says so would be alive even where the job hangs.
    """

    def __init__(
        self, is_asked: Callable[[], bool], say: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_asked, self._say, self._clock = is_asked, say, clock
        self._said = clock()

    def __call__(self) -> bool:
        """Whether the job shall end."""
        now = self._clock()
        if now - self._said >= PULSE_SECONDS:
            self._said = now
            self._say()
        return self._is_asked()


def failed(job: Job, error: str, traceback: str = "", seconds: float = 0.0) -> Event:
    """The job ended without a result; `error` is one line."""
    # Names of files may hold bytes that are no UTF-8 (surrogates in Python), which JSON cannot carry.
    error, traceback = (text.encode("utf-8", "backslashreplace").decode() for text in (error, traceback))
    if isinstance(job, EvaluationJob):
        return EvaluationFailed(error=error, traceback=traceback, trial=job.trial)
    return TrialFailed(trial=job.trial, error=error, traceback=traceback, seconds=seconds)


def stopped(job: Job, reason: str, seconds: float = 0.0) -> Event:
    """The job was ended on request; an evaluation has no result then, and so counts as failed."""
    if isinstance(job, EvaluationJob):
        return failed(job, reason)
    return TrialStopped(trial=job.trial, reason=reason, seconds=seconds)
