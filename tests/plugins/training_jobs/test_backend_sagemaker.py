"""Trials as training jobs, through the real SDK and HTTP, by a service that runs them on this machine."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError
from plugins.counting_runner import LOOKS, open_gates
from plugins.fake_runners import trial_job
from plugins.following import SECONDS, job_names, looks, until, until_looks

from seedbed.core.errors import PluginError, UsageError
from seedbed.core.search.events import TERMINAL, TrialBilled, TrialFailed, TrialFinished, TrialPlaced, TrialStopped
from seedbed.plugins.amazon.account import explained


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


def test_a_spot_machine_that_is_taken_away_costs_nothing_that_was_done(service, backend, job, tmp_path):
    open_gates(tmp_path / "gate", [0, 1])
    with backend(spot=True) as found:
        found.submit(job())
        events = until_looks(found, 2, [])
        (name,) = job_names(events)
        service.reclaim_spot(name)
        until_begun_again(service, name)
        open_gates(tmp_path / "gate", range(LOOKS))
        until(found, TERMINAL, events)
    assert isinstance(events[-1], TrialFinished), events[-1]
    assert looks(events) == [1, 2, 3, 4, 5, 6]  # no look was done twice
    assert job_names(events) == [name]


def test_a_machine_that_is_lost_is_replaced_and_the_trial_goes_on(service, backend, job, tmp_path):
    open_gates(tmp_path / "gate", [0, 1])
    with backend() as found:
        found.submit(job())
        events = until_looks(found, 2, [])
        until_kept(service, job_names(events)[0], 2)
        service.lose_instance(job_names(events)[0])
        until_begun_again(service, job_names(events)[0])
        open_gates(tmp_path / "gate", range(LOOKS))
        until(found, TERMINAL, events)
    assert isinstance(events[-1], TrialFinished), events[-1]
    assert looks(events) == [1, 2, 3, 4, 5, 6]


def until_begun_again(service, name):
    """Wait until the container of a job runs for the second time."""
    limit = time.monotonic() + SECONDS
    while "Attempt 2 of" not in service.log(name):
        assert time.monotonic() < limit, service.log(name)
        time.sleep(0.05)


def until_kept(service, name, count):
    """Wait until the bucket has a job's state after so many looks."""
    uri = service.client("sagemaker").describe_training_job(TrainingJobName=name)["CheckpointConfig"]["S3Uri"]
    key, limit = f"{uri.removeprefix('s3://bucket/').rstrip('/')}/trial/state.json", time.monotonic() + SECONDS
    while time.monotonic() < limit:
        try:
            body = service.client("s3").get_object(Bucket="bucket", Key=key)["Body"].read()
        except service.client("s3").exceptions.NoSuchKey:
            body = b"[]"
        if len(json.loads(body)) >= count:
            return
    raise AssertionError(f"{key} was not kept")


def test_a_throttled_service_is_asked_again(service, backend, job, tmp_path):
    open_gates(tmp_path / "gate", range(LOOKS))
    with backend() as found:
        for operation in ("CreateTrainingJob", "DescribeTrainingJob", "GetLogEvents"):
            service.fail_next(operation, "ThrottlingException", "Rate exceeded", times=3)
        found.submit(job())
        events = until(found, TERMINAL)
    assert isinstance(events[-1], TrialFinished), events[-1]
    assert len(job_names(events)) == 1


def test_a_job_that_cannot_be_followed_is_ended(service, backend, job, tmp_path):
    with backend() as found:
        found.submit(job())
        placed = until(found, TrialPlaced)[-1]
        service.fail_next("DescribeTrainingJob", "AccessDeniedException", "You may not look")
        assert "You may not look" in until(found, TERMINAL)[-1].error
        told = service.client("sagemaker").describe_training_job(TrainingJobName=placed.place)
        assert told["TrainingJobStatus"] != "InProgress"


def upload():
    """Raise what boto3 makes of a refusal while it transfers a file."""
    try:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no s3:PutObject"}}, "PutObject")
    except ClientError as error:
        raise S3UploadFailedError(f"Failed to upload: {error}")  # noqa: B904 - as boto3 does


def test_an_upload_that_is_refused_is_explained():
    words = r"^It cannot be sent: Failed to upload: .*no s3:PutObject; the credentials may not do that\.$"
    with pytest.raises(PluginError, match=words), explained("It cannot be sent"):
        upload()


def test_a_machine_that_cannot_be_had_is_asked_for_until_there_is_one(service, backend, job, tmp_path, caplog):
    open_gates(tmp_path / "gate", range(LOOKS))
    with backend() as found:
        service.fail_next("CreateTrainingJob", "ResourceLimitExceeded", "The account-level limit is 0", times=2)
        found.submit(job())
        events = until(found, TERMINAL)
    assert isinstance(events[-1], TrialFinished), events[-1]
    assert [each.getMessage() for each in caplog.records if "No machine for trial 0 yet" in each.getMessage()]


def test_a_job_that_fails_for_want_of_machines_is_followed_by_another(service, backend, job, tmp_path):
    open_gates(tmp_path / "gate", range(LOOKS))
    with backend() as found:
        service.fail_next("CreateTrainingJob", "CapacityError", "Unable to provision requested ML compute capacity")
        found.submit(job())
        events = until(found, TERMINAL)
    assert isinstance(events[-1], TrialFinished), events[-1]
    first, second = job_names(events)
    assert first.endswith("-0000-1")
    assert second.endswith("-0000-2")


def test_what_runs_over_its_time_is_stopped_and_keeps_what_it_has(service, backend, job, tmp_path, monkeypatch):
    monkeypatch.setattr("seedbed.plugins.backends.sagemaker.follower.seconds_of", lambda *_: 3)
    open_gates(tmp_path / "gate", [0])
    with backend() as found:
        found.submit(job())
        events = until(found, TERMINAL)
    assert isinstance(events[-1], TrialStopped), events[-1]
    assert "MaxRuntimeExceeded" in events[-1].reason
    assert len(json.loads((Path(job().folder) / "state.json").read_text())) == 1


def test_a_container_that_is_killed_for_memory_fails_its_trial_with_the_way_out(service, backend, job, tmp_path):
    open_gates(tmp_path / "gate", [0])
    with backend() as found:
        found.submit(job())
        events = until_looks(found, 1, [])
        service.oom_kill(job_names(events)[0])
        until(found, TERMINAL, events)
    assert isinstance(events[-1], TrialFailed)
    assert "run out of memory; choose a larger instance_type" in events[-1].error
    assert len(job_names(events)) == 1  # it would be killed again


def test_a_trial_that_raises_has_failed_with_its_traceback(backend, job):
    with backend(runner="plugins.fake_runners:run") as found:
        found.submit(replace(job(), candidate=trial_job(0, "raise_error").candidate))
        events = until(found, TERMINAL)
    assert isinstance(events[-1], TrialFailed)
    assert events[-1].error.startswith("ValueError: the loss is a banana")
    assert "Traceback" in events[-1].traceback


def test_a_pruned_trial_is_stopped_and_what_it_has_comes_home(service, backend, job, tmp_path):
    open_gates(tmp_path / "gate", [0])
    with backend() as found:
        found.submit(job())
        events = until_looks(found, 1, [])
        found.stop(0)
        until(found, TERMINAL, events)
    assert isinstance(events[-1], TrialStopped)
    assert events[-1].reason == "asked to"
    assert (Path(job().folder) / "state.json").is_file()


def test_a_name_that_is_anothers_is_never_taken_over(service, backend, job, tmp_path):
    with backend() as found:
        study = json.loads((tmp_path / "run" / "sagemaker" / "study.json").read_text())["id"]
        another(service, f"seedbed-{study}-0000-1")
        found.submit(job())
        events = until(found, TERMINAL)
    assert isinstance(events[-1], TrialFailed)
    assert "not this run's" in events[-1].error


def another(service, name):
    """A job of someone else's, that has ended."""
    service.client("sagemaker").create_training_job(
        TrainingJobName=name,
        RoleArn="arn:aws:iam::123456789012:role/Role",
        AlgorithmSpecification={
            "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/sh", "-c", "exit 0"],
        },
        OutputDataConfig={"S3OutputPath": "s3://bucket/elsewhere"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    service.wait(name)


def test_what_the_service_needs_is_asked_for_before_anything_is_begun(backend):
    with pytest.raises(UsageError, match=r"backend\.sagemaker\.role="), backend(role=""):
        pass
    with pytest.raises(UsageError, match=r"backend\.sagemaker\.bucket="), backend(bucket=""):
        pass
    with pytest.raises(UsageError, match="not both"), backend(spot=True, keep_alive_seconds=60):
        pass
    with pytest.raises(PluginError, match="The bucket nobodys cannot be used"), backend(bucket="nobodys"):
        pass
