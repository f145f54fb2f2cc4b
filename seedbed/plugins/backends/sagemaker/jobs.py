"""Training jobs by their names: sent for, found, requested, ended; what trials and whole studies have in common."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from seedbed.core.errors import SeedbedError
from seedbed.core.search.candidate import TrialJob
from seedbed.plugins.amazon.account import Account, code_of
from seedbed.plugins.backends import SagemakerOptions
from seedbed.plugins.backends.sagemaker.courier import Courier
from seedbed.plugins.backends.sagemaker.requests import JobPlan, request

FOLDER = "checkpoints/trial"
"""Where, below the container's base, a trial writes: the service keeps it in the bucket as it grows."""

MISSING = ("ValidationException", "ResourceNotFound", "ResourceNotFoundException")
"""What the service answers where it knows of no job with a name."""

LOG_SECONDS = 30.0
"""How long after a job's end its last lines may take to arrive."""

_FULL = frozenset({"ResourceLimitExceeded", "CapacityError"})


class NoMachine(Exception):
    """The service has no machine for a job now; it may have one later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What all jobs of a run share."""

    id: str
    account: Account
    courier: Courier
    options: SagemakerOptions
    plugins: tuple[str, ...]
    environment: dict[str, str]
    metrics: tuple[tuple[str, str], ...]
    logs: Any
    leaving: threading.Event = field(default_factory=threading.Event)

    @property
    def own(self) -> dict[str, Any]:
        """What the SDK's resources want in every call."""
        return {"session": self.account.session, "region": self.account.region}


def find(study: Study, name: str) -> Any:  # noqa: ANN401 - the SDK is imported late
    """Return the job of this name, None where there is none."""
    from sagemaker.core.resources import TrainingJob

    try:
        return TrainingJob.get(name, **study.own)
    except Exception as error:
        if code_of(error) in MISSING:
            return None
        raise


def insist_on_own(study: Study, found: Any, tags: Mapping[str, str]) -> None:  # noqa: ANN401
    """See that a job has the tags with which this run would have made it.

    Raises:
        SeedbedError: it is another's.
    """
    from sagemaker.core.resources import Tag

    there = {str(each.key): str(each.value) for each in Tag.get_all(found.training_job_arn, **study.own)}
    if any(there.get(key) != value for key, value in tags.items()):
        raise SeedbedError(
            f"There is a training job {found.training_job_name} already, and it is not this run's; "
            "begin the run again in another --out."
        )


def begin(study: Study, plan: JobPlan) -> Any:  # noqa: ANN401
    """Request a job; if its name is taken, by an earlier request whose answer was lost, return that one.

    Raises:
        NoMachine: there is none for it now.
        ClientError: the service refuses.
    """
    from sagemaker.core.resources import TrainingJob

    try:
        return TrainingJob.create(**request(plan, study.options, study.metrics), **study.own)
    except Exception as error:
        code = code_of(error)
        if code == "ResourceInUse":
            return find(study, plan.name)
        if code in _FULL:
            raise NoMachine(str(error)) from error
        raise


def is_over(found: Any) -> bool:  # noqa: ANN401
    """Whether a job that was looked at has ended."""
    return str(found.training_job_status) in ("Completed", "Failed", "Stopped")


def end(found: Any) -> None:  # noqa: ANN401
    """Have the service end a job, unless it has ended by itself."""
    try:
        found.stop()
    except Exception as error:
        if code_of(error) != "ValidationException":
            raise


def billed(found: Any) -> float | None:  # noqa: ANN401
    """Return the seconds that are paid for a job, None where the service does not say."""
    seconds = found.billable_time_in_seconds
    return float(seconds) if isinstance(seconds, int | float) else None


def text(value: object) -> str:
    """Return a text of the SDK; what the service did not tell is an object of its own there."""
    return value if isinstance(value, str) else ""


def send_inputs(study: Study, job: TrialJob) -> tuple[dict[str, str], dict[Path, Path]]:
    """Upload what a trial reads, as far as it is not there; return channel → address, and path here → path there."""
    channels: dict[str, str] = {}
    places: dict[Path, Path] = {Path(job.folder): Path(FOLDER)}
    for name in ("data", "tokens", "splits"):
        if given := getattr(job, name):
            path = Path(given)
            if path.exists():  # else the job itself says what it misses
                channels[name] = study.courier.send(path)
            inside = PurePosixPath("input/data", name)
            places[path] = Path(inside if path.is_dir() else inside / path.name)
    return channels, places


def plugins_there(plugins: Sequence[str]) -> list[str]:
    """Return how plugins are named in the container, where local files lie in the channel `code`."""
    return [f"input/data/code/{Path(each).name}" if each.endswith(".py") else each for each in plugins]
