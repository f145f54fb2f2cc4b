"""Endpoints of the rehearsal: containers that serve, asked, updated and taken down."""

from __future__ import annotations

import json

import pytest
from plugins.rehearsed import ROLE, image, prepare, training, until

pytest.importorskip("moto")

from botocore.exceptions import ClientError

from seedbed.plugins.amazon.rehearsal import Rehearsal


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory):
    def known(uri):
        return ["/bin/false"] if uri == "broken" else image(uri)

    with Rehearsal(tmp_path_factory.mktemp("fleet"), image=known, grace=0.5) as running:
        prepare(running)
        sm = running.client("sagemaker")
        sm.create_training_job(**training("trained", lr=0.5, epochs=1))
        data = running.wait("trained")["ModelArtifacts"]["S3ModelArtifacts"]
        for name, times, where in (("plain", "1", "trainer"), ("doubled", "2", "trainer"), ("broken", "1", "broken")):
            container = {"Image": where, "ModelDataUrl": data, "Environment": {"TIMES": times}}
            sm.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
            variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large"}
            variants = [variant | {"InitialInstanceCount": 1}]
            sm.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
        yield running


@pytest.fixture(scope="module")
def sm(rehearsal):
    return rehearsal.client("sagemaker")


def settled(sm, name):
    moving = ("Creating", "Updating")
    until(lambda: sm.describe_endpoint(EndpointName=name)["EndpointStatus"] not in moving)
    return sm.describe_endpoint(EndpointName=name)


def asked(rehearsal, name, x):
    body = json.dumps({"x": x}).encode()
    answer = rehearsal.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name, ContentType="application/json", Accept="application/json", Body=body
    )
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    return json.load(answer["Body"])


def gone(sm, name):
    try:
        sm.describe_endpoint(EndpointName=name)
    except ClientError as error:
        return "Could not find endpoint" in str(error)
    return False


def test_an_endpoint_answers_is_updated_and_taken_down(rehearsal, sm):
    sm.create_endpoint(EndpointName="living", EndpointConfigName="plain")
    said = settled(sm, "living")
    assert said["EndpointStatus"] == "InService", said
    assert asked(rehearsal, "living", 10) == {"y": 5.0, "accept": "application/json"}
    sm.update_endpoint(EndpointName="living", EndpointConfigName="doubled")
    assert settled(sm, "living")["EndpointConfigName"] == "doubled"
    assert asked(rehearsal, "living", 10)["y"] == 10.0
    with pytest.raises(ClientError, match="Cannot create already existing endpoint"):
        sm.create_endpoint(EndpointName="living", EndpointConfigName="plain")
    sm.delete_endpoint(EndpointName="living")
    until(lambda: gone(sm, "living"))
    with pytest.raises(ClientError, match=r"ValidationError.*not found"):
        asked(rehearsal, "living", 10)


def test_what_a_model_answers_wrongly_is_a_model_error(rehearsal, sm):
    sm.create_endpoint(EndpointName="strict", EndpointConfigName="plain")
    settled(sm, "strict")
    runtime = rehearsal.client("sagemaker-runtime")
    with pytest.raises(runtime.exceptions.ModelError) as told:
        runtime.invoke_endpoint(EndpointName="strict", ContentType="text/csv", Body=b"1,2")
    assert told.value.response["OriginalStatusCode"] == 415
    assert told.value.response["OriginalMessage"] == "only application/json"
    assert told.value.response["ResponseMetadata"]["HTTPStatusCode"] == 424
    sm.delete_endpoint(EndpointName="strict")
    until(lambda: gone(sm, "strict"))


def test_a_container_that_never_answers_fails_its_endpoint(sm):
    sm.create_endpoint(EndpointName="dead", EndpointConfigName="broken")
    said = settled(sm, "dead")
    assert said["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in said["FailureReason"]


def test_an_update_that_fails_leaves_the_old_in_service(rehearsal, sm):
    sm.create_endpoint(EndpointName="kept", EndpointConfigName="plain")
    settled(sm, "kept")
    sm.update_endpoint(EndpointName="kept", EndpointConfigName="broken")
    said = settled(sm, "kept")
    assert (said["EndpointStatus"], said["EndpointConfigName"]) == ("InService", "plain")
    assert "ping health check" in said["FailureReason"]
    assert asked(rehearsal, "kept", 4)["y"] == 2.0


def test_models_and_configurations_are_listed_and_deleted(sm):
    sm.create_model(ModelName="passing", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "trainer"})
    assert [each["ModelName"] for each in sm.list_models(NameContains="passing")["Models"]] == ["passing"]
    sm.delete_model(ModelName="passing")
    with pytest.raises(ClientError, match="Could not find model"):
        sm.describe_model(ModelName="passing")
    variant = {"VariantName": "AllTraffic", "ModelName": "passing", "InstanceType": "ml.m5.large"}
    with pytest.raises(ClientError, match="Could not find model"):
        sm.create_endpoint_config(
            EndpointConfigName="orphan", ProductionVariants=[variant | {"InitialInstanceCount": 1}]
        )
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        sm.create_endpoint(EndpointName="orphan", EndpointConfigName="orphan")
