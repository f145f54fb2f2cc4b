"""A bundle as an endpoint of Amazon SageMaker, and its removal."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from seedbed.core.deployment import Deployment
from seedbed.core.errors import DeploymentError, SeedbedError, UsageError
from seedbed.plugins.deployers import SagemakerOptions
from seedbed.plugins.deployers.account import open_account, translated
from seedbed.plugins.deployers.archive import pack
from seedbed.plugins.deployers.endpoints import Endpoints, is_version

PLACE = "sagemaker"
READY, GONE = "InService", "gone"
BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")

_NAME = re.compile(r"[a-zA-Z0-9](-?[a-zA-Z0-9]){0,49}")  # the service takes 63; a hash is to fit behind it


class SagemakerDeployer:
    """Deploys, asks and removes endpoints; see `core/deployment.Deployer`."""

    def __init__(self, options: SagemakerOptions, report: Callable[[str], None], *, is_rehearsal: bool = False) -> None:
        self.options = options
        self.report = report
        self._is_rehearsal = is_rehearsal

    @cached_property
    def endpoints(self) -> Endpoints:
        """The account's endpoints; it is opened when it is first needed."""
        return Endpoints(open_account(self.options.region, self.options.bucket))

    def deploy(self, bundle: Path, name: str) -> Deployment:
        """Bring a bundle to an endpoint, and wait until it answers."""
        _check_name(name)
        _check_options(self.options)
        with (
            tempfile.TemporaryDirectory(prefix="seedbed-") as folder,
            translated(f"The endpoint {name} cannot be deployed"),
        ):
            archive = Path(folder) / "model.tar.gz"
            version = f"{name}-{self._hash(pack(bundle, archive))}"
            before = self._settled(name)
            if before is not None and before.endpoint_status != READY:
                self.report(f"{name} is {before.endpoint_status}: it is removed, and made anew.")
                self.remove(name)
                before = None
            if before is not None and before.endpoint_config_name == version:
                self.report(f"{name} serves this very bundle already; nothing is changed.")
                return self._told(before)
            return self._bring(name, version, archive, before)

    def status(self, name: str) -> Deployment | None:
        """Return what there is under this name."""
        _check_name(name)
        with translated(f"The endpoint {name} cannot be looked up"):
            found = self.endpoints.find(name)
        return None if found is None else self._told(found)

    def ask(self, name: str, body: bytes, content_type: str) -> bytes:
        """Ask the endpoint for predictions."""
        with translated(f"The endpoint {name} did not answer"):
            runtime = self.endpoints.account.client("sagemaker-runtime")
            found = runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType=content_type)
            answer: bytes = found["Body"].read()
            return answer

    def remove(self, name: str) -> None:
        """Remove the endpoint, and every configuration, model and archive of its name."""
        _check_name(name)
        with translated(f"The endpoint {name} cannot be removed"):
            endpoint, versions = self.endpoints.find(name), self.endpoints.versions(name)
            if endpoint is not None and not is_version(name, endpoint.endpoint_config_name):
                raise UsageError(f"The endpoint {name!r} was not made by Seedbed, and is left as it is.")
            if endpoint is None and not versions:
                where = self.endpoints.account.region
                raise UsageError(f"There is no endpoint {name!r} of Seedbed's in {where}; is it another --set region?")
            left = self._taken_back(name, versions)
        if left:
            raise DeploymentError(f"Left behind, and to be removed by hand: {'; '.join(left)}.")
        self.report(f"{name} is removed, with configuration, model and archive: nothing of it is left, or billed.")

    @contextlib.contextmanager
    def rehearsing(self) -> Iterator[SagemakerDeployer]:
        """Give a deployer to a place on this machine that behaves as the service does."""
        from seedbed.plugins.deployers.rehearsing import rehearsed

        with rehearsed(self.options) as options:
            yield SagemakerDeployer(options, self.report, is_rehearsal=True)

    def _bring(self, name: str, version: str, archive: Path, before: Any | None) -> Deployment:  # noqa: ANN401
        """Make what an endpoint needs, then the endpoint; what fails is taken back."""
        endpoints, began = self.endpoints, time.monotonic()
        old = endpoints.versions(name)
        endpoints.drop_versions(old & {version})  # of an attempt that was cut short
        try:
            self.report(f"The bundle ({archive.stat().st_size / 1e6:.1f} MB) goes to {endpoints.archive(version)}.")
            endpoints.make(name, version, archive, self.options)
            if before is None:
                endpoints.start(name, version)
            else:
                before.endpoint_config_name = version
                before.update()
            found = self._waited(name)
            if found is None or found.endpoint_status != READY or found.endpoint_config_name != version:
                raise self._failure(name, found)
        except BaseException:  # Ctrl-C too: what is left running is billed
            self.report("That failed; what was made for it is being removed.")
            if left := self._undone(name, version) if before is not None else self._taken_back(name, {version}):
                self.report(f"Left behind, and to be removed by hand: {'; '.join(left)}.")
            raise
        told = self._told(found)
        self.report(f"{name} answers after {time.monotonic() - began:.0f} s. {told.cost}")
        if left := endpoints.drop_versions(old - {version}):
            self.report(f"Of what it served before this is left behind: {'; '.join(left)}.")
        return told

    def _taken_back(self, name: str, versions: set[str]) -> list[str]:
        """Delete an endpoint and these versions; return what is left, and why.

        An endpoint that cannot be deleted keeps its versions: without a configuration nobody sees what it costs.
        """
        return self._gone(name) or self.endpoints.drop_versions(versions)

    def _undone(self, name: str, version: str) -> list[str]:
        """Delete the version to which an endpoint was to be updated, once it is not in use; return what is left."""
        try:
            with translated("it cannot be looked up"):
                found = self._waited(name)
        except SeedbedError as error:
            return [f"the model, configuration and archive {version}, which may be in use ({error})"]
        if found is None or found.endpoint_config_name != version:
            return self.endpoints.drop_versions({version})
        self.report(f"The update of {name} had gone through by then: it serves the new bundle, and goes on with it.")
        return []

    def _gone(self, name: str) -> list[str]:
        """Delete an endpoint, once the service lets it be deleted: one that is being made has to be waited for."""
        try:
            with translated("it cannot be looked up"):
                if left := self.endpoints.drop(name):
                    if self._waited(name) is None:
                        return []
                    left = self.endpoints.drop(name)
                if not left and self._waited(name) is not None:
                    return [f"the endpoint {name}, which is not gone although it was deleted"]
        except SeedbedError as error:
            return [f"the endpoint {name}, which goes on being billed ({error})"]
        return left

    def _settled(self, name: str) -> Any | None:  # noqa: ANN401 - the SDK is imported late
        """Return the endpoint of a name, once nothing is being done to it."""
        found = self.endpoints.find(name)
        if found is not None and not is_version(name, found.endpoint_config_name):
            raise UsageError(f"There is an endpoint {name!r} that Seedbed did not make; give another --name.")
        return found if found is None else self._waited(name)

    def _waited(self, name: str) -> Any | None:  # noqa: ANN401 - the SDK is imported late
        """Wait until an endpoint is in a state that lasts, and tell of each on the way; None once it is gone."""
        told, limit = "", time.monotonic() + 60 * self.options.minutes
        while True:
            found = self.endpoints.find(name)
            state = GONE if found is None else str(found.endpoint_status)
            if state not in BUSY:
                return found
            if state != told:
                self.report(f"{name} is {state} …")
                told = state
            if time.monotonic() > limit:
                raise DeploymentError(
                    f"{name} was still {state} after {self.options.minutes:g} minutes; --set minutes=60 waits longer."
                )
            time.sleep(self.options.poll_seconds)

    def _failure(self, name: str, found: Any | None) -> DeploymentError:  # noqa: ANN401 - the SDK is imported late
        reason = getattr(found, "failure_reason", None)
        why = reason.rstrip(".") if isinstance(reason, str) else "the service gives no reason"
        lines = self.endpoints.log(name)
        said = "\n".join(("\nThe last lines of its container:", *lines)) if lines else " Its container logged nothing."
        return DeploymentError(f"{name} did not come into service: {why}.{said}")

    def _told(self, found: Any) -> Deployment:  # noqa: ANN401 - the SDK is imported late
        name, reason = str(found.endpoint_name), getattr(found, "failure_reason", None)
        how = "by the seconds that requests take" if self.options.memory_mb else "whether it is asked or not"
        cost = f"It is billed, {how}, until `seedbed undeploy {name} --from {PLACE}`."
        return Deployment(
            name=name,
            place=f"{PLACE} in {self.endpoints.account.region}",
            state=str(found.endpoint_status),
            is_ready=found.endpoint_status == READY,
            bundle=str(found.endpoint_config_name).rpartition("-")[2],
            cost=f"In earnest: {cost[0].lower()}{cost[1:]}" if self._is_rehearsal else cost,
            detail=reason if isinstance(reason, str) else "",
        )

    def _hash(self, digest: str) -> str:
        """Name everything that a deployment is made of, in 12 hex digits."""
        own = self.options
        runs_on = (own.memory_mb, own.concurrency) if own.memory_mb else (own.instance_type, own.instances)
        parts = json.dumps([digest, own.image, own.role, self.endpoints.account.bucket, *runs_on])
        return hashlib.sha256(parts.encode()).hexdigest()[:12]


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for an endpoint: letters, digits and single hyphens within, at most 50.")


def _check_options(options: SagemakerOptions) -> None:
    if not options.role:
        raise UsageError("An endpoint needs a role; give --set role=arn:aws:iam::NUMBER:role/NAME.")
    if not options.image:
        raise UsageError(
            "An endpoint needs an image with Seedbed (docs/deploy.md makes one); give --set image=ADDRESS."
        )
    if options.memory_mb and options.memory_mb not in range(1024, 6145, 1024):
        raise UsageError(f"memory_mb is {options.memory_mb}; serverless endpoints have 1024, 2048 … 6144.")
    if options.instances < 1:
        raise UsageError(f"instances is {options.instances}; the least is 1.")
