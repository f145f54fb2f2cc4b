"""Tuning jobs of the rehearsal: real children, real objectives."""

from __future__ import annotations

import pytest
from plugins.rehearsed import image, prepare, training, until

pytest.importorskip("moto")

from botocore.exceptions import ClientError

from seedbed.plugins.amazon.rehearsal import Rehearsal

LR = {"Name": "lr", "MinValue": "0.001", "MaxValue": "1", "ScalingType": "Logarithmic"}
ENDED = ("Completed", "Failed", "Stopped")


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory):
    with Rehearsal(tmp_path_factory.mktemp("fleet"), image=image) as running:
        prepare(running)
        yield running


@pytest.fixture(scope="module")
def sm(rehearsal):
    return rehearsal.client("sagemaker")


def tuning(name, ranges, *, strategy="Random", most=3, parallel=2, **fixed):
    taken = ("AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig", "StoppingCondition")
    request = training(name)
    static = {key: str(value) for key, value in fixed.items()}
    limits = {"MaxParallelTrainingJobs": parallel} | ({"MaxNumberOfTrainingJobs": most} if most else {})
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": strategy,
            "RandomSeed": 1,
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "val:loss"},
            "ResourceLimits": limits,
            "ParameterRanges": ranges,
        },
        "TrainingJobDefinition": {name: request[name] for name in (*taken, "ResourceConfig")}
        | {"StaticHyperParameters": static},
    }


def ended(sm, name):
    def status():
        found = sm.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        return found["HyperParameterTuningJobStatus"]

    until(lambda: status() in ENDED)
    return sm.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def children(sm, name, **asked):
    found = sm.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName=name, **asked)
    return found["TrainingJobSummaries"]


def reached(child):
    return child["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]


def test_a_random_search_runs_its_children_and_tells_the_best(sm):
    sm.create_hyper_parameter_tuning_job(**tuning("random", {"ContinuousParameterRanges": [LR]}, epochs=2))
    said = ended(sm, "random")
    assert said["HyperParameterTuningJobStatus"] == "Completed", said
    assert said["TrainingJobStatusCounters"]["Completed"] == 3
    found = children(sm, "random")
    assert len({child["TunedHyperParameters"]["lr"] for child in found}) == 3
    for child in found:
        lr = float(child["TunedHyperParameters"]["lr"])
        assert reached(child) == pytest.approx((lr - 0.3) ** 2 + 0.5, abs=1e-3)
    assert reached(said["BestTrainingJob"]) == min(map(reached, found))
    ranked = children(sm, "random", SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    assert list(map(reached, ranked)) == sorted(map(reached, found), reverse=True)
    job = sm.describe_training_job(TrainingJobName=found[0]["TrainingJobName"])
    assert job["TuningJobArn"] == said["HyperParameterTuningJobArn"]
    assert job["HyperParameters"]["epochs"] == "2"
    listed = sm.list_hyper_parameter_tuning_jobs(NameContains="rand")["HyperParameterTuningJobSummaries"]
    assert [each["HyperParameterTuningJobName"] for each in listed] == ["random"]


def test_a_grid_is_every_combination(sm):
    ranges = [{"Name": "lr", "Values": ["0.1", "0.3"]}, {"Name": "epochs", "Values": ["1", "2"]}]
    request = tuning("grid", {"CategoricalParameterRanges": ranges}, strategy="Grid", most=0)
    sm.create_hyper_parameter_tuning_job(**request)
    assert ended(sm, "grid")["TrainingJobStatusCounters"]["Completed"] == 4
    points = {tuple(child["TunedHyperParameters"].values()) for child in children(sm, "grid")}
    assert points == {("0.1", "1"), ("0.1", "2"), ("0.3", "1"), ("0.3", "2")}


def test_children_that_crash_are_counted_and_never_the_best(sm):
    ranges = {"CategoricalParameterRanges": [{"Name": "crash", "Values": ["0", "never"]}]}
    sm.create_hyper_parameter_tuning_job(**tuning("crashes", ranges, strategy="Grid", most=2, epochs=1))
    said = ended(sm, "crashes")
    assert said["TrainingJobStatusCounters"]["NonRetryableError"] == 1
    assert said["BestTrainingJob"]["TunedHyperParameters"] == {"crash": "never"}


def test_a_stopped_tuning_job_stops_its_children_and_starts_no_more(sm, tmp_path):
    request = tuning("halted", {"ContinuousParameterRanges": [LR]}, most=5, parallel=1, hold=0, gates=tmp_path)
    sm.create_hyper_parameter_tuning_job(**request)
    until((tmp_path / "epoch-0").exists)
    sm.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="halted")
    said = ended(sm, "halted")
    assert said["HyperParameterTuningJobStatus"] == "Stopped"
    assert [child["TrainingJobStatus"] for child in children(sm, "halted")] == ["Stopped"]


def test_names_are_at_most_32_long_and_grids_categorical(sm):
    ranges = {"ContinuousParameterRanges": [LR]}
    with pytest.raises(ClientError, match="length less than or equal to 32"):
        sm.create_hyper_parameter_tuning_job(**tuning("n" * 33, ranges))
    with pytest.raises(ClientError, match="categorical parameters only"):
        sm.create_hyper_parameter_tuning_job(**tuning("wrong", ranges, strategy="Grid", most=0))
    with pytest.raises(ClientError, match="ResourceNotFound"):
        sm.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="wrong")
