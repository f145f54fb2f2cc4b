"""A service that runs training jobs on this machine, a backend that uses it, and jobs that wait for the test."""

import os
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from plugins.fake_runners import trial_job

from seedbed.core.protocols import Workplace
from seedbed.plugins.backends import SagemakerOptions

TESTS = Path(__file__).parents[2]
OPTIONS = {
    "role": "arn:aws:iam::123456789012:role/Role",
    "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1",
    "bucket": "bucket",
    "runner": "plugins.counting_runner:run",
    "poll_seconds": 0.2,
}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    from seedbed.plugins.amazon.rehearsal import Rehearsal

    root = tmp_path_factory.mktemp("service")
    environment = {
        "SEEDBED_TEST_BREAKS": str(root / "breaks"),  # gated.py looks for it
        "SEEDBED_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]),
        "SEEDBED_PLUGINS": "",
    }
    with Rehearsal(root, image=lambda uri: [], slots=3, grace=20.0, environment=environment) as found:
        found.client("s3").create_bucket(Bucket="bucket")
        yield found


@pytest.fixture
def backend(service, tmp_path, monkeypatch):
    for name, value in service.env.items():
        monkeypatch.setenv(name, value)

    @contextmanager
    def opened(folder="run", **options):
        from seedbed.plugins.backends.sagemaker.backend import SagemakerBackend

        place = Workplace(folder=tmp_path / folder, lookup=None, threads=1)
        with SagemakerBackend(SagemakerOptions(**OPTIONS | options), place) as found:
            yield found

    return opened


@pytest.fixture
def job(tmp_path):
    (tmp_path / "data.txt").write_text("what there is to learn")
    (tmp_path / "gate").mkdir()

    def made(trial=0, **changes):
        found = trial_job(trial, "count", gate=str(tmp_path / "gate"))
        folder = str(tmp_path / "run" / "trials" / str(trial))
        return replace(found, data=str(tmp_path / "data.txt"), splits="", folder=folder, **changes)

    return made
