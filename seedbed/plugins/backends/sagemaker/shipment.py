"""What a whole study needs where it is to run: sent there, and for how long it may go on."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from seedbed.core.errors import UsageError
from seedbed.core.search.events import StudyPlaced, to_line
from seedbed.core.search.handover import StudyOrder
from seedbed.core.search.journal import read
from seedbed.plugins.backends.sagemaker import jobs
from seedbed.plugins.backends.sagemaker.jobs import Study
from seedbed.plugins.backends.sagemaker.requests import JobPlan, tags_of

TRIAL = "all"
"""What stands for the number of a trial in the tags of such a job."""

HERE_ALONE = ("sagemaker", "workers", "journal.lock")
"""What of a run's folder belongs to one machine."""

_LEAST_SECONDS = 30.0
"""That a study must have there, beside its machine's start and the way home."""


class Shipment:
    """An order on its way to the bucket."""

    def __init__(self, order: StudyOrder, study: Study) -> None:
        self._order, self._study = order, study

    def plan(self, name: str, place: tuple[str, ...]) -> JobPlan:
        """Upload what the job needs, as far as it is not there, and say where it lies."""
        study, order = self._study, self._order
        channels = {"data": study.courier.send(Path(order.data)), "run": self._send_run()}
        if order.tokens:
            channels["tokens"] = study.courier.send(Path(order.tokens))
        channels["code"] = study.courier.send_code(study.plugins, install=study.options.install)
        total = order.settings.seconds
        there = replace(
            order,
            settings=replace(order.settings, seconds=total and total - study.options.return_seconds),
            run="input/data/run",
            data="input/data/data",
            tokens="input/data/tokens" if order.tokens else "",
        )
        document = {"order": msgspec.to_builtins(there), "plugins": jobs.plugins_there(study.plugins)}
        study.courier.put(msgspec.json.encode(document), "studies", study.id, "jobs", name, "study.json")
        channels["job"] = study.account.uri("studies", study.id, "jobs", name, "")
        return JobPlan(
            name=name,
            what="study",
            tags=tags_of(study.id, TRIAL),
            shown={},
            channels=channels,
            checkpoints=study.account.uri(*place),
            output=study.account.uri("studies", study.id, "output"),
            seconds=self.most_seconds(),
            environment=study.environment,
        )

    def most_seconds(self) -> int:
        """Return after how long the service is to end the job.

        Raises:
            UsageError: too little time is left.
        """
        seconds, options = self.seconds(), self._study.options
        most = options.max_hours * 3600 if seconds is None else seconds + options.return_seconds
        return max(math.ceil(most), 60)

    def _send_run(self) -> str:
        """Upload the run's folder as it is now, without what is of this machine alone."""
        staged = Path(self._order.run, "sagemaker", "sent")
        shutil.rmtree(staged, ignore_errors=True)
        shutil.copytree(self._order.run, staged, ignore=_others_than_the_run(Path(self._order.run)))
        journal = staged / "journal.jsonl"
        events = [each for each in read(journal) if not isinstance(each, StudyPlaced)]  # there it is not elsewhere
        journal.write_bytes(b"".join(to_line(each) + b"\n" for each in events))
        try:
            return self._study.courier.send(staged)
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def seconds(self) -> float | None:
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


def _others_than_the_run(run: Path) -> Callable[[str, list[str]], list[str]]:
    """Return what `copytree` leaves out."""

    def ignore(folder: str, names: list[str]) -> list[str]:
        return list(filter(_is_of_here, names)) if Path(folder) == run else []

    return ignore


def _is_of_here(name: str) -> bool:
    return name in HERE_ALONE or name.startswith("brought")
