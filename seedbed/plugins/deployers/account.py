"""The account in which an endpoint lies, and where archives go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from seedbed.core.errors import DeploymentError
from seedbed.plugins.amazon.account import Account, explained, open_session, quiet

_MISSING = ("could not find", "does not exist", "not found", "no such")
_NOWHERE = frozenset({"404", "NoSuchBucket", "NoSuchKey", "ResourceNotFoundException"})


def open_account(region: str, bucket: str) -> Account:
    """Open the account of the credentials that boto3 finds; without a bucket, the SDK's own, which is made.

    Raises:
        UsageError: there is no region, or there are no credentials.
    """
    session = open_session(region, "region")
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
    """Use the SDK, with its telemetry off; what it and the services raise becomes an error that begins with `what`."""
    with quiet(), explained(what, DeploymentError):
        yield
