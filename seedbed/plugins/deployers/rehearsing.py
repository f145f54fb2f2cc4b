"""The service on this machine, for a deployment that costs nothing: the same calls, the same container, no account."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from seedbed.plugins.amazon.account import environment
from seedbed.plugins.amazon.rehearsal import Rehearsal
from seedbed.plugins.deployers import SagemakerOptions
from seedbed.plugins.deployers.account import make_bucket, open_account

IMAGE, ROLE, BUCKET = "rehearsal:latest", "arn:aws:iam::123456789012:role/rehearsal", "seedbed-rehearsal"

_CONTAINER = (sys.executable, "-m", "seedbed.container")
_POLL_SECONDS = 0.2


@contextmanager
def rehearsed(options: SagemakerOptions) -> Iterator[SagemakerOptions]:
    """Open the service here; give the options with which a deployment goes there, and nowhere else.

    While it is open the environment of this process names it: that is where the SDK looks for services.
    """
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH"))))
    with (
        tempfile.TemporaryDirectory(prefix="seedbed-") as folder,
        Rehearsal(Path(folder), image=lambda uri: list(_CONTAINER), environment={"PYTHONPATH": path}) as opened,
        environment(opened.env),
    ):
        bucket = options.bucket or BUCKET
        make_bucket(open_account(options.region, bucket))
        yield replace(
            options,
            bucket=bucket,
            role=options.role or ROLE,
            image=options.image or IMAGE,
            poll_seconds=min(options.poll_seconds, _POLL_SECONDS),
        )
