"""Trials as training jobs of Amazon SageMaker: each on a machine of its own, paid for by the second."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import time
import uuid
from dataclasses import replace
from pathlib import Path
from statistics import median

from seedbed.container_lines import METRICS
from seedbed.core.errors import SeedbedError, UsageError
from seedbed.core.network import OFFLINE_VARIABLES
from seedbed.core.protocols import Workplace
from seedbed.core.search.candidate import Job, TrialJob
from seedbed.core.search.events import TERMINAL, Event, StudyPlaced
from seedbed.core.search.handover import StudyOrder, Tuning, TuningRequest
from seedbed.plugins.amazon import account
from seedbed.plugins.backends import LocalOptions, SagemakerOptions
from seedbed.plugins.backends.local import LocalBackend
from seedbed.plugins.backends.sagemaker import rehearsed, requests
from seedbed.plugins.backends.sagemaker.courier import Courier
from seedbed.plugins.backends.sagemaker.follower import Follower
from seedbed.plugins.backends.sagemaker.jobs import Study
from seedbed.plugins.backends.sagemaker.tuner import Tuner
from seedbed.plugins.backends.sagemaker.whole import StudyThere

log = logging.getLogger(__name__)

_LEAVE_SECONDS = 5.0


class SagemakerBackend:
    """Jobs there, a thread for each; what takes seconds runs here: baselines, means of weights, scoring the winner.

    A machine for a job takes minutes to start, and is paid for while it loads the image.
    """

    joins = True
    late = True

    def __init__(self, options: SagemakerOptions, workplace: Workplace) -> None:
        self._options = options
        self._workplace = workplace
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._followers: list[Follower] = []
        self._starts: list[float] = []
        self._last: TrialJob | None = None
        self._tuner: Tuner | None = None
        self._stack = contextlib.ExitStack()
        self._whole: StudyThere | None = None
        self.hosts = options.remote

    def __enter__(self) -> SagemakerBackend:
        """Open the account.

        Raises:
            UsageError: something that the service needs was not given.
            PluginError: the service refuses what was given.
        """
        place = self._workplace
        with self._stack:
            if self._options.rehearse:
                folder = place.folder / "sagemaker" / "rehearsal"
                rehearsal = self._stack.enter_context(rehearsed.opened(folder, jobs=max(self._options.jobs, 1)))
                self._options, given = rehearsed.settled(self._options), rehearsal.env
            else:
                given = None
            options = self._options
            requests.check(options)
            opened = account.opened(options.bucket, options.prefix, region=options.region, given=given)
            found = self._stack.enter_context(opened)
            with account.explained("Amazon SageMaker cannot be used"):
                self._study = self._begin(found)
            if not self.hosts:
                here = replace(place, workers=1, workers_given=1)
                self._here = self._stack.enter_context(LocalBackend(LocalOptions(runner=options.runner), here))
            self._stack.callback(self._leave)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def _file(self) -> Path:
        return self._workplace.folder / "sagemaker" / "study.json"

    def _begin(self, found: account.Account) -> Study:
        offline = dict.fromkeys(OFFLINE_VARIABLES, "1") if self._workplace.offline else {}
        return Study(
            id=study_id(self._file),
            account=found,
            courier=Courier(found),
            options=self._options,
            plugins=self._workplace.plugins,
            environment=offline,
            metrics=METRICS,
            logs=found.client("logs"),
        )

    def free_slots(self) -> int:
        """How many more jobs may run at a time; none while the worker here is busy, as it would keep a baseline."""
        there = sum(not each.is_over for each in self._followers)
        return max(self._options.jobs - there, 0) if self._here.free_slots() else 0

    def submit(self, job: Job) -> None:
        """Request a machine for a trial, or join the job that has it; what is small work begins here."""
        if not isinstance(job, TrialJob) or job.is_yardstick or job.ingredients:
            self._here.submit(job)
            return
        self._last = job
        follower = Follower(job, self._study, self._events.put)
        self._followers.append(follower)
        follower.start()

    def tune(self, request: TuningRequest) -> Tuning:
        """Begin a tuning job whose jobs are like the last trial that was submitted, or join the one that was begun.

        Raises:
            UsageError: the service cannot do what is asked.
            PluginError: it refuses.
        """
        if self._last is None:
            raise UsageError(
                "A tuning job is made like a trial, and none was submitted yet; submit the first as usual."
            )
        with account.explained("The tuning job cannot be begun"):
            self._tuner = Tuner(request, self._last, self._study, time.time())
        return self._tuner

    def host(self, order: StudyOrder, away: StudyPlaced | None, attempts: int) -> StudyThere:
        """Have one job do the whole study; see `Hosts`."""
        found = self._study.account
        _insist_on_place(self._file, f"bucket {found.bucket} in {found.region}", away)
        self._whole = StudyThere(order, self._study, away, attempts)
        return self._whole

    def stop(self, trial: int) -> None:
        """Ask a trial to end: its machine has two minutes to bring what it has into the bucket."""
        self._here.stop(trial)
        for follower in self._followers:
            if follower.job.trial == trial:
                follower.stop()

    def poll(self, timeout: float) -> list[Event]:
        """Return the events that came, waiting up to `timeout` seconds for the first."""
        events = self._here.poll(0.0)
        with contextlib.suppress(queue.Empty):
            if not events:
                events.append(self._events.get(timeout=max(timeout, 0.0)))
            while True:
                events.append(self._events.get_nowait())
        ended = {getattr(event, "trial", None) for event in events if isinstance(event, TERMINAL)}
        for follower in [each for each in self._followers if each.job.trial in ended]:
            self._followers.remove(follower)
            if follower.started_after is not None:
                self._starts.append(follower.started_after)
        return events

    def idle(self) -> bool:
        """Whether nothing runs and no event waits."""
        return not self._followers and self._events.empty() and self._here.idle()

    def delay(self) -> float:
        """Return what starting a job has taken in this run, in the median; before the first, the options' guess."""
        return median(self._starts) if self._starts else self._options.start_seconds

    def _leave(self) -> None:
        """End the jobs that still run: nobody listens any more. What they have reached can be gone on with."""
        self._study.leaving.set()
        ends = [] if self._tuner is None else [(f"The tuning job {self._tuner.name}", self._tuner.end)]
        ends += [] if self._whole is None else [(f"The job {self._whole.name}", self._whole.leave)]
        ends += [(f"The job of trial {each.job.trial}", each.end_job) for each in self._followers]
        for what, end in ends:
            try:
                with account.explained(what):
                    end()
            except SeedbedError as error:  # the others must be ended all the same
                log.error("%s It may still run, and be billed: see the console of the service.", error)
        for follower in self._followers:
            follower.join(_LEAVE_SECONDS)
        self._followers.clear()


def study_id(file: Path) -> str:
    """Return what tells this run's jobs from those of any other, the same when it is resumed."""
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"id": uuid.uuid4().hex[:12]}), encoding="utf-8")
    return str(json.loads(file.read_text(encoding="utf-8"))["id"])


def _insist_on_place(file: Path, where: str, away: StudyPlaced | None) -> None:
    """Refuse to look for a study in another account or region than where it is: it would seem to be gone.

    Raises:
        UsageError: it is in another.
    """
    known = json.loads(file.read_text(encoding="utf-8"))
    if away is not None and known.get("where", where) != where:
        raise UsageError(
            f"The run is elsewhere as {away.place}, with the {known['where']}, and this is the {where}; resume it with "
            "the account, region and options that it was begun with."
        )
    file.write_text(json.dumps(known | {"where": where}), encoding="utf-8")
