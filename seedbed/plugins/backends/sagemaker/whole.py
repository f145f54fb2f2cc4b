"""A whole study as one training job after another: each goes on where the machine of the one before was lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from seedbed.core.errors import PluginError, SeedbedError, UsageError
from seedbed.core.search.events import (
    Event,
    RunFinished,
    RunStarted,
    StageEntered,
    StudyPlaced,
    StudyReturned,
)
from seedbed.core.search.handover import StudyOrder
from seedbed.plugins.amazon.account import DENIED, code_of, explained
from seedbed.plugins.backends.sagemaker import jobs
from seedbed.plugins.backends.sagemaker.endings import Again, after_study
from seedbed.plugins.backends.sagemaker.joblog import JobLog
from seedbed.plugins.backends.sagemaker.jobs import Study
from seedbed.plugins.backends.sagemaker.requests import JobPlan, name_of_study, tags_of
from seedbed.plugins.backends.sagemaker.shipment import HERE_ALONE, TRIAL, Shipment

log = logging.getLogger(__name__)

_RUN = "checkpoints/run"
_PAUSES = (1.0, 60.0)
"""Seconds between two requests for a machine that cannot be had: the first, and the longest."""

_PATIENCE = 600.0
"""Seconds for which the service may not answer."""


class StudyThere:
    """Follows a study; `is_over` once it has ended, or came to nothing."""

    def __init__(self, order: StudyOrder, study: Study, away: StudyPlaced | None, attempts: int) -> None:
        """Join the job where the study is `away`, or begin another one, after so many `attempts`.

        Raises:
            UsageError: the time is too short for it.
        """
        self._study, self._shipment = study, Shipment(order, study)
        self._first = attempts + 1
        self._attempt = away.attempt if away else self._first
        self._last_attempt = self._attempt + study.options.retries
        self._joins = away is not None
        self._current: Any = None
        self._log = self._new_log()
        self._returned: list[StudyReturned] = []
        self._failure = ""
        self._is_over = self._asked = self._was_over = False
        self._is_ended = self._is_begun = self._heard = False
        """Whether the service was told to end the job; whether it may have one; whether the job has said anything."""
        self._prepared: JobPlan | None = None
        self._pause = _PAUSES[0]
        self._wanted = time.monotonic()
        self._status = ""
        self._last_words: str | None = None
        """Why the run has ended there, as it says itself; None while it goes on."""
        self._ended: float | None = None
        self._next = self._answered = time.monotonic()
        if not self._joins:
            self._shipment.seconds()  # too little is told before anything is sent

    @property
    def name(self) -> str:
        """The name of the job that does it now."""
        return name_of_study(self._study.id, self._attempt)

    @property
    def _place(self) -> tuple[str, ...]:
        """Where the run lies while it is away, of whichever attempt: not where it lay the last time it was."""
        return "studies", self._study.id, f"away-{self._first}"

    def poll(self, timeout: float) -> list[Event]:
        """Return what was told; see `Hosted`."""
        limit = time.monotonic() + timeout
        while not self._is_over and (now := time.monotonic()) < limit:
            if now < self._next:
                time.sleep(min(self._next, limit) - now)
                continue
            self._next = now + self._study.options.poll_seconds
            told: list[Event] = []
            try:
                with self._patient():
                    told = self._look() if self._current is not None else self._get_going()
                    self._answered = time.monotonic()
            except SeedbedError as error:
                if self._current is not None or not self._returned:
                    raise
                self._make_do(error)
            if told:
                return told
        return []

    def _make_do(self, error: SeedbedError) -> None:
        """Take what the jobs before have reached, where another one cannot be begun."""
        if isinstance(error, UsageError):  # the time is over, or nearly
            log.warning("The study does not go on elsewhere: %s", error)
        else:
            self._failure = str(error)
        self._is_over = True

    def stop(self) -> None:
        """Ask it to end: the container has two minutes to make the best so far the bundle."""
        self._asked = True
        self._next = time.monotonic()  # with the next look, and those after it until the service has heard it

    def is_over(self) -> bool:
        """Whether it has ended and all was told."""
        return self._is_over

    def returned(self) -> tuple[StudyReturned, ...]:
        """Return the jobs that have ended, with what they cost."""
        return tuple(self._returned)

    def failure(self) -> str:
        """Say why it came to nothing, "" where it did not fail."""
        return self._failure

    def bring(self, target: Path) -> bool:
        """Fetch the run's folder."""
        with explained("The run cannot be fetched"):
            return self._study.courier.fetch(target, *self._place, Path(_RUN).name, without=HERE_ALONE)

    def leave(self) -> None:
        """End the job that runs: nobody listens any more."""
        if self._is_over:
            return
        self._asked = True
        if self._current is None and (self._is_begun or self._joins):
            self._current = jobs.find(self._study, self.name)
        self._end()

    def _end(self) -> None:
        """Have the service end the job, unless it has heard that before."""
        if self._current is not None and self._ended is None and not self._is_ended:
            jobs.end(self._current)
            self._is_ended = True

    def _get_going(self) -> list[Event]:
        """Find the job, or request it; nothing while there is no machine for it."""
        if self._asked and not self._joins:
            self._is_over = True
            return []
        study = self._study
        found = jobs.find(study, self.name)
        if found is not None:
            jobs.insist_on_own(study, found, tags_of(study.id, TRIAL))
            self._was_over = jobs.is_over(found)
            if self._joins:
                self._recall()
        elif self._joins:
            log.warning("The training job %s is gone; another one begins.", self.name)
            self._returned.append(StudyReturned(place=self.name, attempt=self._attempt))
            self._go_on_to_the_next()
            return []
        elif self._prepared is None:
            self._prepared = self._shipment.plan(self.name, self._place)
            self._next = time.monotonic()  # sending may have taken long: a stop is heard before the request
            return []
        else:
            found = self._begin(self._prepared)
            if found is None:
                return []
        self._current = found
        return [StudyPlaced(place=self.name, attempt=self._attempt)]

    def _begin(self, plan: JobPlan) -> Any:  # noqa: ANN401 - the SDK is imported late
        """Request the job; None where there is no machine for it yet.

        Raises:
            PluginError: there was none for too long.
        """
        self._is_begun = True
        options = self._study.options
        try:
            return jobs.begin(self._study, replace(plan, seconds=self._shipment.most_seconds()))
        except jobs.NoMachine as error:
            if self._pause == _PAUSES[0]:
                log.warning("No machine for the study yet (%s); it is asked for again.", error)
            words = f"There was no machine for the study ({error}); choose another instance_type, or ask for a quota."
            try:
                self._shipment.seconds()
            except UsageError as late:
                raise PluginError(words) from late
            if time.monotonic() - self._wanted > options.max_hours * 3600:
                raise PluginError(words) from error
        self._next = time.monotonic() + min(self._pause, 20 * options.poll_seconds)
        self._pause = min(2 * self._pause, _PAUSES[1])
        return None

    def _recall(self) -> None:
        """Find the jobs that an earlier session of the run saw end before this one."""
        for attempt in range(self._first, self._attempt):
            name = name_of_study(self._study.id, attempt)
            found = jobs.find(self._study, name)
            if found is not None:
                self._returned.append(StudyReturned(place=name, attempt=attempt, seconds=jobs.billed(found)))

    def _go_on_to_the_next(self) -> None:
        self._attempt += 1
        self._current, self._joins, self._was_over, self._ended = None, False, False, None
        self._is_ended = self._is_begun = self._heard = False
        self._last_words, self._prepared = None, None
        self._pause, self._wanted = _PAUSES[0], time.monotonic()
        self._log = self._new_log()
        self._next = time.monotonic()

    def _look(self) -> list[Event]:
        """Read on in the log, and see whether the job has ended."""
        found = self._current
        found.refresh()
        if jobs.is_over(found) and self._ended is None:
            self._ended = time.monotonic()
        if self._asked:
            self._end()
        told = self._log.news()
        self._heard = self._heard or bool(told)
        for event in told:
            if isinstance(event, RunStarted | RunFinished):
                self._last_words = event.reason if isinstance(event, RunFinished) else None
        patience = min(jobs.LOG_SECONDS, 10 * self._study.options.poll_seconds)
        if self._ended is not None and (self._last_words is not None or time.monotonic() > self._ended + patience):
            self._conclude(found)
        return told or self._still_waiting(jobs.text(found.secondary_status))

    def _still_waiting(self, status: str) -> list[Event]:
        """Tell what the service says that it is doing, where that is new and the job itself has said nothing yet."""
        if self._heard or status == self._status:
            return []
        self._status = status
        return [StageEntered(stage="waiting", detail=f"for its machine: {status}")]

    def _conclude(self, found: Any) -> None:  # noqa: ANN401
        self._returned.append(StudyReturned(place=self.name, attempt=self._attempt, seconds=jobs.billed(found)))
        outcome = after_study(
            status=str(found.training_job_status),
            secondary=str(found.secondary_status),
            reason=jobs.text(found.failure_reason),
            asked=self._asked,
            known_before=self._was_over and self._last_words in (None, "interrupted"),
            left=self._last_attempt - self._attempt,
        )
        if isinstance(outcome, Again):
            log.warning("The study goes on as another job: %s", outcome.why)
            self._go_on_to_the_next()
        else:
            self._failure, self._is_over = outcome, True

    @contextmanager
    def _patient(self) -> Iterator[None]:
        """Let the service fail now and then, and not for long."""
        try:
            with explained("The study cannot be followed"):
                yield
        except PluginError as error:
            is_denied = error.__cause__ is not None and code_of(error.__cause__) in DENIED
            if self._current is None or is_denied or time.monotonic() > self._answered + _PATIENCE:
                raise
            log.warning("%s It is asked again.", error)

    def _new_log(self) -> JobLog:
        return JobLog(self._study.logs, self.name)
