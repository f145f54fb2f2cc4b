"""The service on this machine, for a run that only rehearses: the same requests, the same container, no bill."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from seedbed.plugins.amazon.rehearsal import Rehearsal
from seedbed.plugins.backends import SagemakerOptions, processes

log = logging.getLogger(__name__)

BUCKET = "rehearsal"
_ROLE = "arn:aws:iam::123456789012:role/rehearsal"
_IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/rehearsal:latest"


@contextlib.contextmanager
def opened(folder: Path, *, jobs: int) -> Iterator[Rehearsal]:
    """Give a rehearsal whose containers run this interpreter, with a bucket in it."""
    log.info("This is a rehearsal: jobs run on this machine as Amazon SageMaker would run them, and nothing is paid.")
    environment = {"SEEDBED_PYTHON": sys.executable, "PYTHONPATH": ":".join(processes.import_path())}
    with Rehearsal(folder, image=image, slots=jobs, environment=environment) as found:
        found.client("s3").create_bucket(Bucket=BUCKET)
        yield found


def image(uri: str) -> list[str]:
    """Return what the image of the rehearsal begins with, whatever it is called."""
    return [sys.executable, "-m", "seedbed.container"]


def settled(options: SagemakerOptions) -> SagemakerOptions:
    """Return the options with what an account would have to give, and none of its pauses."""
    return replace(
        options,
        role=options.role or _ROLE,
        image=options.image or _IMAGE,
        bucket=BUCKET,
        region="us-east-1",
        poll_seconds=min(options.poll_seconds, 0.2),
        start_seconds=min(options.start_seconds, 5.0),
        return_seconds=min(options.return_seconds, 5.0),
    )
