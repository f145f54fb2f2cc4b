import random
from dataclasses import replace

import pytest

from seedbed.core.data.profile import Profile
from seedbed.core.errors import UnknownName, UsageError
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialStarted
from seedbed.core.search.flat import flatten
from seedbed.core.search.handover import Child, TuningRequest
from seedbed.core.search.history import History, Remaining
from seedbed.core.space import Choice, Condition, Float, Int, Param, Space
from seedbed.core.task import Task
from seedbed.plugins.backends.sagemaker.tuning import config
from seedbed.plugins.strategies import SagemakerTuningOptions
from seedbed.plugins.strategies.sagemaker_tuning import SagemakerTuning

SPACE = Space(
    (
        Param("policy", Choice("scratch"), "scratch"),
        Param("optimizer", Choice("sgd", "adamw"), "sgd"),
        Param("optimizer.sgd.lr", Float(1e-3, 1.0, log=True), 0.1, (Condition("optimizer", ("sgd",)),)),
        Param("batch_size", Int(8, 64), 32),
        Param("augmenter.flip", Choice(False, True), True),
    )
)
PROFILE = Profile(
    task=Task(modality="image", kind="classification", classes=("a", "b"), metric="accuracy"),
    examples=1000,
    train=800,
    valid=200,
    test=0,
)


class Service:
    """A backend that hands over what it is asked to, and a tuning job whose jobs a test begins."""

    def __init__(self):
        self.requests, self.begun, self.over = [], [], False

    def tune(self, request):
        self.requests.append(request)
        return self

    def children(self):
        return tuple(self.begun)

    def is_over(self):
        return self.over

    def begin(self, name, **drawn):
        self.begun.append(Child(name=name, drawn=drawn))


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def strategy(service):
    found = SagemakerTuning(SagemakerTuningOptions(), SPACE, PROFILE)
    found.meet(service)
    return found


def history(*proposals, trials=6):
    events = [
        TrialStarted(trial=n, candidate=each.candidate, fidelity=each.fidelity, place=each.place)
        for n, each in enumerate(proposals)
    ]
    found = History(events)
    found.remaining = Remaining(trials=trials)
    return found


def ask(strategy, known):
    return strategy.propose(known, random.Random(0))


def test_the_defaults_come_first_and_are_no_job_of_the_service(strategy, service):
    first = ask(strategy, history())
    assert (first.candidate.values, first.place) == (SPACE.default(), "")
    assert service.requests == []


def test_what_the_service_begins_is_proposed_once_and_in_its_order(strategy, service):
    first = ask(strategy, history())
    assert ask(strategy, history(first)) is None
    assert strategy.waits()
    service.begin("job-1", optimizer="adamw", batch_size="16", **{"optimizer.sgd.lr": "0.5"})
    service.begin("job-2", optimizer="sgd", batch_size="9", **{"optimizer.sgd.lr": "0.5"})
    second = ask(strategy, history(first))
    assert (second.place, second.candidate.values["optimizer"], second.candidate.values["batch_size"]) == (
        *("job-1", "adamw"),
        16,
    )
    SPACE.validate(second.candidate.values)
    third = ask(strategy, history(first, second))
    assert (third.place, third.candidate.values["optimizer.sgd.lr"]) == ("job-2", 0.5)
    assert ask(strategy, history(first, second, third)) is None
    service.over = True
    assert not strategy.waits()


def test_a_resumed_study_does_not_propose_what_it_knows(service):
    service.begin("job-1", optimizer="sgd", batch_size="9")
    first, child = (ask(strategy_of(service), history()), None)
    child = replace(first, place="job-1")
    again = strategy_of(service)
    assert ask(again, history(first, child)) is None


def strategy_of(service):
    found = SagemakerTuning(SagemakerTuningOptions(), SPACE, PROFILE)
    found.meet(service)
    return found


def test_the_request_leaves_alone_what_is_not_to_be_tuned(strategy, service):
    ask(strategy, history(ask(strategy, history()), trials=5))
    (request,) = service.requests
    assert [each.name for each in request.ranges] == ["optimizer", "optimizer.sgd.lr", "batch_size"]
    assert (request.trials, request.direction, request.seconds) == (5, "max", None)


def test_another_backend_is_refused_with_the_way_out():
    with pytest.raises(UsageError, match="--backend sagemaker"):
        SagemakerTuning(SagemakerTuningOptions(), SPACE, PROFILE).meet(object())


def test_a_misspelt_search_is_told_at_once():
    with pytest.raises(UnknownName, match="Bayesian"):
        SagemakerTuning(SagemakerTuningOptions(search="Bayes"), SPACE, PROFILE)


def request(**changes):
    return TuningRequest(
        **{
            "space": SPACE,
            "ranges": flatten(SPACE),
            "fidelity": Fidelity(epochs=9),
            "trials": 8,
            "direction": "min",
            "seed": 7,
        }
        | changes
    )


def test_the_service_is_told_every_range_by_its_kind_and_scale():
    found = config(request(), parallel=3)
    ranges = found["parameter_ranges"]
    assert ranges["continuous_parameter_ranges"] == [
        {"name": "optimizer.sgd.lr", "min_value": "0.001", "max_value": "1.0", "scaling_type": "Logarithmic"}
    ]
    assert ranges["integer_parameter_ranges"] == [
        {"name": "batch_size", "min_value": "8", "max_value": "64", "scaling_type": "Linear"}
    ]
    assert [each["name"] for each in ranges["categorical_parameter_ranges"]] == ["optimizer", "augmenter.flip"]
    assert found["resource_limits"] == {"max_parallel_training_jobs": 3, "max_number_of_training_jobs": 8}
    assert found["hyper_parameter_tuning_job_objective"]["type"] == "Minimize"


def test_the_time_left_bounds_the_tuning_job():
    assert config(request(seconds=900.4), 1)["resource_limits"]["max_runtime_in_seconds"] == 900
    assert config(request(seconds=5.0), 1)["resource_limits"]["max_runtime_in_seconds"] == 120


def test_hyperband_gets_its_resource_and_no_early_stopping():
    found = config(request(search="Hyperband", stops_early=True), 1)
    assert found["strategy_config"]["hyperband_strategy_config"] == {"min_resource": 1, "max_resource": 9}
    assert found["training_job_early_stopping_type"] == "Off"
    assert config(request(stops_early=True), 1)["training_job_early_stopping_type"] == "Auto"


def test_a_grid_of_numbers_and_nothing_to_draw_are_refused():
    with pytest.raises(UsageError, match=r"optimizer\.sgd\.lr, batch_size are numbers"):
        config(request(search="Grid"), 1)
    with pytest.raises(UsageError, match="Nothing is left open"):
        config(request(ranges=()), 1)


def test_the_form_is_that_of_the_sdk():
    shapes = pytest.importorskip("sagemaker.core.shapes")
    found = shapes.HyperParameterTuningJobConfig(**config(request(seconds=600.0), 2))
    assert found.resource_limits.max_number_of_training_jobs == 8
