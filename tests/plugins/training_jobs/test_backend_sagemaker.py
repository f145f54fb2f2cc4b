"""Trials as training jobs, through the real SDK and HTTP, by a service that runs them on this machine."""

import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from plugins.counting_runner import LOOKS, open_gates
from plugins.fake_runners import trial_job

from seedbed.core.protocols import Workplace
from seedbed.core.search.events import (
    TERMINAL,
    EpochFinished,
    TrialBilled,
    TrialFinished,
    TrialPlaced,
)
from seedbed.plugins.backends import SagemakerOptions

pytest.importorskip("sagemaker")
pytest.importorskip("moto")

from seedbed.plugins.backends.sagemaker.backend import SagemakerBackend
from seedbed.plugins.backends.sagemaker.rehearsal import Rehearsal

SECONDS = 90.0
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    environment = {
        "SEEDBED_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parents[1])]),
        "SEEDBED_PLUGINS": "",
    }
    root = tmp_path_factory.mktemp("service")
    with Rehearsal(root, image=lambda uri: [], slots=3, grace=20.0, environment=environment) as found:
        found.client("s3").create_bucket(Bucket="bucket")
        yield found


@pytest.fixture
def backend(service, tmp_path, monkeypatch):
    for name, value in service.env.items():
        monkeypatch.setenv(name, value)

    @contextmanager
    def opened(folder="run", **options):
        given = {
            "role": "arn:aws:iam::123456789012:role/Role",
            "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1",
            "bucket": "bucket",
            "runner": "counting_runner:run",
            "poll_seconds": 0.2,
        }
        place = Workplace(folder=tmp_path / folder, lookup=None, threads=1)
        with SagemakerBackend(SagemakerOptions(**given | options), place) as found:
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


def until(backend, kinds, events=None):
    """Poll until an event of these kinds comes; return all that came."""
    events, limit = [] if events is None else events, time.monotonic() + SECONDS
    while time.monotonic() < limit:
        events += backend.poll(0.2)
        if events and isinstance(events[-1], kinds):
            return events
    raise AssertionError(f"no {kinds} within {SECONDS} s: {events}")


def looks(events):
    return [each.epoch for each in events if isinstance(each, EpochFinished)]


def until_looks(backend, count, events):
    while len(looks(events)) < count:
        until(backend, EpochFinished, events)
    return events


def job_names(events):
    return [each.place for each in events if isinstance(each, TrialPlaced)]


def test_a_trial_is_a_job_of_its_own_and_its_files_are_home_before_its_end(service, backend, job, tmp_path):
    open_gates(tmp_path / "gate", range(LOOKS))
    with backend(tags="team=seeds") as found:
        found.submit(job())
        events = until(found, TERMINAL)
        assert found.idle()
    assert isinstance(events[-1], TrialFinished), events[-1]
    assert looks(events) == [1, 2, 3, 4, 5, 6]
    (name,) = job_names(events)
    told = service.client("sagemaker").describe_training_job(TrainingJobName=name)
    assert told["HyperParameters"]["do"] == "count"
    tags = service.client("sagemaker").list_tags(ResourceArn=told["TrainingJobArn"])["Tags"]
    assert {"Key": "team", "Value": "seeds"} in tags
    assert {"seedbed:study", "seedbed:trial", "seedbed:candidate"} <= {each["Key"] for each in tags}
    (bill,) = [each for each in events if isinstance(each, TrialBilled)]
    assert (bill.place, bill.seconds) == (name, float(told["BillableTimeInSeconds"]))
    folder = Path(job().folder)
    assert json.loads((folder / "state.json").read_text()) == ["what there is to learn"] * LOOKS
    assert "input/data" in (folder / "predictions.npz").read_text()


def test_code_and_data_travel_once_a_study(service, backend, job, tmp_path):
    open_gates(tmp_path / "gate", range(LOOKS))
    with backend() as found:
        for trial in (0, 1):
            found.submit(job(trial))
            until(found, TERMINAL)
            if trial == 0:
                before = uploads(service)
    assert before["seedbed.tar.gz"] == uploads(service)["seedbed.tar.gz"]
    assert before["data.txt"] == uploads(service)["data.txt"]


def uploads(service):
    """When each object was last written, by the last part of its key."""
    pages = service.client("s3").get_paginator("list_objects_v2").paginate(Bucket="bucket")
    return {each["Key"].rpartition("/")[2]: each["LastModified"] for page in pages for each in page.get("Contents", ())}
