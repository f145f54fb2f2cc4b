"""An account: its session, its clients, and a bucket. Nothing of its credentials is logged."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedbed.core.errors import PluginError, SeedbedError, UsageError

_CONFIG = "SAGEMAKER_USER_CONFIG_OVERRIDE"
_RETRIES = {"max_attempts": 10, "mode": "adaptive"}
"""Throttled calls are tried again with growing pauses, and the pace of all falls: several runs may share an account."""

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "ExpiredToken"})
"""What a service says to credentials that may not do what they ask for."""

_NO_CREDENTIALS = "No AWS credentials are found; run `aws configure`, or set AWS_PROFILE."


@dataclass(frozen=True, slots=True)
class Account:
    """A session of boto3, and where in which bucket things are kept."""

    session: Any
    bucket: str
    prefix: str = "seedbed"

    @property
    def region(self) -> str:
        """The region, as `eu-west-1`."""
        return str(self.session.region_name)

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients while it runs
        """Return a client of a service; clients may be shared between threads, sessions may not."""
        from botocore.config import Config

        return self.session.client(service, config=Config(retries=_RETRIES))

    def uri(self, *parts: str) -> str:
        """Return the address of something below the prefix."""
        return f"s3://{self.bucket}/{self.key(*parts)}"

    def key(self, *parts: str) -> str:
        """Return the key of something below the prefix."""
        return "/".join(each for each in (self.prefix.strip("/"), *parts) if each)


def open_session(region: str, option: str) -> Any:  # noqa: ANN401 - boto3 is imported late
    """Return a session of the credentials that boto3 finds; `option` is how the user may name the region.

    Raises:
        UsageError: there is no region, or there are no credentials.
    """
    import boto3

    session = boto3.Session(region_name=region or None)
    if session.region_name is None:
        raise UsageError(f"No AWS region is known; give --set {option}=eu-west-1, or run `aws configure`.")
    if session.get_credentials() is None:
        raise UsageError(_NO_CREDENTIALS)
    return session


@contextlib.contextmanager
def opened(bucket: str, prefix: str, *, region: str = "", given: Mapping[str, str] | None = None) -> Iterator[Account]:
    """Give the account of the credentials that boto3 finds, or of the environment variables that are `given`.

    Raises:
        UsageError: there is no region, or there are no credentials.
        PluginError: the bucket cannot be used.
    """
    with environment(given or {}), quiet():
        account = Account(open_session(region, "backend.sagemaker.region"), bucket, prefix)
        if not bucket:
            raise UsageError(
                "The data has to lie in a bucket that the training jobs can read; "
                "give --set backend.sagemaker.bucket=NAME."
            )
        with explained(f"The bucket {bucket} cannot be used"):
            account.client("s3").head_bucket(Bucket=bucket)
        yield account


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the SDK's telemetry off, unless the user has a configuration of his own for it, and its chatter too."""
    logging.getLogger("sagemaker").setLevel(logging.WARNING)  # it tells of each call on a console of its own
    own = os.environ.get(_CONFIG, str(Path(__file__).with_name("sdk.yaml")))
    with environment({_CONFIG: own}):
        yield


@contextlib.contextmanager
def environment(given: Mapping[str, str]) -> Iterator[None]:
    """Have these variables in this process's environment meanwhile: that is where the SDK looks."""
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def code_of(error: BaseException) -> str:
    """Return the code of what a service refused, "" for any other error."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


@contextlib.contextmanager
def explained(what: str, raising: type[SeedbedError] = PluginError) -> Iterator[None]:
    """Turn what boto and the SDK raise within into an error of ours, which begins with `what`."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
    from pydantic import ValidationError

    try:
        yield
    except NoCredentialsError as error:
        raise UsageError(_NO_CREDENTIALS) from error
    except ClientError as error:
        told = error.response.get("Error", {})
        way = "; the credentials may not do that" if code_of(error) in DENIED else ""
        raise raising(f"{what}: {told.get('Code', '')}: {told.get('Message', error)}{way}.") from error
    except Boto3Error as error:  # of a transfer, around what the service said
        cause = error.__cause__ or error.__context__ or error
        way = "; the credentials may not do that" if code_of(cause) in DENIED else ""
        raise raising(f"{what}: {error}{way}.") from cause
    except (BotoCoreError, ValidationError) as error:
        raise raising(f"{what}: {error}.") from error
