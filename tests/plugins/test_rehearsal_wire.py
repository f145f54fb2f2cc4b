"""What the rehearsal refuses, and how: by the service's model, beyond it, and on demand."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from plugins.rehearsed import image, prepare, training

pytest.importorskip("moto")

from botocore.exceptions import ClientError

from seedbed.plugins.amazon.rehearsal import Rehearsal
from seedbed.plugins.amazon.rehearsal.job import SPOT_SHARE, billable, too_late


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory):
    with Rehearsal(tmp_path_factory.mktemp("fleet"), image=image) as running:
        prepare(running)
        yield running


@pytest.fixture(scope="module")
def sm(rehearsal):
    return rehearsal.client("sagemaker")


def refused(sm, request, code="ValidationException"):
    with pytest.raises(ClientError) as told:
        sm.create_training_job(**request)
    assert told.value.response["Error"]["Code"] == code
    assert told.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return told.value.response["Error"]["Message"]


def with_limits(**limits):
    return {**training("limits", spot=True), "StoppingCondition": limits}


def test_the_limits_of_the_services_model_are_kept(sm):
    assert "regular expression" in refused(sm, training("bad_name"))
    assert "length less than or equal to 2500" in refused(sm, training("long-value", x="y" * 2501))
    assert "length less than or equal to 63" in refused(sm, training("n" * 64))
    machine = {"InstanceType": "ml.nope", "InstanceCount": 1, "VolumeSizeInGB": 1}
    assert "enum value set" in refused(sm, {**training("machine"), "ResourceConfig": machine})
    assert "less than or equal to 30" in refused(
        sm, training("tries") | {"RetryStrategy": {"MaximumRetryAttempts": 31}}
    )
    both = refused(sm, training("bad_name", x="y" * 2501))
    assert both.startswith("2 validation errors detected: ")


def test_what_the_service_checks_beyond_its_model_is_checked(sm):
    assert "at least MaxRuntimeInSeconds, 60" in refused(
        sm, with_limits(MaxRuntimeInSeconds=60, MaxWaitTimeInSeconds=59)
    )
    assert "it is not given" in refused(sm, with_limits(MaxRuntimeInSeconds=60))
    warm = training("warm", spot=True)
    warm["ResourceConfig"]["KeepAlivePeriodInSeconds"] = 600
    assert "exclude each other" in refused(sm, warm)
    empty = training("empty")
    empty["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] = "s3://bucket/nothing/"
    assert 'No S3 objects found under S3 URL "s3://bucket/nothing/"' in refused(sm, empty)
    two = training("two")
    two["ResourceConfig"]["InstanceCount"] = 2
    assert "on one machine" in refused(sm, two)


def test_a_name_is_used_once(rehearsal, sm):
    sm.create_training_job(**training("once", epochs=1))
    assert "must be unique" in refused(sm, training("once"), "ResourceInUse")
    rehearsal.wait("once")


def test_a_missing_job_is_told_as_the_service_does(sm):
    for ask in (sm.describe_training_job, sm.stop_training_job, sm.delete_training_job):
        with pytest.raises(ClientError, match=r"ValidationException.*Requested resource not found"):
            ask(TrainingJobName="never-made")


def test_throttling_is_repeated_by_botocore_and_counted(rehearsal, sm):
    sm.create_training_job(**training("throttled", epochs=1))
    rehearsal.wait("throttled")
    rehearsal.fail_next("DescribeTrainingJob", "ThrottlingException", times=2)
    before = rehearsal.calls.count("DescribeTrainingJob")
    assert sm.describe_training_job(TrainingJobName="throttled")["TrainingJobStatus"] == "Completed"
    assert rehearsal.calls.count("DescribeTrainingJob") - before == 3


@pytest.mark.parametrize(
    ("service", "operation", "ask"),
    [
        ("logs", "DescribeLogGroups", lambda client: client.describe_log_groups()),
        ("sts", "GetCallerIdentity", lambda client: client.get_caller_identity()),
        ("s3", "s3:GET", lambda client: client.list_buckets()),
    ],
)
def test_other_services_can_be_refused_too(rehearsal, service, operation, ask):
    rehearsal.fail_next(operation, "AccessDenied", "You may not.")
    client = rehearsal.client(service)
    with pytest.raises(ClientError, match=r"AccessDenied.*You may not\."):
        ask(client)
    ask(client)


def test_a_quota_is_told_once(rehearsal, sm):
    rehearsal.fail_next("CreateTrainingJob", "ResourceLimitExceeded", "The quota is 0 Instances.")
    assert refused(sm, training("quota"), "ResourceLimitExceeded") == "The quota is 0 Instances."


@pytest.mark.parametrize(
    ("service", "ask"),
    [
        ("sagemaker", lambda client: client.list_hubs()),
        ("logs", lambda client: client.list_anomalies()),
        ("iam", lambda client: client.get_context_keys_for_custom_policy(PolicyInputList=["{}"])),
    ],
)
def test_an_operation_it_lacks_is_refused_at_once_and_not_repeated(rehearsal, service, ask):
    before = len(rehearsal.calls)
    with pytest.raises(ClientError, match="UnknownOperationException"):
        ask(rehearsal.client(service))
    assert len(rehearsal.calls) - before == 1


def test_iam_allows_every_simulated_action(rehearsal):
    found = rehearsal.client("iam").simulate_principal_policy(
        PolicySourceArn=training("x")["RoleArn"], ActionNames=["s3:GetObject", "s3:PutObject"]
    )
    assert [each["EvalDecision"] for each in found["EvaluationResults"]] == ["allowed", "allowed"]


def test_another_process_is_a_client_by_its_environment_alone(rehearsal):
    script = "import boto3, json; print(json.dumps([b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']]))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=rehearsal.env, capture_output=True, timeout=120, check=True
    )
    assert json.loads(done.stdout) == ["bucket"]


def test_what_is_billed_is_the_time_on_machines_and_for_spot_a_share_of_it():
    assert billable(100.0, False) == 100
    assert billable(100.0, True) == round(100 * SPOT_SHARE)
    assert billable(0.2, True) == 1
    assert billable(0.0, False) == 0


def test_a_jobs_time_is_over_by_whichever_limit_comes_first():
    spent = {"ran": 10.0, "since_creation": 50.0, "pending": 0.0, "spot": True}
    assert too_late({"MaxRuntimeInSeconds": 10}, **spent) == ""
    assert too_late({"MaxRuntimeInSeconds": 9}, **spent) == "MaxRuntimeExceeded"
    assert too_late({"MaxRuntimeInSeconds": 10, "MaxWaitTimeInSeconds": 49}, **spent) == "MaxWaitTimeExceeded"
    assert too_late({"MaxPendingTimeInSeconds": 7200}, **{**spent, "pending": 7201.0}) == "Stopped"
    assert too_late({}, **spent) == ""
