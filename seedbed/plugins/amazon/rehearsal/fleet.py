"""A SageMaker that really runs its jobs on this machine; S3, Logs, CloudWatch, IAM and STS are those of moto."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from seedbed.plugins.amazon.rehearsal.container import Watchdog
from seedbed.plugins.amazon.rehearsal.endpoints import Endpoints
from seedbed.plugins.amazon.rehearsal.job import ENDED, Fleet, Job
from seedbed.plugins.amazon.rehearsal.training import Tags, Training
from seedbed.plugins.amazon.rehearsal.tuning import Tuning
from seedbed.plugins.amazon.rehearsal.validation import check
from seedbed.plugins.amazon.rehearsal.wire import OWN, Faults, Front, Json

_KEY = "rehearsal"  # no account knows it


class _QuietHandler(MotoRequestHandler):
    """Leaves the lines about each request out of the log."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


class Rehearsal:
    """Jobs, tuning jobs and endpoints of a SageMaker on this machine, for as long as the context lasts.

    `root` takes each job's folder while it runs and its log lines (`JOB.log`). `image` turns an image URI into the argv
    of its ENTRYPOINT: jobs without a ContainerEntrypoint run it with "train", endpoints with "serve". `slots` jobs run
    at once, the others are Pending. A container that is told to stop has `grace` seconds until it is killed (120 in the
    service). `environment` is added to each container's, which has nothing of this process's but PATH and language.

    Not as in the service: one machine a job, no VPCs, keys, policies or quotas, no limits to memory, no metrics of
    machines; starting takes no time, a KeepAlivePeriodInSeconds has no effect, and what is billed is `job.billable`.
    One rehearsal at a time in a process, as moto keeps its state there.
    """

    def __init__(
        self,
        root: Path,
        *,
        image: Callable[[str], Sequence[str]],
        slots: int = 2,
        grace: float = 3.0,
        region: str = "us-east-1",
        environment: Mapping[str, str] = {},
    ) -> None:
        self.root = root
        self.calls: list[str] = []
        self.url = ""
        self.env: dict[str, str] = {}
        self._image = image
        self._slots = slots
        self._grace = grace
        self._region = region
        self._environment = dict(environment)
        self._faults = Faults()
        self._operations: dict[str, Callable[[Json], Json]] = {}
        self._undo = ExitStack()
        self._session = boto3.Session(region_name=region)
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> Self:
        self.root.mkdir(parents=True, exist_ok=True)
        with ExitStack() as undo:
            moto_api_backend.reset()
            undo.callback(moto_api_backend.reset)
            self._start_server(undo)
            self._start_fleet(undo)
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def _start_server(self, undo: ExitStack) -> None:
        moto = DomainDispatcherApplication(create_backend_app)
        front = Front(moto, self._operate, self._invoke, self.calls, self._faults)
        server = make_server("127.0.0.1", 0, front, threaded=True, request_handler=_QuietHandler)
        undo.callback(server.server_close)
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.env = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _KEY,
            "AWS_SESSION_TOKEN": _KEY,
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1,localhost",
            "SAGEMAKER_VALIDATE_ROLE": "false",
        }
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="rehearsal", daemon=True)
        thread.start()
        undo.callback(thread.join)
        undo.callback(server.shutdown)

    def _start_fleet(self, undo: ExitStack) -> None:
        own = {name: self._client(name, user_agent_extra=OWN) for name in ("s3", "logs", "cloudwatch", "sagemaker")}
        self._model = own["sagemaker"].meta.service_model
        watchdog = Watchdog()
        undo.callback(watchdog.close)
        self._fleet = Fleet(
            root=self.root,
            image=self._image,
            grace=self._grace,
            region=self._region,
            environment={**self.env, **self._environment},
            clients=own,
            watchdog=watchdog,
            slots=threading.Semaphore(self._slots),
            closing=threading.Event(),
            lock=threading.RLock(),
        )
        tags = Tags()
        self._training = Training(self._fleet, tags, self._faults, self._check)
        self._tuning = Tuning(self._fleet, tags, self._training, self._check)
        self._endpoints = Endpoints(self._fleet, tags, self._check)
        undo.callback(self._end_all)
        self._operations = {
            **tags.operations(),
            **self._training.operations(),
            **self._tuning.operations(),
            **self._endpoints.operations(),
        }

    def _end_all(self) -> None:
        with self._fleet.lock:
            self._fleet.closing.set()
            jobs = list(self._training.jobs.values())
        self._tuning.close()
        self._endpoints.close()
        for job in jobs:
            job.thread.join()

    def client(self, service: str) -> Any:  # noqa: ANN401 (boto3's clients have no types)
        """A boto3 client of the rehearsal, whatever the environment says."""
        return self._client(service)

    def log(self, job: str) -> str:
        """What the containers of a job have written so far."""
        path = self.root / f"{job}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def fail_next(self, operation: str, code: str, message: str = "Rate exceeded", times: int = 1) -> None:
        """Refuse the next `times` calls of `operation` with this error, in any service.

        CapacityError is none of a call: the next CreateTrainingJob is taken, and the job fails for want of machines.
        """
        self._faults.add(operation, code, message, times)

    def reclaim_spot(self, job: str) -> None:
        """Take the spot machine away: SIGTERM to PID 1, checkpoints kept, Interrupted, Starting, and it runs again.

        Raises: ValueError, for a job on demand.
        """
        found = self._job(job)
        if not found.spot:
            raise ValueError(f"{job} is no spot job: it was created without EnableManagedSpotTraining=True")
        found.asked.reclaim.set()

    def lose_instance(self, job: str) -> None:
        """Let the machine die: what was not synced is lost; the job starts again where its RetryStrategy has tries."""
        self._job(job).asked.lose.set()

    def oom_kill(self, job: str) -> None:
        """Let the kernel kill PID 1, as it does when memory is short: AlgorithmError with exit code 137."""
        self._job(job).asked.kill.set()

    def wait(self, job: str, *states: str, seconds: float = 60) -> Json:
        """Describe a job until its status or its secondary status is one of `states` (none given: until it has ended).

        Times in the description are in seconds since 1970. Raises: TimeoutError, when that takes longer than `seconds`.
        """
        wanted, until = states or ENDED, time.monotonic() + seconds
        while True:
            said = self._job(job).describe()
            if said["TrainingJobStatus"] in wanted or said["SecondaryStatus"] in wanted:
                return said
            if time.monotonic() > until:
                where = f"{said['TrainingJobStatus']}/{said['SecondaryStatus']}"
                raise TimeoutError(
                    f"{job} was not {' or '.join(wanted)} within {seconds} s but {where}: {self.log(job)[-500:]}"
                )
            time.sleep(0.02)

    def _job(self, name: str) -> Job:
        return self._training.find({"TrainingJobName": name})

    def _client(self, service: str, **config: Any) -> Any:  # noqa: ANN401
        with self._one_at_a_time:  # sessions make clients for one thread at a time
            return self._session.client(
                service,
                endpoint_url=self.url,
                aws_access_key_id=_KEY,
                aws_secret_access_key=_KEY,
                config=Config(s3={"addressing_style": "path"}, proxies={}, **config),
            )

    def _check(self, operation: str, request: Json) -> None:
        check(self._model, operation, request)

    def _operate(self, operation: str) -> Callable[[Json], Json] | None:
        return self._operations.get(operation)

    def _invoke(self, *request: Any) -> Any:  # noqa: ANN401
        return self._endpoints.invoke(*request)
