"""What is asked of the service for one training job, in the words of the SDK. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from seedbed.core.errors import UsageError
from seedbed.core.search.candidate import Candidate, TrialJob
from seedbed.plugins.backends import SagemakerOptions

STUDY_TAG, TRIAL_TAG, CANDIDATE_TAG = "seedbed:study", "seedbed:trial", "seedbed:candidate"

_ENTRY = 'exec "${SEEDBED_PYTHON:-python3}" "${SAGEMAKER_BASE_DIR:-/opt/ml}/input/data/code/start.py" '
"""`exec`, so that python is process 1: a stop is a signal to that, and a shell would keep it to itself."""

_MOST_PARAMETERS, _MOST_CHARACTERS = 100, 2500
_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """One job: `what` it is to do, where its inputs lie (channel → address), and how long it may take.

    `tags` say whose it is, `shown` are the hyperparameters that the console shows.
    """

    name: str
    what: Literal["train", "study"]
    tags: Mapping[str, str]
    shown: Mapping[str, str]
    channels: Mapping[str, str]
    checkpoints: str
    output: str
    seconds: int
    environment: Mapping[str, str] = field(default_factory=dict)


def name_of(study: str, trial: int, attempt: int) -> str:
    """Return the name of a job: that of no other attempt, trial or study, and the same when it is asked again."""
    return f"seedbed-{study}-{trial:04d}-{attempt}"


def name_of_study(study: str, attempt: int) -> str:
    """Return the name of the job that does the whole study, as `name_of` for a trial."""
    return f"seedbed-{study}-study-{attempt}"


def tags_of(study: str, trial: str, candidate: Candidate | None = None) -> dict[str, str]:
    """Return the tags that tell whose job it is; `trial` is a number, or "all"."""
    found = {STUDY_TAG: study, TRIAL_TAG: trial}
    return found if candidate is None else found | {CANDIDATE_TAG: candidate.fingerprint}


def seconds_of(job: TrialJob, options: SagemakerOptions, unix_now: float) -> int:
    """Return how long the service lets the job run: its own time with some to spare, or the most that is allowed."""
    seconds = job.fidelity.seconds
    if seconds is None:
        return round(options.max_hours * 3600)
    if job.not_after is not None:
        seconds = max(min(seconds, job.not_after - unix_now), 1.0)
    return max(math.ceil(seconds + job.grace), 60)


def check(options: SagemakerOptions) -> None:
    """Refuse what the service would refuse, before anything is uploaded.

    Raises:
        UsageError: an option is missing, or two exclude each other.
    """
    for name, example in (("role", "arn:aws:iam::123456789012:role/SageMakerRole"), ("image", "ACCOUNT.dkr.ecr…:TAG")):
        if not getattr(options, name):
            raise UsageError(
                f"A training job needs its {name}; give --set backend.sagemaker.{name}={example}, "
                "or try it on this machine with --rehearse."
            )
    if options.spot and options.keep_alive_seconds:
        raise UsageError("Spot machines are not kept warm by the service; give spot or keep_alive_seconds, not both.")
    if options.jobs < 1:
        raise UsageError(f"backend.sagemaker.jobs={options.jobs}; give 1 or more.")


def request(plan: JobPlan, options: SagemakerOptions, metrics: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return the fields with which `TrainingJob.create` is called; `metrics` are names and patterns of log lines."""
    resources: dict[str, Any] = {
        "instance_type": options.instance_type,
        "instance_count": 1,
        "volume_size_in_gb": options.volume_gb,
    }
    if options.keep_alive_seconds:
        resources["keep_alive_period_in_seconds"] = options.keep_alive_seconds
    stopping: dict[str, Any] = {"max_runtime_in_seconds": plan.seconds}
    found: dict[str, Any] = {
        "training_job_name": plan.name,
        "role_arn": options.role,
        "algorithm_specification": {
            "training_image": options.image,
            "training_input_mode": "File",
            "container_entrypoint": ["/bin/sh", "-c"],
            "container_arguments": [_ENTRY + plan.what],
            "metric_definitions": [{"name": name, "regex": regex} for name, regex in metrics],
        },
        "hyper_parameters": dict(plan.shown),
        "input_data_config": [channel(name, uri) for name, uri in plan.channels.items()],
        "output_data_config": {"s3_output_path": plan.output},
        "checkpoint_config": {"s3_uri": plan.checkpoints},
        "resource_config": resources,
        "stopping_condition": stopping,
        "retry_strategy": {"maximum_retry_attempts": max(options.retries, 1)},
        "environment": dict(plan.environment),
        "tags": _tags(plan, options),
    }
    if options.spot:
        found["enable_managed_spot_training"] = True
        stopping["max_wait_time_in_seconds"] = plan.seconds + round(options.spot_wait_hours * 3600)
    if options.subnets:
        found["vpc_config"] = {
            "subnets": options.subnets.split(","),
            "security_group_ids": options.security_groups.split(","),
        }
    return found


def channel(name: str, uri: str) -> dict[str, Any]:
    """Return a channel whose files lie below an address, copied to the machine before the job begins."""
    source = {"s3_data_type": "S3Prefix", "s3_uri": uri, "s3_data_distribution_type": "FullyReplicated"}
    return {"channel_name": name, "data_source": {"s3_data_source": source}}


def _tags(plan: JobPlan, options: SagemakerOptions) -> list[dict[str, str]]:
    given = dict(each.split("=", 1) for each in options.tags.split(",") if "=" in each)
    return [{"key": key, "value": value} for key, value in (dict(plan.tags) | given).items()]


def shown(candidate: Candidate) -> dict[str, str]:
    """Return the candidate as the console shows it; the job itself reads it from its own file."""
    values = {name: str(value) for name, value in sorted(candidate.values.items())}
    fitting = [(name, text) for name, text in values.items() if len(text) <= _MOST_CHARACTERS]
    return dict(fitting[:_MOST_PARAMETERS])
