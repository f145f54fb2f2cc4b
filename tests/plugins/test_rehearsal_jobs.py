"""Training jobs of the rehearsal: real processes under the container contract, their life and their accidents."""

from __future__ import annotations

import io
import json
import os
import shlex
import tarfile
import time

import pytest
from plugins.rehearsed import image, prepare, training, until

pytest.importorskip("moto")

from seedbed.plugins.amazon.rehearsal import Rehearsal


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory):
    os.environ["A_SECRET_OF_THE_USER"] = "hush"
    try:
        root = tmp_path_factory.mktemp("fleet")
        with Rehearsal(root, image=image, slots=2, grace=0.5, environment={"GIVEN": "yes"}) as running:
            prepare(running)
            yield running
    finally:
        del os.environ["A_SECRET_OF_THE_USER"]


@pytest.fixture(scope="module")
def sm(rehearsal):
    return rehearsal.client("sagemaker")


def secondary(said):
    return [each["Status"] for each in said["SecondaryStatusTransitions"]]


def stored(rehearsal, uri):
    bucket, key = uri.removeprefix("s3://").split("/", 1)
    return rehearsal.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()


def checkpointed(rehearsal, name):
    found = rehearsal.client("s3").list_objects_v2(Bucket="bucket", Prefix=f"checkpoints/{name}/state.json")
    return found["KeyCount"] == 1


def test_a_job_runs_to_its_end_and_leaves_model_metrics_and_log(rehearsal, sm):
    sm.create_training_job(**training("whole", lr=0.3, epochs=3))
    said = rehearsal.wait("whole")
    assert said["TrainingJobStatus"] == "Completed", rehearsal.log("whole")
    said = sm.describe_training_job(TrainingJobName="whole")
    assert secondary(said) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert said["FinalMetricDataList"][0]["Value"] == pytest.approx(1 / 3, abs=1e-3)
    assert said["HyperParameters"] == {"lr": "0.3", "epochs": "3"}
    assert 0 < said["BillableTimeInSeconds"] <= said["TrainingTimeInSeconds"]
    packed = io.BytesIO(stored(rehearsal, said["ModelArtifacts"]["S3ModelArtifacts"]))
    with tarfile.open(fileobj=packed) as archive:
        assert json.load(archive.extractfile("model.json"))["rows"] == 2
    logs = rehearsal.client("logs").filter_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="whole/algo-1-"
    )
    assert sum("val_loss" in event["message"] for event in logs["events"]) == 3
    points = rehearsal.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="val:loss",
        Dimensions=[{"Name": "TrainingJobName", "Value": "whole"}],
        StartTime=time.time() - 600,
        EndTime=time.time() + 600,
        Period=60,
        Statistics=["SampleCount"],
    )
    assert sum(point["SampleCount"] for point in points["Datapoints"]) == 3


def test_a_container_sees_its_own_opt_ml_and_nothing_of_the_users_environment(rehearsal, sm, tmp_path):
    sm.create_training_job(**training("looking", look="yes", gates=tmp_path), Environment={"ASKED": "for"})
    assert rehearsal.wait("looking")["TrainingJobStatus"] == "Completed", rehearsal.log("looking")
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["ml"] == ["checkpoints", "input", "model", "output"]
    assert seen["resources"]["hosts"] == ["algo-1"]
    assert seen["channels"]["train"]["TrainingInputMode"] == "File"
    environment = seen["environment"]
    assert "A_SECRET_OF_THE_USER" not in environment
    assert environment["HOME"] != os.environ.get("HOME")
    assert (environment["GIVEN"], environment["ASKED"], environment["TRAINING_JOB_NAME"]) == ("yes", "for", "looking")
    if "SAGEMAKER_BASE_DIR" not in environment:  # where the machine allows namespaces
        assert seen["pid"] == 1
        assert "algo-1" in seen["hosts"]


def test_a_stopped_job_hears_it_and_keeps_its_model(rehearsal, sm, tmp_path):
    sm.create_training_job(**training("stopped", epochs=9, hold=1, gates=tmp_path))
    until((tmp_path / "epoch-1").exists)
    assert rehearsal.wait("stopped", "Training")["SecondaryStatus"] == "Training"
    with pytest.raises(ValueError, match="no spot job"):
        rehearsal.reclaim_spot("stopped")
    with pytest.raises(sm.exceptions.ResourceInUse, match="status InProgress"):
        sm.delete_training_job(TrainingJobName="stopped")
    sm.stop_training_job(TrainingJobName="stopped")
    said = rehearsal.wait("stopped", "Completed", "Failed", "Stopped")
    assert said["TrainingJobStatus"] == "Stopped"
    assert secondary(said)[-3:] == ["Stopping", "Uploading", "Stopped"]
    assert "heard SIGTERM" in rehearsal.log("stopped")
    assert stored(rehearsal, said["ModelArtifacts"]["S3ModelArtifacts"])
    with pytest.raises(sm.exceptions.ClientError, match="is in status Stopped"):
        sm.stop_training_job(TrainingJobName="stopped")


def test_a_worker_that_does_not_hear_is_killed_after_the_grace(rehearsal, sm, tmp_path):
    sm.create_training_job(**training("deaf", epochs=9, hold=0, deaf="yes", gates=tmp_path))
    until((tmp_path / "epoch-0").exists)
    sm.stop_training_job(TrainingJobName="deaf")
    assert rehearsal.wait("deaf")["TrainingJobStatus"] == "Stopped"
    assert "heard SIGTERM" not in rehearsal.log("deaf")


def test_a_crash_tells_what_the_worker_wrote(rehearsal, sm):
    sm.create_training_job(**training("crashed", crash=1, epochs=9))
    said = rehearsal.wait("crashed")
    assert said["TrainingJobStatus"] == "Failed"
    assert said["FailureReason"] == "AlgorithmError: boom at 1, exit code: 3"


def test_a_worker_that_the_kernel_kills_ends_with_137(rehearsal, sm, tmp_path):
    sm.create_training_job(**training("large", epochs=9, hold=0, gates=tmp_path))
    until((tmp_path / "epoch-0").exists)
    rehearsal.oom_kill("large")
    assert rehearsal.wait("large")["FailureReason"] == "AlgorithmError: no failure file, exit code: 137"


def test_a_reclaimed_spot_job_goes_on_from_its_checkpoint_and_is_billed_less(rehearsal, sm, tmp_path):
    sm.create_training_job(**training("spot", spot=True, epochs=4, hold=2, gates=tmp_path))
    until((tmp_path / "epoch-2").exists)
    rehearsal.reclaim_spot("spot")
    said = rehearsal.wait("spot")
    assert said["TrainingJobStatus"] == "Completed", rehearsal.log("spot")
    assert secondary(said)[:6] == ["Starting", "Downloading", "Training", "Interrupted", "Starting", "Downloading"]
    lines = rehearsal.log("spot")
    assert "heard SIGTERM" in lines
    assert "resumed at 3" in lines
    assert lines.count("epoch=0 ") == 1
    assert said["BillableTimeInSeconds"] <= said["TrainingTimeInSeconds"]


def test_what_was_not_synced_is_lost_with_the_instance(rehearsal, sm, tmp_path, monkeypatch):
    monkeypatch.setattr("seedbed.plugins.amazon.rehearsal.job.SYNC_SECONDS", 3600.0)
    request = training("unsynced", epochs=4, hold=1, gates=tmp_path)
    sm.create_training_job(**request, RetryStrategy={"MaximumRetryAttempts": 1})
    until((tmp_path / "epoch-1").exists)
    rehearsal.lose_instance("unsynced")
    until(lambda: "Restarting" in secondary(sm.describe_training_job(TrainingJobName="unsynced")))
    (tmp_path / "go").touch()
    assert rehearsal.wait("unsynced")["TrainingJobStatus"] == "Completed"
    assert rehearsal.log("unsynced").count("epoch=0 ") == 2
    assert "resumed" not in rehearsal.log("unsynced")


def test_a_lost_instance_fails_a_job_without_retries(rehearsal, sm, tmp_path):
    sm.create_training_job(**training("lost", epochs=9, hold=0, gates=tmp_path))
    until((tmp_path / "epoch-0").exists)
    rehearsal.lose_instance("lost")
    assert rehearsal.wait("lost")["FailureReason"].startswith("InternalServerError")


def test_a_lost_instance_is_replaced_by_the_retry_strategy(rehearsal, sm, tmp_path):
    request = training("replaced", epochs=4, hold=1, gates=tmp_path)
    sm.create_training_job(**request, RetryStrategy={"MaximumRetryAttempts": 1})
    until(lambda: (tmp_path / "epoch-1").exists() and checkpointed(rehearsal, "replaced"))
    rehearsal.lose_instance("replaced")
    until(lambda: "Restarting" in secondary(sm.describe_training_job(TrainingJobName="replaced")))
    (tmp_path / "go").touch()
    said = rehearsal.wait("replaced")
    assert said["TrainingJobStatus"] == "Completed", rehearsal.log("replaced")
    assert "Restarting" in secondary(said)
    assert "resumed at" in rehearsal.log("replaced")
    assert "heard SIGTERM" not in rehearsal.log("replaced")


def test_a_job_that_runs_too_long_is_stopped(rehearsal, sm, tmp_path):
    request = training("long", epochs=9, hold=0, gates=tmp_path)
    sm.create_training_job(**{**request, "StoppingCondition": {"MaxRuntimeInSeconds": 1}})
    said = rehearsal.wait("long")
    assert (said["TrainingJobStatus"], said["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert "heard SIGTERM" in rehearsal.log("long")


def test_jobs_wait_for_a_slot_and_a_waiting_spot_job_gives_up_in_time(rehearsal, sm, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        sm.create_training_job(**training(name, epochs=1, hold=0, gates=tmp_path / name))
        until((tmp_path / name / "epoch-0").exists)
    sm.create_training_job(**training("third", epochs=1))
    sm.create_training_job(**training("cancelled", epochs=1))
    request = training("impatient", spot=True, epochs=1)
    limits = {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1}
    sm.create_training_job(**{**request, "StoppingCondition": limits})
    for name in ("third", "cancelled"):
        rehearsal.wait(name, "Pending")
    sm.stop_training_job(TrainingJobName="cancelled")
    assert rehearsal.wait("cancelled")["TrainingJobStatus"] == "Stopped"
    assert rehearsal.wait("impatient")["SecondaryStatus"] == "MaxWaitTimeExceeded"
    assert "BillableTimeInSeconds" not in rehearsal.wait("impatient")
    (tmp_path / "first/go").touch()
    assert rehearsal.wait("third")["TrainingJobStatus"] == "Completed"
    (tmp_path / "second/go").touch()
    assert rehearsal.wait("second")["TrainingJobStatus"] == "Completed"


def test_a_job_without_capacity_fails_with_the_services_reason(rehearsal, sm):
    rehearsal.fail_next("CreateTrainingJob", "CapacityError", "Unable to provision requested ML compute capacity.")
    sm.create_training_job(**training("nowhere"))
    said = rehearsal.wait("nowhere")
    assert said["FailureReason"] == "CapacityError: Unable to provision requested ML compute capacity."
    assert "Training" not in secondary(said)


def test_an_entry_point_of_the_request_takes_the_place_of_the_images(rehearsal, sm):
    request = training("entry")
    request["AlgorithmSpecification"] |= {"ContainerEntrypoint": ["/bin/sh", "-c"], "ContainerArguments": ["echo own"]}
    sm.create_training_job(**request)
    assert rehearsal.wait("entry")["TrainingJobStatus"] == "Completed"
    assert rehearsal.log("entry") == "own\n"


def test_a_stop_reaches_the_first_process_alone_so_a_shell_before_the_worker_hides_it(rehearsal, sm, tmp_path):
    request = training("hidden", epochs=9, hold=0, gates=tmp_path)
    command = f"{shlex.join(image(''))} train; true"  # without `exec`, the shell stays PID 1
    request["AlgorithmSpecification"] |= {"ContainerEntrypoint": ["/bin/sh", "-c"], "ContainerArguments": [command]}
    sm.create_training_job(**request)
    until((tmp_path / "epoch-0").exists)
    sm.stop_training_job(TrainingJobName="hidden")
    assert rehearsal.wait("hidden")["TrainingJobStatus"] == "Stopped"
    assert "heard SIGTERM" not in rehearsal.log("hidden")


def test_a_job_can_keep_its_machine_longer(rehearsal, sm):
    sm.create_training_job(**training("updated", epochs=1))
    sm.update_training_job(TrainingJobName="updated", ResourceConfig={"KeepAlivePeriodInSeconds": 60})
    said = sm.describe_training_job(TrainingJobName="updated")
    assert said["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 60
    assert said["ResourceConfig"]["InstanceType"] == "ml.g5.xlarge"
    rehearsal.wait("updated")


def test_jobs_are_found_by_name_and_tags_and_deleted_once_they_ended(rehearsal, sm):
    own = [{"Key": "trial", "Value": "7"}]
    arn = sm.create_training_job(**training("listed-one", epochs=1), Tags=own)["TrainingJobArn"]
    sm.create_training_job(**training("listed-two", epochs=1))
    sm.add_tags(ResourceArn=arn, Tags=[{"Key": "study", "Value": "a"}])
    assert {each["Key"]: each["Value"] for each in sm.list_tags(ResourceArn=arn)["Tags"]} == {
        "trial": "7",
        "study": "a",
    }
    pages = sm.get_paginator("list_training_jobs").paginate(NameContains="listed-", PaginationConfig={"PageSize": 1})
    found = [each["TrainingJobName"] for page in pages for each in page["TrainingJobSummaries"]]
    assert found == ["listed-one", "listed-two"]
    rehearsal.wait("listed-one")
    sm.delete_training_job(TrainingJobName="listed-one")
    with pytest.raises(sm.exceptions.ClientError, match="Requested resource not found"):
        sm.describe_training_job(TrainingJobName="listed-one")
    rehearsal.wait("listed-two")
