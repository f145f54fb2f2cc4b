"""One trial at the service, from its request to its last event, in a thread of its own: calls may take seconds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec

from seedbed.core.errors import SeedbedError
from seedbed.core.search import parcel
from seedbed.core.search.attempting import failed, stopped
from seedbed.core.search.candidate import TrialJob
from seedbed.core.search.events import (
    TERMINAL,
    EpochFinished,
    Event,
    TrialBilled,
    TrialFinished,
    TrialPlaced,
    TrialStopped,
)
from seedbed.plugins.backends.sagemaker import jobs
from seedbed.plugins.backends.sagemaker.courier import unpack
from seedbed.plugins.backends.sagemaker.endings import Again, Ended, verdict
from seedbed.plugins.backends.sagemaker.joblog import JobLog
from seedbed.plugins.backends.sagemaker.jobs import Study
from seedbed.plugins.backends.sagemaker.requests import JobPlan, name_of, seconds_of, shown, tags_of

log = logging.getLogger(__name__)

_PAUSES = (1.0, 60.0)  # between two requests for a machine that cannot be had: the first, and the longest


class Follower:
    """Follows one trial; `tell` gets its events, the terminal one last, unless the run is left before."""

    def __init__(self, job: TrialJob, study: Study, tell: Callable[[Event], None]) -> None:
        self.job = job
        self.started_after: float | None = None
        self.is_over = False
        self._study = study
        self._tell = tell
        self._asked = threading.Event()
        self._has_look = False
        self._last: Event | None = None
        """The terminal event of the attempt that is followed, once its log has it."""
        self._current: Any = None
        self._thread = threading.Thread(target=self._run, name=f"seedbed-job-{job.trial}", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the trial to end."""
        self._asked.set()

    def join(self, seconds: float) -> None:
        """Wait for the thread, which ends soon once the run is left."""
        self._thread.join(seconds)

    def end_job(self) -> None:
        """Have the service end the job that runs, if any does; what it has reached stays in the bucket."""
        if self._current is not None and not self.is_over:
            jobs.end(self._current)

    def _run(self) -> None:
        try:
            ending = self._follow()
        except Exception as error:  # the thread's border: whatever a service or the SDK raises ends this trial
            log.warning("Trial %s cannot be followed any further.", self.job.trial, exc_info=True)
            words = str(error) if isinstance(error, SeedbedError) else f"{type(error).__name__}: {error}"
            self._give_up()
            ending = failed(self.job, words.splitlines()[0] if words else "unknown", words)
        if ending is not None:
            self._tell(ending)
        self.is_over = True

    def _give_up(self) -> None:
        """End the job that nobody listens to any more."""
        try:
            self.end_job()
        except Exception:  # the service may be out of reach, which is why it is given up
            name = self._current.training_job_name
            log.exception("The job %s may still run, and be billed: see the console of the service.", name)

    def _follow(self) -> Event | None:
        """Go from attempt to attempt; return the trial's last event, None if the run was left meanwhile."""
        for attempt in range(1, self._study.options.retries + 2):
            name = self.job.place or name_of(self._study.id, self.job.trial, attempt)
            left = 0 if self.job.place else self._study.options.retries + 1 - attempt
            found = self._find(name)
            known_before = found is not None
            if known_before and left > 0 and self._find(name_of(self._study.id, self.job.trial, attempt + 1)):
                self._listen(JobLog(self._study.logs, name))  # the trial has gone on since: only its looks count
                continue
            if found is None and not self.job.place:
                found = self._create(name)
            if found is None and self.job.place:
                return failed(self.job, f"The training job {name} is gone; it was to be this trial")
            if found is None:
                return None if self._study.leaving.is_set() else stopped(self.job, "stopped on request before it began")
            self._current = found
            if self._study.leaving.is_set():  # while it was asked for
                jobs.end(found)
                return None
            self._tell(TrialPlaced(trial=self.job.trial, place=name, attempt=attempt))
            was_over = known_before and jobs.is_over(found)
            self._last = None
            self._watch(found)
            if self._study.leaving.is_set():
                return None
            self._bill(found, name)
            outcome = self._judge(found, known_before=was_over, left=left)
            if not isinstance(outcome, Again):
                return self._brought_home(outcome, found)
            log.warning("Trial %s goes on as another job: %s", self.job.trial, outcome.why)
        return failed(self.job, "Its attempts are used up.")

    def _find(self, name: str) -> Any:  # noqa: ANN401 - the SDK is imported late
        """Return a job of this name, None where there is none.

        Raises:
            SeedbedError: it is another's.
        """
        found = jobs.find(self._study, name)
        if found is not None and not self.job.place:
            jobs.insist_on_own(self._study, found, tags_of(self._study.id, str(self.job.trial)))
        return found

    def _create(self, name: str) -> Any:  # noqa: ANN401
        """Request the job, again and again while there is no machine for it; None if it is to end before that."""
        study, pause, began = self._study, _PAUSES[0], time.monotonic()
        plan = self._plan(name)
        while not (study.leaving.is_set() or self._asked.is_set()):
            try:
                return jobs.begin(study, plan)
            except jobs.NoMachine as error:
                seconds = self.job.fidelity.seconds
                if seconds is not None and time.monotonic() - began > seconds:
                    raise
                if pause == _PAUSES[0]:
                    log.warning("No machine for trial %s yet (%s); it is asked for again.", self.job.trial, error)
                study.leaving.wait(min(pause, 20 * study.options.poll_seconds))
                pause = min(2 * pause, _PAUSES[1])
        return None

    def _plan(self, name: str) -> JobPlan:
        """Upload what the job needs, as far as it is not there, and say where it lies."""
        study, job = self._study, self.job
        channels, places = jobs.send_inputs(study, job)
        moved = parcel.relocated(replace(job, resumable=True, device="auto"), places.__getitem__)
        order = {
            "job": {"kind": "TrialJob", **msgspec.to_builtins(moved)},
            "plugins": jobs.plugins_there(study.plugins),
            "runner": study.options.runner,
        }
        channels["code"] = study.courier.send_code(study.plugins, install=study.options.install)
        study.courier.put(msgspec.json.encode(order), "studies", study.id, "jobs", name, "job.json")
        channels["job"] = study.account.uri("studies", study.id, "jobs", name, "")
        return JobPlan(
            name=name,
            what="train",
            tags=tags_of(study.id, str(job.trial), job.candidate),
            shown=shown(job.candidate),
            channels=channels,
            checkpoints=study.account.uri("studies", study.id, "trials", str(job.trial)),
            output=study.account.uri("studies", study.id, "output"),
            seconds=seconds_of(job, study.options, time.time()),
            environment=study.environment,
        )

    def _watch(self, found: Any) -> None:  # noqa: ANN401
        """Tell of the job's looks until it is over and its log has been read to the end."""
        study, began, is_stopping = self._study, time.monotonic(), False
        told = JobLog(study.logs, str(found.training_job_name))
        ended: float | None = None
        while not study.leaving.is_set():
            found.refresh()
            if jobs.is_over(found) and ended is None:
                ended = time.monotonic()
            self._listen(told, began)
            # The end of a log may arrive after the end of its job.
            patience = min(jobs.LOG_SECONDS, 10 * study.options.poll_seconds)
            if ended is not None and (self._last is not None or time.monotonic() > ended + patience):
                return
            if self._asked.is_set() and not is_stopping and ended is None:
                is_stopping = True
                jobs.end(found)
            (study.leaving if self._asked.is_set() else self._asked).wait(study.options.poll_seconds)

    def _listen(self, told: JobLog, began: float | None = None) -> None:
        """Pass on what is new in a log; hold back the terminal event."""
        for event in told.news():
            if hasattr(event, "trial"):  # a tuned job does not know its number
                event = cast(Event, replace(cast(Any, event), trial=self.job.trial))
            if self.started_after is None and began is not None:
                self.started_after = time.monotonic() - began
            if isinstance(event, TERMINAL):
                self._last = event
            else:
                self._has_look = self._has_look or isinstance(event, EpochFinished)
                self._tell(event)

    def _judge(self, found: Any, *, known_before: bool, left: int) -> Event | Again:  # noqa: ANN401
        ended = Ended(
            status=str(found.training_job_status),
            secondary=str(found.secondary_status),
            reason=jobs.text(found.failure_reason),
            last=self._last,
            asked=self._asked.is_set(),
            known_before=known_before,
            has_look=self._has_look,
        )
        return verdict(self.job, ended, left=left)

    def _bill(self, found: Any, name: str) -> None:  # noqa: ANN401
        if (seconds := jobs.billed(found)) is not None:
            self._tell(TrialBilled(trial=self.job.trial, seconds=seconds, place=name))

    def _brought_home(self, ending: Event, found: Any) -> Event:  # noqa: ANN401
        """Fetch what the trial has written, before its end is told."""
        target = Path(self.job.folder)
        if self.job.place:  # one of a tuning job: they share one address for checkpoints
            artifacts = found.model_artifacts
            uri = jobs.text(getattr(artifacts, "s3_model_artifacts", None))
            is_there = bool(uri)
            if uri:
                unpack(self._study.courier.read(uri), target)
        else:
            parts = ("studies", self._study.id, "trials", str(self.job.trial), Path(jobs.FOLDER).name)
            is_there = self._study.courier.fetch(target, *parts, without=parcel.PASSING)
        if not is_there and isinstance(ending, TrialFinished | TrialStopped) and self._has_look:
            return failed(self.job, f"{found.training_job_name} left no files; see it on the console")
        return ending
