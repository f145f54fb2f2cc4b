"""The service on this machine, for a deployment that costs nothing: the same calls, the same container, no account."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name

from seedbed.plugins.deployers import SagemakerOptions
from seedbed.plugins.deployers.account import make_bucket, open_account

IMAGE, ROLE, BUCKET = "rehearsal:latest", "arn:aws:iam::123456789012:role/rehearsal", "seedbed-rehearsal"

_EMULATOR = "seedbed.plugins.backends.sagemaker.rehearsal:Rehearsal"  # of another kind's folder: found by its name
_CONTAINER = (sys.executable, "-m", "seedbed.container")
_POLL_SECONDS = 0.2


@contextmanager
def rehearsed(options: SagemakerOptions) -> Iterator[SagemakerOptions]:
    """Open the service here; give the options with which a deployment goes there, and nowhere else.

    While it is open the environment of this process names it: that is where the SDK looks for services.
    """
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH"))))
    emulator = resolve_name(_EMULATOR)
    with (
        tempfile.TemporaryDirectory(prefix="seedbed-") as folder,
        emulator(Path(folder), image=lambda uri: list(_CONTAINER), environment={"PYTHONPATH": path}) as opened,
        _environment(opened.env),
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


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
