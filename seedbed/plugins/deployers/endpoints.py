"""What an account of SageMaker has of an endpoint: looked up, made and deleted through the typed resources of the SDK.

An endpoint NAME has a model and a configuration, both named NAME-HASH, its version; so everything that belongs to a
name is found by it, and what others have made is never touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedbed.plugins.amazon.account import Account
from seedbed.plugins.deployers import SagemakerOptions
from seedbed.plugins.deployers.account import is_missing

TAG = "seedbed:deployment"

_LINES = 20  # of a container's log
_VARIANT = "all"


def is_version(name: str, found: object) -> bool:
    """Whether a configuration or a model is one that Seedbed made for the endpoint `name`."""
    return re.fullmatch(f"{re.escape(name)}-[0-9a-f]{{12}}", str(found)) is not None


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints of an account; whatever the service refuses is raised as botocore has it, unless it says else."""

    account: Account

    @property
    def _own(self) -> dict[str, Any]:
        return {"session": self.account.session, "region": self.account.region}

    def archive(self, version: str) -> str:
        """Return where the archive of a version lies."""
        return f"s3://{self.account.bucket}/seedbed/deployments/{version}/model.tar.gz"

    def find(self, name: str) -> Any | None:  # noqa: ANN401 - the SDK is imported late
        """Return an endpoint, None where there is none."""
        from botocore.exceptions import ClientError
        from sagemaker.core.resources import Endpoint

        try:
            return Endpoint.get(name, **self._own)
        except ClientError as error:
            if is_missing(error):
                return None
            raise

    def versions(self, name: str) -> set[str]:
        """Return the versions of a name of which there is a configuration or a model."""
        from sagemaker.core.resources import EndpointConfig, Model

        configs = EndpointConfig.get_all(name_contains=f"{name}-", **self._own)
        models = Model.get_all(name_contains=f"{name}-", **self._own)
        found = [each.endpoint_config_name for each in configs]
        found += [each.model_name for each in models]
        return {str(each) for each in found if is_version(name, each)}

    def make(self, name: str, version: str, archive: Path, options: SagemakerOptions) -> None:
        """Upload an archive, and make the model and the configuration of a version."""
        from sagemaker.core.resources import Model
        from sagemaker.core.shapes import ContainerDefinition, Tag

        bucket, key = _place(self.archive(version))
        self.account.client("s3").upload_file(str(archive), bucket, key)
        Model.create(
            model_name=version,
            execution_role_arn=options.role,
            primary_container=ContainerDefinition(image=options.image, model_data_url=self.archive(version)),
            tags=[Tag(key=TAG, value=name)],
            **self._own,
        )
        # Not EndpointConfig.create: the SDK (3.27) writes "MemorySizeInMb", which the service does not know.
        self.account.client("sagemaker").create_endpoint_config(
            EndpointConfigName=version,
            ProductionVariants=[_variant(version, options)],
            Tags=[{"Key": TAG, "Value": name}],
        )

    def start(self, name: str, version: str) -> None:
        """Have an endpoint made of a version."""
        from sagemaker.core.resources import Endpoint
        from sagemaker.core.shapes import Tag

        Endpoint.create(endpoint_name=name, endpoint_config_name=version, tags=[Tag(key=TAG, value=name)], **self._own)

    def log(self, name: str) -> list[str]:
        """Return the last lines that the containers of an endpoint wrote; what forbids that, where it is forbidden."""
        from botocore.exceptions import ClientError

        logs, group = self.account.client("logs"), f"/aws/sagemaker/Endpoints/{name}"
        try:
            found = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True, limit=1)
            if not found["logStreams"]:
                return []
            stream = found["logStreams"][0]["logStreamName"]
            events = logs.get_log_events(logGroupName=group, logStreamName=stream, limit=_LINES, startFromHead=False)
        except ClientError as error:
            return [] if is_missing(error) else [f"(the log cannot be read: {error})"]
        return [str(each["message"]).rstrip() for each in events["events"]][-_LINES:]

    def drop(self, name: str) -> list[str]:
        """Have an endpoint deleted; return it where that failed, and why."""
        from sagemaker.core.resources import Endpoint

        return _tried(
            f"the endpoint {name}, which goes on being billed", lambda: Endpoint.get(name, **self._own).delete()
        )

    def drop_versions(self, versions: Iterable[str]) -> list[str]:
        """Delete configurations, models and archives; return what could not be deleted, and why."""
        left = []
        for version in sorted(versions):
            left += self._drop_version(version)
        return left

    def _drop_version(self, version: str) -> list[str]:
        from sagemaker.core.resources import EndpointConfig, Model

        archives = {self.archive(version)}

        def delete_model() -> None:
            found = Model.get(version, **self._own)
            if isinstance(found.primary_container.model_data_url, str):  # the bucket of then may be another one
                archives.add(found.primary_container.model_data_url)
            found.delete()

        def delete_archives() -> None:
            for each in sorted(archives):
                bucket, key = _place(each)
                self.account.client("s3").delete_object(Bucket=bucket, Key=key)

        return [
            *_tried(f"the configuration {version}", lambda: EndpointConfig.get(version, **self._own).delete()),
            *_tried(f"the model {version}", delete_model),
            *_tried(f"the archive {self.archive(version)}", delete_archives),
        ]


def _tried(what: str, delete: Callable[[], object]) -> list[str]:
    """Delete something, unless it is gone already; return it with the reason where that failed."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        delete()
    except (BotoCoreError, ClientError) as error:
        if not is_missing(error):
            return [f"{what} ({error})"]
    return []


def _place(address: str) -> tuple[str, str]:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bucket, key


def _variant(version: str, options: SagemakerOptions) -> dict[str, Any]:
    """Return what serves, in the words of the service."""
    named = {"VariantName": _VARIANT, "ModelName": version}
    if options.memory_mb:
        return named | {
            "ServerlessConfig": {"MemorySizeInMB": options.memory_mb, "MaxConcurrency": options.concurrency}
        }
    return named | {"InstanceType": options.instance_type, "InitialInstanceCount": options.instances}
