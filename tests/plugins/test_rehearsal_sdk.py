"""The typed resources of the SageMaker SDK against the rehearsal, unmodified."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest
from plugins.rehearsed import IMAGE, ROLE, image, prepare, until

pytest.importorskip("moto")
pytest.importorskip("sagemaker")

from seedbed.plugins.amazon.rehearsal import Rehearsal

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory):
    with Rehearsal(tmp_path_factory.mktemp("fleet"), image=image, grace=0.5) as running:
        prepare(running)
        yield running


@pytest.fixture(scope="module")
def sdk(rehearsal):
    """The SDK's modules and a session; its import takes seconds, hence once."""
    before = dict(os.environ)
    os.environ.update(rehearsal.env)
    try:
        import boto3
        from sagemaker.core import resources, shapes

        yield SimpleNamespace(resources=resources, shapes=shapes, session=boto3.Session())
    finally:
        os.environ.clear()
        os.environ.update(before)


def a_job(sdk, name, **hyperparameters):
    shapes = sdk.shapes
    source = shapes.S3DataSource(s3_data_type="S3Prefix", s3_uri="s3://bucket/data/")
    return sdk.resources.TrainingJob.create(
        training_job_name=name,
        role_arn=ROLE,
        hyper_parameters={key: str(value) for key, value in hyperparameters.items()},
        algorithm_specification=shapes.AlgorithmSpecification(
            training_image=IMAGE,
            training_input_mode="File",
            metric_definitions=[shapes.MetricDefinition(name="val:loss", regex="val_loss=([0-9.]+);")],
        ),
        input_data_config=[shapes.Channel(channel_name="train", data_source=shapes.DataSource(s3_data_source=source))],
        output_data_config=shapes.OutputDataConfig(s3_output_path="s3://bucket/out"),
        resource_config=shapes.ResourceConfig(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=10),
        stopping_condition=shapes.StoppingCondition(max_runtime_in_seconds=600),
        tags=[{"key": "study", "value": "one"}],
        session=sdk.session,
        region="us-east-1",
    )


def refreshed(resource, member, *states):
    until(lambda: getattr(resource.refresh(), member) in states)
    return resource


def test_training_jobs_are_created_found_and_stopped(sdk, rehearsal, tmp_path):
    done = refreshed(a_job(sdk, "by-sdk", epochs=1, lr=0.5), "training_job_status", "Completed", "Failed")
    assert done.training_job_status == "Completed", rehearsal.log("by-sdk")
    assert done.final_metric_data_list[0].metric_name == "val:loss"
    assert done.model_artifacts.s3_model_artifacts == "s3://bucket/out/by-sdk/output/model.tar.gz"
    held = a_job(sdk, "held-by-sdk", epochs=9, hold=0, gates=tmp_path)
    until((tmp_path / "epoch-0").exists)
    again = sdk.resources.TrainingJob.get("held-by-sdk", session=sdk.session, region="us-east-1")
    again.stop()
    assert refreshed(held, "training_job_status", "Stopped", "Failed").training_job_status == "Stopped"
    found = sdk.resources.TrainingJob.get_all(name_contains="by-sdk", session=sdk.session, region="us-east-1")
    assert [each.training_job_name for each in found] == ["by-sdk", "held-by-sdk"]


def test_a_model_is_deployed_asked_and_taken_down(sdk, rehearsal):
    shapes, resources = sdk.shapes, sdk.resources
    where = {"session": sdk.session, "region": "us-east-1"}
    data = refreshed(a_job(sdk, "for-serving", epochs=1, lr=0.5), "training_job_status", "Completed", "Failed")
    container = shapes.ContainerDefinition(image=IMAGE, model_data_url=data.model_artifacts.s3_model_artifacts)
    model = resources.Model.create(model_name="by-sdk", primary_container=container, execution_role_arn=ROLE, **where)
    variant = shapes.ProductionVariant(
        variant_name="AllTraffic", model_name="by-sdk", instance_type="ml.m5.large", initial_instance_count=1
    )
    config = resources.EndpointConfig.create(endpoint_config_name="by-sdk", production_variants=[variant], **where)
    endpoint = resources.Endpoint.create(endpoint_name="by-sdk", endpoint_config_name="by-sdk", **where)
    assert refreshed(endpoint, "endpoint_status", "InService", "Failed").endpoint_status == "InService"
    answer = endpoint.invoke(body=json.dumps({"x": 8}).encode(), content_type="application/json", accept="text/plain")
    assert json.load(answer.body)["y"] == 4.0
    for resource in (endpoint, config, model):
        resource.delete()
    until(lambda: rehearsal.client("sagemaker").list_endpoints()["Endpoints"] == [])
    assert rehearsal.client("sagemaker").list_models()["Models"] == []


def test_a_tuning_job_finds_its_best(sdk):
    shapes = sdk.shapes
    source = shapes.S3DataSource(s3_data_type="S3Prefix", s3_uri="s3://bucket/data/")
    rates = shapes.CategoricalParameterRange(name="lr", values=["0.1", "0.3"])
    config = shapes.HyperParameterTuningJobConfig(
        strategy="Grid",
        hyper_parameter_tuning_job_objective=shapes.HyperParameterTuningJobObjective(
            type="Minimize", metric_name="val:loss"
        ),
        resource_limits=shapes.ResourceLimits(max_number_of_training_jobs=2, max_parallel_training_jobs=2),
        parameter_ranges=shapes.ParameterRanges(categorical_parameter_ranges=[rates]),
    )
    definition = shapes.HyperParameterTrainingJobDefinition(
        algorithm_specification=shapes.HyperParameterAlgorithmSpecification(
            training_image=IMAGE,
            training_input_mode="File",
            metric_definitions=[shapes.MetricDefinition(name="val:loss", regex="val_loss=([0-9.]+);")],
        ),
        role_arn=ROLE,
        static_hyper_parameters={"epochs": "1"},
        input_data_config=[shapes.Channel(channel_name="train", data_source=shapes.DataSource(s3_data_source=source))],
        output_data_config=shapes.OutputDataConfig(s3_output_path="s3://bucket/out"),
        resource_config=shapes.ResourceConfig(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=10),
        stopping_condition=shapes.StoppingCondition(max_runtime_in_seconds=600),
    )
    job = sdk.resources.HyperParameterTuningJob.create(
        hyper_parameter_tuning_job_name="by-sdk",
        hyper_parameter_tuning_job_config=config,
        training_job_definition=definition,
        session=sdk.session,
        region="us-east-1",
    )
    member = "hyper_parameter_tuning_job_status"
    assert getattr(refreshed(job, member, "Completed", "Failed"), member) == "Completed"
    assert job.best_training_job.tuned_hyper_parameters == {"lr": "0.3"}
