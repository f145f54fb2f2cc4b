"""The account in which an endpoint lies: its session, its clients, and where archives go. Nothing of it is logged."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seedbed.core.errors import DeploymentError, UsageError

if TYPE_CHECKING:
    import boto3

_MISSING = ("could not find", "does not exist", "not found", "no such")
_NOWHERE = frozenset({"404", "NoSuchBucket", "NoSuchKey", "ResourceNotFoundException"})


@dataclass(frozen=True, slots=True)
class Account:
    """A session of boto3, and the bucket for archives."""

    session: boto3.Session
    bucket: str

    @property
    def region(self) -> str:
        """The region, as `eu-west-1`."""
        return str(self.session.region_name)

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients while it runs
        """Return a client of a service."""
        return self.session.client(service)


def open_account(region: str, bucket: str) -> Account:
    """Open the account of the credentials that boto3 finds; without a bucket, the SDK's own, which is made.

    Raises:
        UsageError: there is no region, or there are no credentials.
    """
    import boto3

    logging.getLogger("sagemaker").setLevel(logging.WARNING)  # the SDK tells of each call on a console of its own
    session = boto3.Session(region_name=region or None)
    if session.region_name is None:
        raise UsageError("No AWS region is known; give --set region=eu-west-1, or `aws configure`.")
    if bucket:
        return Account(session, bucket)
    with translated("The account cannot be asked for its number"):
        number = session.client("sts").get_caller_identity()["Account"]
    account = Account(session, f"sagemaker-{session.region_name}-{number}")
    make_bucket(account)
    return account


def make_bucket(account: Account) -> None:
    """Make the bucket of an account, where it is not there."""
    from botocore.exceptions import ClientError

    store = account.client("s3")
    try:
        store.head_bucket(Bucket=account.bucket)
    except ClientError as error:
        if not is_missing(error):
            raise DeploymentError(f"The bucket {account.bucket} cannot be used: {error}") from error
        where = {} if account.region == "us-east-1" else {"LocationConstraint": account.region}
        store.create_bucket(Bucket=account.bucket, **({"CreateBucketConfiguration": where} if where else {}))


def is_missing(error: Exception) -> bool:
    """Whether the service says that there is no such thing."""
    told = getattr(error, "response", {}).get("Error", {})
    return told.get("Code") in _NOWHERE or any(each in str(told.get("Message", "")).lower() for each in _MISSING)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn what the services and the SDK raise within into an error of ours, which begins with `what`."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
    from pydantic import ValidationError

    try:
        yield
    except NoCredentialsError as error:
        raise UsageError("No AWS credentials are found; `aws configure`, or set AWS_PROFILE.") from error
    except ClientError as error:
        told = error.response.get("Error", {})
        raise DeploymentError(f"{what}: {told.get('Code', '')}: {told.get('Message', error)}") from error
    except (BotoCoreError, ValidationError) as error:
        raise DeploymentError(f"{what}: {error}") from error
