"""Built-in backends: in this process, and in supervised worker processes on this machine, with or without GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from seedbed import BackendSpec, Requires, hookimpl


@dataclass(frozen=True)
class InlineOptions:
    """`runner` executes the jobs ("module:function"; another one is for tests and the conformance kit).

    Leaving waits `patience` seconds for a running job.
    """

    runner: str = "seedbed.core.work:run"
    patience: float = 5.0


@dataclass(frozen=True)
class LocalOptions:
    """Of worker processes; `runner` as for `inline`.

    In seconds: a job that was asked to stop has `patience` to do so, a worker process `start_seconds` to get ready;
    `mercy` lies between SIGTERM and SIGKILL, and a job that gives no sign of life for as long as `silence` is ended by
    force, time limit or not. `python` is the interpreter that workers run in, ours by default: one of
    an environment that has another torch, as XLA needs it. A GPU gets `per_gpu` workers at most; 0: as many as are
    found to do more work together. `gpus` says what GPUs there are ("module:function"; another one is for tests).
    """

    runner: str = "seedbed.core.work:run"
    patience: float = 5.0
    start_seconds: float = 180.0
    mercy: float = 2.0
    silence: float = 900.0
    python: str = ""
    per_gpu: int = 0
    gpus: str = "seedbed.plugins.backends.gpus:query"


@dataclass(frozen=True)
class RayOptions:
    """`address` is "" for a cluster of this machine alone, "auto" or host:port for one that runs already.

    A trial takes `gpus` of a node beside the processors for its threads; a part of one is bookkeeping and no limit,
    of two and more each computes a share of every batch. Ray keeps `memory_bytes` of a node for it; 0: it does not ask.
    In seconds: a trial that was asked to stop has `patience` to do so, and one that gives no sign of life for as long
    as `silence`, getting ready included, is ended by force. `retries` is how often a job goes on elsewhere after its
    worker or its node died. `runner` is as for `inline`.
    """

    address: str = ""
    gpus: float = 0.0
    memory_bytes: int = 0
    patience: float = 5.0
    silence: float = 900.0
    retries: int = 2
    runner: str = "seedbed.core.work:run"


@dataclass(frozen=True)
class SagemakerOptions:
    """`role`, `image` and `bucket` are needed: what the jobs may do, where they run, and where all of it lies.

    Up to `jobs` training jobs run at a time, each on one `instance_type` with a disk of `volume_gb`, on `spot` machines
    if asked, for which a job waits up to `spot_wait_hours`, or on machines that are kept warm for `keep_alive_seconds`.
    A job without a time limit of its own runs for `max_hours` at most. `retries` is how often a trial goes on as
    another job after its machine was lost. `install` has what Seedbed needs installed at each start. `tags` are
    KEY=VALUE, and these, `subnets` and `security_groups`, are lists with commas. `start_seconds` is how long a machine
    is expected to take to start, until one has. `remote` has one job do the whole study, which then is over
    `return_seconds` before the time is, for its way home. `rehearse` runs all of it on this machine. `runner` is as for
    `inline`.
    """

    role: str = ""
    image: str = ""
    bucket: str = ""
    prefix: str = "seedbed"
    region: str = ""
    instance_type: str = "ml.g5.xlarge"
    volume_gb: int = 30
    jobs: int = 2
    spot: bool = False
    spot_wait_hours: float = 12.0
    keep_alive_seconds: int = 0
    max_hours: float = 24.0
    retries: int = 2
    install: bool = False
    tags: str = ""
    subnets: str = ""
    security_groups: str = ""
    start_seconds: float = 240.0
    poll_seconds: float = 10.0
    remote: bool = False
    return_seconds: float = 90.0
    rehearse: bool = False
    runner: str = "seedbed.core.work:run"


@hookimpl
def register_backends() -> Iterator[BackendSpec]:
    """Offer the backends that need nothing but this machine."""
    yield BackendSpec(
        name="inline",
        summary="One job at a time in a thread of this process: for tests, debuggers and notebooks.",
        build="seedbed.plugins.backends.inline:InlineBackend",
        options=InlineOptions,
    )
    yield BackendSpec(
        name="local",
        summary="Supervised worker processes on this machine that stay warm between trials.",
        build="seedbed.plugins.backends.local:LocalBackend",
        options=LocalOptions,
    )
    yield BackendSpec(
        name="ray",
        summary="Tasks of a Ray cluster, which go on elsewhere when a node is gone.",
        build="seedbed.plugins.backends.ray_cluster.backend:RayBackend",
        options=RayOptions,
        requires=Requires(modules=("ray",)),
    )
    yield BackendSpec(
        name="sagemaker",
        summary="Training jobs of Amazon SageMaker, one a trial; or their rehearsal on this machine.",
        build="seedbed.plugins.backends.sagemaker.backend:SagemakerBackend",
        options=SagemakerOptions,
        requires=Requires(modules=("boto3", "sagemaker")),
    )
    yield BackendSpec(
        name="cuda",
        summary="As local, on NVIDIA GPUs or not at all: a trial on each, or several small ones side by side.",
        build="seedbed.plugins.backends.local:CudaBackend",
        options=LocalOptions,
    )
