"""One training job: its states, its attempts, its container and what is billed for it."""

from __future__ import annotations

import logging
import math
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from seedbed.plugins.amazon.rehearsal.container import KILLED, Container, Place, Watchdog
from seedbed.plugins.amazon.rehearsal.logs import Pump
from seedbed.plugins.amazon.rehearsal.storage import Mirror, failure, lay_out, upload_results
from seedbed.plugins.amazon.rehearsal.wire import Json, Refused

log = logging.getLogger(__name__)

GROUP = "/aws/sagemaker/TrainingJobs"
ENDED = ("Completed", "Failed", "Stopped")
SPOT_SHARE = 0.3  # of the price on demand; the service tells the real one
SYNC_SECONDS = 0.2  # between two looks at the checkpoints
_TICK = 0.02
_DAY = 86_400
_SAID = {
    "Starting": "Starting the training job",
    "Pending": "Training job waiting for capacity",
    "Downloading": "Downloading the training image and input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Interrupted": "Training job interrupted; waiting for spot capacity",
    "Restarting": "Restarting after an internal error",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job exceeded MaxWaitTimeInSeconds provided",
}
_LOST = "InternalServerError: We encountered an internal error. Please try again."


@dataclass(frozen=True)
class Fleet:
    """What all jobs of a rehearsal share."""

    root: Path
    image: Callable[[str], Sequence[str]]
    grace: float
    region: str
    environment: Mapping[str, str]
    clients: Mapping[str, Any]
    watchdog: Watchdog
    slots: threading.Semaphore
    closing: threading.Event
    lock: threading.RLock


@dataclass(frozen=True)
class Ending:
    """How an attempt ended: the final status, the secondary one, and why it failed."""

    status: str
    secondary: str
    reason: str = ""


@dataclass
class Asked:
    """What happens to a running job from outside."""

    stop: threading.Event = field(default_factory=threading.Event)
    reclaim: threading.Event = field(default_factory=threading.Event)
    lose: threading.Event = field(default_factory=threading.Event)
    kill: threading.Event = field(default_factory=threading.Event)


def billable(training: float, spot: bool) -> int:
    """Whole seconds to be paid for `training` seconds on machines.

    Those are the seconds from Downloading to the end of each attempt, waiting and Interrupted left out. Managed spot
    is billed as SPOT_SHARE of them, which stands for its lower price.
    """
    return max(1, math.ceil(training * (SPOT_SHARE if spot else 1.0))) if training > 0 else 0


def too_late(limits: Json, *, ran: float, since_creation: float, pending: float, spot: bool) -> str:
    """The secondary status of a job whose time is over, by its StoppingCondition; "" while it is not.

    `ran` is in seconds of this and earlier attempts, `pending` of waiting for machines, without a break.
    """
    if ran > limits.get("MaxRuntimeInSeconds", _DAY):
        return "MaxRuntimeExceeded"
    if spot and since_creation > limits.get("MaxWaitTimeInSeconds", math.inf):
        return "MaxWaitTimeExceeded"
    return "Stopped" if pending > limits.get("MaxPendingTimeInSeconds", math.inf) else ""


class Job:
    """A training job that runs in a thread of its own; `describe` tells its state at any time."""

    def __init__(self, request: Json, arn: str, fleet: Fleet, *, capacity: str = "", more: Json | None = None) -> None:
        self.request = request
        self.name = str(request["TrainingJobName"])
        self.arn = arn
        self.asked = Asked()
        self.created = time.time()
        self.status, self.secondary = "InProgress", ""
        self.transitions: list[Json] = []
        self.metrics: dict[str, tuple[float, float]] = {}
        self.thread = threading.Thread(target=self._live, name=f"job {self.name}", daemon=True)
        self._fleet = fleet
        self._capacity = capacity
        self._more = dict(more or {})
        self.spot = bool(request.get("EnableManagedSpotTraining"))
        self._limits: Json = request.get("StoppingCondition") or {}
        self._place = Place(fleet.root / self.name)
        self._trained = 0.0
        self._attempts = 0
        self._container: Container | None = None
        self._enter("Starting")

    @property
    def log_path(self) -> Path:
        """The copy of all its log lines on this machine."""
        return self._fleet.root / f"{self.name}.log"

    def describe(self) -> Json:
        """DescribeTrainingJob's answer."""
        with self._fleet.lock:
            said = {name: value for name, value in self.request.items() if name != "Tags"} | self._more | {
                "TrainingJobArn": self.arn,
                "TrainingJobStatus": self.status,
                "SecondaryStatus": self.secondary,
                "SecondaryStatusTransitions": [dict(each) for each in self.transitions],
                "FinalMetricDataList": [
                    {"MetricName": name, "Value": value, "Timestamp": when}
                    for name, (value, when) in self.metrics.items()
                ],
                "CreationTime": self.created,
                "LastModifiedTime": self.transitions[-1]["StartTime"],
            }  # fmt: skip
            said.setdefault("ModelArtifacts", {"S3ModelArtifacts": ""})
            return said

    def stop(self) -> None:
        """StopTrainingJob.

        Raises: Refused, when it has ended.
        """
        with self._fleet.lock:
            if self.status in ENDED:
                raise Refused(
                    "ValidationException",
                    f"The request was rejected because the training job is in status {self.status}.",
                )
            if self.status != "Stopping":
                self._enter("Stopping", "Stopping")
                self.asked.stop.set()

    def _enter(self, secondary: str, status: str = "InProgress", said: str = "") -> None:
        """Go to a state; a job that is to stop stays Stopping until it has."""
        with self._fleet.lock:
            if self.status == "Stopping" and status == "InProgress":
                status = "Stopping"
            now = time.time()
            if self.transitions:
                self.transitions[-1].setdefault("EndTime", now)
            message = said or _SAID.get(secondary, secondary)
            self.transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": message})
            self.status, self.secondary = status, secondary
            if status in ENDED:
                self.transitions[-1]["EndTime"] = now

    def _live(self) -> None:
        try:
            ending = self._run()
        except Exception as error:  # the border of the thread: the job tells what the rehearsal could not do
            log.exception("the rehearsal could not go on with the job %s", self.name)
            ending = Ending("Failed", "Failed", f"InternalServerError: the rehearsal failed: {error!r}")
        with self._fleet.lock:
            now = time.time()
            if ending.reason:
                self._more["FailureReason"] = ending.reason[:1024]
            if self._trained:
                self._more["TrainingEndTime"] = now
                self._more["TrainingTimeInSeconds"] = billable(self._trained, False)
                self._more["BillableTimeInSeconds"] = billable(self._trained, self.spot)
            self._enter(ending.secondary, ending.status)
        shutil.rmtree(self._place.folder, ignore_errors=True)

    def _run(self) -> Ending:
        again = int((self.request.get("RetryStrategy") or {}).get("MaximumRetryAttempts", 0))
        if self._capacity:
            return Ending("Failed", "Failed", f"CapacityError: {self._capacity}")
        while True:
            refused = self._wait_for_machines()
            if refused is not None:
                return refused
            try:
                ending = self._attempt()
            finally:
                self._fleet.slots.release()
            shutil.rmtree(self._place.folder, ignore_errors=True)
            if ending.secondary == "Interrupted":
                self.asked.reclaim.clear()
                self._enter("Interrupted")
                self._enter("Starting")
            elif ending.reason == _LOST and again > 0:
                again -= 1
                self.asked.lose.clear()
                self._enter("Restarting")
            else:
                return ending

    def _wait_for_machines(self) -> Ending | None:
        """None when a slot is ours, else how the job ended instead."""
        since, waiting = time.time(), False
        while not self._fleet.slots.acquire(timeout=0 if not waiting else 0.05):
            if not waiting and not self.asked.stop.is_set():
                waiting = True
                self._enter("Pending")
            late = self._late(0.0, pending=time.time() - since)
            if late:
                return Ending("Stopped", late)
            if self.asked.stop.is_set() or self._fleet.closing.is_set():
                return Ending("Stopped", "Stopped")
        if self.asked.stop.is_set() or self._fleet.closing.is_set():
            self._fleet.slots.release()
            return Ending("Stopped", "Stopped")
        return None

    def _late(self, attempt: float, pending: float = 0.0) -> str:
        since = time.time() - self.created
        ran = self._trained + attempt
        return too_late(self._limits, ran=ran, since_creation=since, pending=pending, spot=self.spot)

    def _attempt(self) -> Ending:
        began = time.time()
        self._attempts += 1
        checkpoints = self.request.get("CheckpointConfig")
        try:
            self._enter("Downloading")
            self._place.prepare("input/config", "input/data", "model", "output/data", "checkpoints")
            mirror = None
            if checkpoints is not None:
                mirror = Mirror(self._fleet.clients["s3"], self._place.ml / "checkpoints", checkpoints["S3Uri"])
                mirror.restore()
            lay_out(self.request, self._place, self._fleet.clients["s3"])
            return self._contained(mirror, began)
        except (ClientError, BotoCoreError, Refused) as error:
            return Ending("Failed", "Failed", f"ClientError: {error}")
        finally:
            self._trained += time.time() - began

    def _contained(self, mirror: Mirror | None, began: float) -> Ending:
        """Run the container to its end."""
        spec = self.request["AlgorithmSpecification"]
        entry = spec.get("ContainerEntrypoint")
        arguments = spec.get("ContainerArguments") or ([] if entry else ["train"])
        environment = dict(self._fleet.environment) | (self.request.get("Environment") or {})
        environment |= {"TRAINING_JOB_NAME": self.name, "TRAINING_JOB_ARN": self.arn, "CURRENT_HOST": "algo-1"}
        try:
            argv = [*(entry or self._fleet.image(spec["TrainingImage"])), *arguments]
        except (LookupError, ValueError) as error:
            return Ending(
                "Failed", "Failed", f"ClientError: Cannot pull the image {spec.get('TrainingImage')}: {error}"
            )
        stream = f"{self.name}/algo-1-{int(self.created) + self._attempts}"
        pump = Pump(self._fleet.clients, GROUP, stream, self.log_path, spec.get("MetricDefinitions") or [])
        pump.metrics = self.metrics
        self._enter("Training")
        with self._fleet.lock:
            self._more.setdefault("TrainingStartTime", time.time())
        container = Container(argv, self._place, environment, self._fleet.watchdog)
        try:
            pump.start(container.output)
            why = self._watch(container, pump, mirror, began)
        finally:
            code = container.close()
            pump.finish()
        if why == "lost":
            return Ending("Failed", "Failed", _LOST)
        if mirror is not None:
            mirror.sync()
        if why == "reclaimed":
            return Ending("InProgress", "Interrupted")
        if code == 1 and pump.last.startswith("unshare: "):
            code = KILLED  # unshare's own words when the kernel has killed its child
        if code and not why:
            said = failure(self._place)
            return Ending("Failed", "Failed", f"AlgorithmError: {said or 'no failure file'}, exit code: {code}")
        self._enter("Uploading")
        where = upload_results(self.request, self._place, self._fleet.clients["s3"])
        with self._fleet.lock:
            self._more["ModelArtifacts"] = {"S3ModelArtifacts": where}
        return Ending("Stopped", "Stopped" if why == "stopped" else why) if why else Ending("Completed", "Completed")

    def _watch(self, container: Container, pump: Pump, mirror: Mirror | None, began: float) -> str:
        """Wait for the container's end, meanwhile sync, and say why it was made to end: "" when it ended by itself."""
        why, asked_at, synced = "", 0.0, time.time()
        while not container.wait(_TICK):
            now = time.time()
            if self.asked.lose.is_set() or self._fleet.closing.is_set():
                container.kill()
                return "lost"
            if self.asked.kill.is_set():
                self.asked.kill.clear()
                container.kill_first()
            if now - synced >= SYNC_SECONDS:
                synced = now
                pump.flush()
                if mirror is not None:
                    mirror.sync()
            if not why:
                why = self._why(now - began)
                if why:
                    asked_at = now
                    container.terminate()
            elif now - asked_at > self._fleet.grace:
                container.kill()
        return why

    def _why(self, attempt: float) -> str:
        if self.asked.stop.is_set():
            return "stopped"
        return "reclaimed" if self.asked.reclaim.is_set() else self._late(attempt)
