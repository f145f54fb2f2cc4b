"""Built-in places where the winner is served."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from seedbed import DeployerSpec, Requires, hookimpl


@dataclass(frozen=True, slots=True)
class SagemakerOptions:
    """`role` (an ARN) is what the endpoint may do, `image` the container's: both are needed.

    `instances` of `instance_type` serve; or none do while nobody asks, where `memory_mb` (1024 to 6144) asks for
    serverless, with up to `concurrency` requests at a time. The bundle goes into `bucket`, by default the SDK's own
    one of the account and `region`. `minutes` is how long to wait for it, asking every `poll_seconds`.
    """

    role: str = ""
    image: str = ""
    instance_type: str = "ml.m5.large"
    instances: int = 1
    memory_mb: int = 0
    concurrency: int = 5
    bucket: str = ""
    region: str = ""
    minutes: float = 20.0
    poll_seconds: float = 5.0


@hookimpl
def register_deployers() -> Iterator[DeployerSpec]:
    """Offer the places."""
    yield DeployerSpec(
        name="sagemaker",
        summary="An endpoint of Amazon SageMaker: instances of your choice, or serverless.",
        build="seedbed.plugins.deployers.sagemaker:SagemakerDeployer",
        options=SagemakerOptions,
        requires=Requires(modules=("boto3", "sagemaker")),
    )
