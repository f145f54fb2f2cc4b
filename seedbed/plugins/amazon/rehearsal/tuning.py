"""Hyper-parameter tuning jobs: children that run on the same machines, and what they came to."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping

from seedbed.plugins.amazon.rehearsal.job import ENDED, Fleet, Job
from seedbed.plugins.amazon.rehearsal.training import ACCOUNT, Tags, Training, chosen
from seedbed.plugins.amazon.rehearsal.wire import Json, Refused

log = logging.getLogger(__name__)

_TICK = 0.05
_STRATEGIES = ("Random", "Grid", "Bayesian")
_TAKEN = (
    *("AlgorithmSpecification", "RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig", "StoppingCondition"),
    *("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining"),
    *("CheckpointConfig", "RetryStrategy", "Environment", "ResourceConfig"),
)
_SUMMARY = (
    *("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingJobStatus", "TrainingStartTime"),
    *("TrainingEndTime", "FailureReason"),
)
_LISTED = (
    *("HyperParameterTuningJobName", "HyperParameterTuningJobArn", "HyperParameterTuningJobStatus"),
    *("CreationTime", "LastModifiedTime", "TrainingJobStatusCounters", "ObjectiveStatusCounters"),
)
_COUNTED = {"Failed": "NonRetryableError", "Stopping": "InProgress"}


def drawn(ranges: Json, rng: random.Random) -> dict[str, str]:
    """One point of the ranges, by their scaling, as the texts that a job is given."""
    point = {}
    for each in ranges.get("ContinuousParameterRanges") or []:
        point[each["Name"]] = repr(_scaled(each, float(each["MinValue"]), float(each["MaxValue"]), rng))
    for each in ranges.get("IntegerParameterRanges") or []:
        low, high = int(each["MinValue"]), int(each["MaxValue"])
        if each.get("ScalingType") in ("Logarithmic", "ReverseLogarithmic"):
            value = round(_scaled(each, low, high, rng))
        else:
            value = rng.randint(low, high)
        point[each["Name"]] = str(min(max(value, low), high))
    for each in ranges.get("CategoricalParameterRanges") or []:
        point[each["Name"]] = str(rng.choice(each["Values"]))
    return point


def _scaled(given: Json, low: float, high: float, rng: random.Random) -> float:
    scaling = given.get("ScalingType", "Auto")
    if scaling == "Logarithmic":
        return math.exp(rng.uniform(math.log(low), math.log(high)))
    if scaling == "ReverseLogarithmic":
        return 1.0 - math.exp(rng.uniform(math.log(1.0 - high), math.log(1.0 - low)))
    return rng.uniform(low, high)


def grid(ranges: Json) -> list[dict[str, str]]:
    """Every combination of the categorical values.

    Raises: Refused, when there are other ranges.
    """
    if ranges.get("ContinuousParameterRanges") or ranges.get("IntegerParameterRanges"):
        raise Refused("ValidationException", "The strategy Grid takes categorical parameters only.")
    categorical = ranges.get("CategoricalParameterRanges") or []
    names = [each["Name"] for each in categorical]
    return [
        dict(zip(names, values, strict=True)) for values in itertools.product(*(each["Values"] for each in categorical))
    ]


class Tuner:
    """One tuning job, its thread and its children.

    Random and Grid are as in the service; Bayesian draws at random here. TrainingJobEarlyStoppingType has no effect.
    """

    def __init__(self, request: Json, arn: str, fleet: Fleet, training: Training) -> None:
        self.request = request
        self.name = str(request["HyperParameterTuningJobName"])
        self.arn = arn
        self.status = "InProgress"
        self.created = self.changed = time.time()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._live, name=f"tuning job {self.name}", daemon=True)
        self._fleet = fleet
        self._training = training
        self._config: Json = request["HyperParameterTuningJobConfig"]
        definitions = request.get("TrainingJobDefinitions") or [request["TrainingJobDefinition"]]
        self._definition: Json = definitions[0]
        self._objective: Json = (
            self._config.get("HyperParameterTuningJobObjective") or self._definition["TuningObjective"]
        )
        self._ranges: Json = self._definition.get("HyperParameterRanges") or self._config.get("ParameterRanges") or {}
        self._children: list[tuple[Job, dict[str, str]]] = []
        self._reason = ""
        limits = self._config.get("ResourceLimits") or {}
        self._parallel = int(limits.get("MaxParallelTrainingJobs", 1))
        self._runtime = float(limits.get("MaxRuntimeInSeconds", math.inf))
        self._points = list(self._draw(int(limits.get("MaxNumberOfTrainingJobs", 0))))

    def children(self) -> list[Json]:
        """The summaries of its children."""
        with self._fleet.lock:
            return [self._summary(job, point) for job, point in self._children]

    def describe(self) -> Json:
        """DescribeHyperParameterTuningJob's answer."""
        children = self.children()
        counts = {name: 0 for name in ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")}
        objectives = {"Succeeded": 0, "Pending": 0, "Failed": 0}
        for child in children:
            status = str(child["TrainingJobStatus"])
            counts[_COUNTED.get(status, status)] += 1
            objectives[child["ObjectiveStatus"]] += 1
        with self._fleet.lock:
            said = {name: value for name, value in self.request.items() if name != "Tags"} | {
                "HyperParameterTuningJobArn": self.arn,
                "HyperParameterTuningJobStatus": self.status,
                "CreationTime": self.created,
                "LastModifiedTime": self.changed,
                "TrainingJobStatusCounters": counts,
                "ObjectiveStatusCounters": objectives,
            }
            if self.status in ENDED:
                said["HyperParameterTuningEndTime"] = self.changed
            if self._reason:
                said["FailureReason"] = self._reason
        succeeded = [child for child in children if child["ObjectiveStatus"] == "Succeeded"]
        if succeeded:
            best = max if self._objective["Type"] == "Maximize" else min
            said["BestTrainingJob"] = best(succeeded, key=_reached)
        return said

    def stop(self) -> None:
        """StopHyperParameterTuningJob: no new children; those that run are stopped."""
        with self._fleet.lock:
            if self.status not in ENDED:
                self.status, self.changed = "Stopping", time.time()
                self.stopping.set()

    def _draw(self, most: int) -> Iterator[dict[str, str]]:
        if self._config["Strategy"] == "Grid":
            points = grid(self._ranges)
            if most not in (0, len(points)):
                raise Refused(
                    "ValidationException", f"MaxNumberOfTrainingJobs is {most}; this grid has {len(points)} points."
                )
            yield from points
            return
        if most < 1:
            raise Refused("ValidationException", "MaxNumberOfTrainingJobs must be given for this strategy.")
        seed = self._config.get("RandomSeed")
        rng = random.Random(self.name if seed is None else seed)
        for _ in range(most):
            yield drawn(self._ranges, rng)

    def _summary(self, job: Job, point: dict[str, str]) -> Json:
        said = job.describe()
        found = {name: said[name] for name in _SUMMARY if name in said} | {"TunedHyperParameters": point}
        value = job.metrics.get(self._objective["MetricName"])
        if value is not None and said["TrainingJobStatus"] in ("Completed", "Stopped"):
            found["ObjectiveStatus"] = "Succeeded"
            found["FinalHyperParameterTuningJobObjectiveMetric"] = {**self._objective, "Value": value[0]}
        else:
            found["ObjectiveStatus"] = "Failed" if said["TrainingJobStatus"] in ENDED else "Pending"
        return found

    def _live(self) -> None:
        status = "Completed"
        try:
            for number, point in enumerate(self._points, 1):
                if not self._wait_for(lambda: len(self._running()) < self._parallel):
                    break
                self._start(number, point)
            self._wait_for(lambda: not self._running())
        except Refused as refused:
            status, self._reason = "Failed", refused.message
        except Exception as error:  # the border of the thread: the tuning job tells
            log.exception("the rehearsal could not go on with the tuning job %s", self.name)
            status, self._reason = "Failed", f"the rehearsal failed: {error!r}"
        for job in self._running():
            with contextlib.suppress(Refused):  # it ended meanwhile
                job.stop()
        for job, _ in list(self._children):
            job.thread.join()
        with self._fleet.lock:
            self.status, self.changed = "Stopped" if self.stopping.is_set() else status, time.time()

    def _running(self) -> list[Job]:
        with self._fleet.lock:
            return [job for job, _ in self._children if job.thread.is_alive()]

    def _wait_for(self, condition: Callable[[], bool]) -> bool:
        """Whether it came to that before the tuning job was told to stop, or its time was over."""
        while not self._over():
            if condition():
                return True
            self.stopping.wait(_TICK)
        return False

    def _over(self) -> bool:
        return self.stopping.is_set() or self._fleet.closing.is_set() or time.time() - self.created > self._runtime

    def _start(self, number: int, point: dict[str, str]) -> None:
        request = {name: self._definition[name] for name in _TAKEN if name in self._definition}
        request["TrainingJobName"] = f"{self.name}-{number:03d}-{uuid.uuid4().hex[:8]}"
        given = {"_tuning_objective_metric": self._objective["MetricName"]}
        request["HyperParameters"] = {**(self._definition.get("StaticHyperParameters") or {}), **point, **given}
        with self._fleet.lock:
            self._training.create(request, {"TuningJobArn": self.arn})
            self._children.append((self._training.jobs[request["TrainingJobName"]], point))


def _reached(child: Json) -> float:
    return float(child["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])


class Tuning:
    """All tuning jobs of a rehearsal."""

    def __init__(self, fleet: Fleet, tags: Tags, training: Training, check: Callable[[str, Json], None]) -> None:
        self._tuners: dict[str, Tuner] = {}
        self._fleet = fleet
        self._tags = tags
        self._training = training
        self._check = check

    def operations(self) -> Mapping[str, Callable[[Json], Json]]:
        """What clients may call."""
        return {
            "CreateHyperParameterTuningJob": self._create,
            "DescribeHyperParameterTuningJob": lambda request: self._find(request).describe(),
            "ListHyperParameterTuningJobs": self._list,
            "StopHyperParameterTuningJob": self._stop,
            "ListTrainingJobsForHyperParameterTuningJob": self._children,
        }

    def close(self) -> None:
        """Wait for the threads, which see that the rehearsal is over."""
        for tuner in list(self._tuners.values()):
            tuner.thread.join()

    def _find(self, request: Json) -> Tuner:
        with self._fleet.lock:
            found = self._tuners.get(request["HyperParameterTuningJobName"])
        if found is None:
            raise Refused(
                "ResourceNotFound",
                f"Amazon SageMaker can't find a tuning job {request['HyperParameterTuningJobName']}.",
            )
        return found

    def _create(self, request: Json) -> Json:
        self._check("CreateHyperParameterTuningJob", request)
        name, config = request["HyperParameterTuningJobName"], request["HyperParameterTuningJobConfig"]
        if config["Strategy"] not in _STRATEGIES:
            raise Refused("ValidationException", f"The rehearsal knows the strategies {', '.join(_STRATEGIES)}.")
        if request.get("WarmStartConfig"):
            raise Refused("ValidationException", "The rehearsal starts no tuning job from another's results.")
        definitions = request.get("TrainingJobDefinitions") or [request.get("TrainingJobDefinition")]
        if len(definitions) != 1 or definitions[0] is None:
            raise Refused("ValidationException", "The rehearsal takes one TrainingJobDefinition a tuning job.")
        if not (config.get("HyperParameterTuningJobObjective") or definitions[0].get("TuningObjective")):
            raise Refused("ValidationException", "A tuning job needs an objective.")
        arn = f"arn:aws:sagemaker:{self._fleet.region}:{ACCOUNT}:hyper-parameter-tuning-job/{name}"
        with self._fleet.lock:
            if name in self._tuners:
                raise Refused(
                    "ResourceInUse", f"Hyper-parameter tuning job names must be unique; there is one named {name}."
                )
            tuner = self._tuners[name] = Tuner(request, arn, self._fleet, self._training)
            self._tags.put(arn, request.get("Tags"))
            tuner.thread.start()
        return {"HyperParameterTuningJobArn": arn}

    def _list(self, request: Json) -> Json:
        with self._fleet.lock:
            tuners = list(self._tuners.values())
        found = []
        for tuner in tuners:
            said = tuner.describe()
            strategy = tuner.request["HyperParameterTuningJobConfig"]["Strategy"]
            found.append({name: said[name] for name in _LISTED} | {"Strategy": strategy})
        key, status = "HyperParameterTuningJobSummaries", "HyperParameterTuningJobStatus"
        return chosen(found, request, key=key, name="HyperParameterTuningJobName", status=status)

    def _stop(self, request: Json) -> Json:
        self._find(request).stop()
        return {}

    def _children(self, request: Json) -> Json:
        asked = dict(request)
        tuner, by = self._find(request), asked.pop("SortBy", "CreationTime")
        found = tuner.children()
        if by == "FinalObjectiveMetricValue":
            found = [child for child in found if child["ObjectiveStatus"] == "Succeeded"]
            for child in found:
                child["reached"] = _reached(child)
            page = chosen(
                found,
                {**asked, "SortBy": "Status"},
                key="TrainingJobSummaries",
                name="TrainingJobName",
                status="reached",
            )
            for child in found:
                del child["reached"]
            return page
        return chosen(found, asked, key="TrainingJobSummaries", name="TrainingJobName", status="TrainingJobStatus")
