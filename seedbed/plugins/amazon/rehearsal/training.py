"""The operations on training jobs: what they check, and the jobs they start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seedbed.plugins.amazon.rehearsal.job import ENDED, Fleet, Job
from seedbed.plugins.amazon.rehearsal.storage import has_objects
from seedbed.plugins.amazon.rehearsal.wire import Faults, Json, Refused

ACCOUNT = "123456789012"
_DAY = 86_400
_SUMMARY = (
    *("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime"),
    *("TrainingJobStatus", "SecondaryStatus"),
)


class Tags:
    """The tags of all resources, by their ARN."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, str]] = {}

    def put(self, arn: str, tags: list[Json] | None) -> list[Json]:
        """Add `tags` to what `arn` has, and return them all."""
        own = self._known.setdefault(arn, {})
        own.update({each["Key"]: each["Value"] for each in tags or []})
        return [{"Key": key, "Value": value} for key, value in own.items()]

    def operations(self) -> dict[str, Callable[[Json], Json]]:
        """What clients may call."""
        return {
            "AddTags": lambda request: {"Tags": self.put(request["ResourceArn"], request["Tags"])},
            "ListTags": lambda request: {"Tags": self.put(request["ResourceArn"], None)},
            "DeleteTags": self._delete,
        }

    def _delete(self, request: Json) -> Json:
        own = self._known.get(request["ResourceArn"], {})
        for key in request["TagKeys"]:
            own.pop(key, None)
        return {}


def chosen(found: list[Json], request: Json, *, key: str, name: str, status: str = "") -> Json:
    """One page of `found` under `key`, as the List operations filter, sort and cut: with the NextToken of the next.

    `name` and `status` are the members that NameContains and StatusEquals look at.
    """
    for member in ("CreationTime", "LastModifiedTime"):
        for bound, sign in ((f"{member}After", 1), (f"{member}Before", -1)):
            if bound in request:
                found = [each for each in found if sign * (each[member] - request[bound]) > 0]
    found = [each for each in found if request.get("NameContains", "").lower() in each[name].lower()]
    if "StatusEquals" in request:
        found = [each for each in found if each[status] == request["StatusEquals"]]
    members = {"Name": name, "Status": status}
    by = members.get(request.get("SortBy", ""), "CreationTime")
    found = sorted(found, key=lambda each: each[by], reverse=request.get("SortOrder") == "Descending")
    start = int(request.get("NextToken", "0"))
    end = start + int(request.get("MaxResults", 100))
    return {key: found[start:end]} | ({"NextToken": str(end)} if end < len(found) else {})


def check_beyond_the_model(request: Json, s3: Any) -> None:  # noqa: ANN401 (boto3's clients have no types)
    """What the service refuses of a training job beside the limits of its model.

    Raises: Refused; also for what this rehearsal cannot do, such as several machines a job.
    """
    limits, resources = request.get("StoppingCondition") or {}, request.get("ResourceConfig") or {}
    spot = request.get("EnableManagedSpotTraining", False)
    runtime, wait = limits.get("MaxRuntimeInSeconds", _DAY), limits.get("MaxWaitTimeInSeconds")
    if spot and (wait is None or wait < runtime):
        given = "is not given" if wait is None else f"is {wait}"
        raise Refused(
            "ValidationException",
            f"Invalid MaxWaitTimeInSeconds: it {given}; with EnableManagedSpotTraining it must be at least "
            f"MaxRuntimeInSeconds, {runtime}.",
        )
    if wait is not None and not spot:
        raise Refused("ValidationException", "MaxWaitTimeInSeconds is for EnableManagedSpotTraining only.")
    if spot and resources.get("KeepAlivePeriodInSeconds"):
        raise Refused(
            "ValidationException",
            "KeepAlivePeriodInSeconds (warm pools) and EnableManagedSpotTraining exclude each other.",
        )
    specification = request.get("AlgorithmSpecification") or {}
    if not specification.get("TrainingImage"):
        raise Refused("ValidationException", "The rehearsal needs AlgorithmSpecification.TrainingImage.")
    if resources.get("InstanceCount", 1) != 1 or resources.get("InstanceGroups"):
        raise Refused("ValidationException", "The rehearsal runs a training job on one machine: InstanceCount 1.")
    if (request.get("OutputDataConfig") or {}).get("CompressionType", "GZIP") != "GZIP":
        raise Refused("ValidationException", "The rehearsal packs what a job leaves: CompressionType GZIP.")
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig") or []]
    if len(set(names)) < len(names):
        raise Refused("ValidationException", f"The channel names {names} are not unique.")
    for channel in request.get("InputDataConfig") or []:
        _check_channel(channel, s3)


def _check_channel(channel: Json, s3: Any) -> None:  # noqa: ANN401
    source = (channel.get("DataSource") or {}).get("S3DataSource")
    if source is None or source.get("S3DataType") != "S3Prefix" or channel.get("InputMode") == "Pipe":
        raise Refused(
            "ValidationException",
            f"The rehearsal reads channels of S3DataType S3Prefix as files; {channel['ChannelName']!r} is another.",
        )
    if not has_objects(s3, source["S3Uri"]):
        raise Refused(
            "ValidationException",
            f'No S3 objects found under S3 URL "{source["S3Uri"]}" given in input data source. Please ensure that the '
            "bucket exists in the selected region, that objects exist under that S3 prefix, and that the role may "
            "read them.",
        )


class Training:
    """All training jobs of a rehearsal."""

    def __init__(self, fleet: Fleet, tags: Tags, faults: Faults, check: Callable[[str, Json], None]) -> None:
        self.jobs: dict[str, Job] = {}
        self._fleet = fleet
        self._tags = tags
        self._faults = faults
        self._check = check

    def operations(self) -> Mapping[str, Callable[[Json], Json]]:
        """What clients may call."""
        return {
            "CreateTrainingJob": self.create,
            "DescribeTrainingJob": lambda request: self.find(request).describe(),
            "ListTrainingJobs": self._list,
            "StopTrainingJob": self._stop,
            "DeleteTrainingJob": self._delete,
            "UpdateTrainingJob": self._update,
        }

    def find(self, request: Json) -> Job:
        """The job that a request names.

        Raises: Refused, when there is none.
        """
        with self._fleet.lock:
            job = self.jobs.get(request.get("TrainingJobName", ""))
        if job is None:
            raise Refused("ValidationException", "Requested resource not found.")
        return job

    def create(self, request: Json, more: Json | None = None) -> Json:
        """Start a job; `more` are members of its description that are in no request."""
        self._check("CreateTrainingJob", request)
        check_beyond_the_model(request, self._fleet.clients["s3"])
        name = request["TrainingJobName"]
        arn = f"arn:aws:sagemaker:{self._fleet.region}:{ACCOUNT}:training-job/{name}"
        with self._fleet.lock:
            if name in self.jobs:
                raise Refused(
                    "ResourceInUse",
                    "Training job names must be unique within an AWS account and region, and a training job with this "
                    f"name already exists ({arn})",
                )
            if self._fleet.closing.is_set():
                raise Refused("InternalServerError", "The rehearsal is over.")
            capacity = self._faults.take("CreateTrainingJob", "CapacityError")
            job = self.jobs[name] = Job(request, arn, self._fleet, capacity=capacity[1] if capacity else "", more=more)
            self._tags.put(arn, request.get("Tags"))
            job.thread.start()
        return {"TrainingJobArn": arn}

    def _list(self, request: Json) -> Json:
        self._check("ListTrainingJobs", request)
        with self._fleet.lock:
            described = [job.describe() for job in self.jobs.values()]
        found = [{name: each[name] for name in _SUMMARY if name in each} for each in described]
        return chosen(found, request, key="TrainingJobSummaries", name="TrainingJobName", status="TrainingJobStatus")

    def _stop(self, request: Json) -> Json:
        self._check("StopTrainingJob", request)
        self.find(request).stop()
        return {}

    def _delete(self, request: Json) -> Json:
        self._check("DeleteTrainingJob", request)
        with self._fleet.lock:
            job = self.find(request)
            if job.status not in ENDED:
                raise Refused(
                    "ResourceInUse", f"The training job is in status {job.status}; it can be deleted once it ended."
                )
            del self.jobs[job.name]
        return {}

    def _update(self, request: Json) -> Json:
        """Only KeepAlivePeriodInSeconds, ProfilerConfig and RemoteDebugConfig can change; none has an effect here."""
        self._check("UpdateTrainingJob", request)
        with self._fleet.lock:
            job = self.find(request)
            job.request["ResourceConfig"] = {**job.request["ResourceConfig"], **(request.get("ResourceConfig") or {})}
            for name in ("ProfilerConfig", "RemoteDebugConfig"):
                if name in request:
                    job.request[name] = request[name]
        return {"TrainingJobArn": job.arn}
