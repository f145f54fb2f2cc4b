"""A whole study as one training job after another: each goes on where the machine of the one before was lost."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from seedbed.core.errors import PluginError, UsageError
from seedbed.core.search.events import Event, RunFinished, RunStarted, StageEntered, StudyPlaced, StudyReturned
from seedbed.core.search.handover import StudyOrder
from seedbed.plugins.amazon.account import DENIED, code_of, explained
from seedbed.plugins.backends.sagemaker import jobs
from seedbed.plugins.backends.sagemaker.endings import Again, after_study
from seedbed.plugins.backends.sagemaker.joblog import JobLog
from seedbed.plugins.backends.sagemaker.jobs import Study
from seedbed.plugins.backends.sagemaker.requests import JobPlan, name_of_study, tags_of

log = logging.getLogger(__name__)

TRIAL = "all"
"""What stands for the number of a trial in the tags of such a job."""

_RUN = "checkpoints/run"
_HERE_ALONE = ("sagemaker", "workers", "brought")
"""Folders of a run that are of one machine."""

_PATIENCE = 600.0
"""Seconds for which the service may not answer."""

_LEAST_SECONDS = 30.0
"""That a study must have there, beside its machine's start and the way home."""


class StudyThere:
    """Follows a study; `is_over` once it has ended, or came to nothing."""

    def __init__(self, order: StudyOrder, study: Study, away: StudyPlaced | None, attempts: int) -> None:
        """Join the job where the study is `away`, or begin another one, after so many `attempts`.

        Raises:
            UsageError: the time is too short for it.
        """
        self._order, self._study = order, study
        self._first = attempts + 1
        self._attempt = away.attempt if away else self._first
        self._last_attempt = self._attempt + study.options.retries
        self._joins = away is not None
        self._current: Any = None
        self._log = self._new_log()
        self._returned: list[StudyReturned] = []
        self._failure = ""
        self._is_over = self._asked = self._was_over = False
        self._heard = False
        self._status = ""
        self._last_words: str | None = None
        """Why the run has ended there, as it says itself; None while it goes on."""
        self._ended: float | None = None
        self._next = self._answered = time.monotonic()
        if not self._joins:
            self._seconds()  # too little is told before anything is sent

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
            with self._patient():
                told = self._look() if self._current is not None else self._get_going()
                self._answered = now
                if told:
                    return told
        return []

    def stop(self) -> None:
        """Ask it to end: the container has two minutes to make the best so far the bundle."""
        self._asked = True
        if self._current is not None and self._ended is None:
            with explained(f"The job {self.name} cannot be ended, and may still be billed"):
                jobs.end(self._current)

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
            return self._study.courier.fetch(
                target, *self._place, Path(_RUN).name, without=(*_HERE_ALONE, "journal.lock")
            )

    def leave(self) -> None:
        """End the job that runs: nobody listens any more."""
        if not self._is_over and not self._asked:
            self.stop()

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
            self._go_on_to_the_next()
            return []
        else:
            try:
                found = jobs.begin(study, self._plan())
            except jobs.NoMachine as error:
                log.warning("No machine for the study yet: %s", error)
                self._seconds()  # once there is too little left, that is the end
                return []
        self._current = found
        if self._asked:  # before it was found
            self.stop()
        return [StudyPlaced(place=self.name, attempt=self._attempt)]

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
        self._heard, self._last_words = False, None
        self._log = self._new_log()
        self._next = time.monotonic()

    def _look(self) -> list[Event]:
        """Read on in the log, and see whether the job has ended."""
        found = self._current
        found.refresh()
        if jobs.is_over(found) and self._ended is None:
            self._ended = time.monotonic()
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

    def _plan(self) -> JobPlan:
        """Upload what the job needs, as far as it is not there, and say where it lies."""
        study, order = self._study, self._order
        channels = {"data": study.courier.send(Path(order.data)), "run": self._send_run()}
        if order.tokens:
            channels["tokens"] = study.courier.send(Path(order.tokens))
        channels["code"] = study.courier.send_code(study.plugins, install=study.options.install)
        seconds, total = self._seconds(), order.settings.seconds
        there = replace(
            order,
            settings=replace(order.settings, seconds=total and total - study.options.return_seconds),
            run="input/data/run",
            data="input/data/data",
            tokens="input/data/tokens" if order.tokens else "",
        )
        document = {"order": msgspec.to_builtins(there), "plugins": jobs.plugins_there(study.plugins)}
        study.courier.put(msgspec.json.encode(document), "studies", study.id, "jobs", self.name, "study.json")
        channels["job"] = study.account.uri("studies", study.id, "jobs", self.name, "")
        most = study.options.max_hours * 3600 if seconds is None else seconds + study.options.return_seconds
        return JobPlan(
            name=self.name,
            what="study",
            tags=tags_of(study.id, TRIAL),
            shown={},
            channels=channels,
            checkpoints=study.account.uri(*self._place),
            output=study.account.uri("studies", study.id, "output"),
            seconds=max(math.ceil(most), 60),
            environment=study.environment,
        )

    def _send_run(self) -> str:
        """Upload the run's folder as it is now, without what is of this machine alone."""
        staged = Path(self._order.run, "sagemaker", "sent")
        shutil.rmtree(staged, ignore_errors=True)
        shutil.copytree(self._order.run, staged, ignore=_others_than_the_run(Path(self._order.run)))
        try:
            return self._study.courier.send(staged)
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _seconds(self) -> float | None:
        """Return how long the study may still go on there, None without a limit.

        Raises:
            UsageError: too short to begin.
        """
        total = self._order.settings.seconds
        if total is None:
            return None
        options = self._study.options
        left = self._order.began + total - options.return_seconds - time.time()
        if left < options.start_seconds + _LEAST_SECONDS:
            needed = options.start_seconds + options.return_seconds + _LEAST_SECONDS
            raise UsageError(
                f"{max(left + options.return_seconds, 0):.0f} s are left, and a machine there takes "
                f"{options.start_seconds:.0f} s to start and the run {options.return_seconds:.0f} s to come home: "
                f"give --time {math.ceil(needed / 60)}m or more beyond what reading the data takes, "
                "or say with --set backend.sagemaker.start_seconds=… and return_seconds=… what they take."
            )
        return left

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


def _others_than_the_run(run: Path) -> Callable[[str, list[str]], list[str]]:
    """Return what `copytree` leaves out."""

    def ignore(folder: str, names: list[str]) -> list[str]:
        return [each for each in names if each in (*_HERE_ALONE, "journal.lock")] if Path(folder) == run else []

    return ignore
