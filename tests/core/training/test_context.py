from __future__ import annotations

import pytest
import torch
from core.training.helpers import Mirror, Tiny, fake_lookup, looks, make_data, run_job, trial_job

from seedbed.core.search.candidate import Fidelity
from seedbed.core.specs import ArchitectureSpec, AugmenterSpec, MetricSpec
from seedbed.core.training.member import load_member
from seedbed.core.training.predictions import load_predictions

ARCHITECTURE = ArchitectureSpec(name="tiny", summary="Stand-in.", build="fakes:other", weights=("quarter",))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=90)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "0000"


def _building(build):
    return fake_lookup().with_((ARCHITECTURE, build))


def test_the_best_of_the_curve_is_kept_and_not_the_last(made, folder):
    """After a peak everything is forgotten; only what is worse by more than noise is thrown away."""

    class Forgetful(Tiny):
        def __init__(self):
            super().__init__(8, 1)
            self.register_buffer("age", torch.zeros(()))

        def forward(self, inputs):
            if self.training:
                self.age += 1
            return super().forward(inputs) * (1.0 if self.age < 90 else 0.0)

    events = run_job(
        trial_job(made, folder, fidelity=Fidelity(epochs=30)), _building(lambda options, profile: Forgetful())
    )
    curve, finished = looks(events), events[-1]
    assert curve[-1].score < finished.score == max(each.score for each in curve)
    assert not curve[-1].is_best


def _with_mirror(build):
    spec = AugmenterSpec(name="mirror", summary="Flip.", build="fakes:mirror")
    return fake_lookup().with_((spec, lambda options, profile: build()))


class _Harmful(Mirror):
    """Its second view is upside down: another class."""

    def views(self, inputs):
        return [inputs, inputs.flip(2)]


@pytest.mark.parametrize("build", [Mirror, _Harmful])
def test_test_time_views_are_used_only_where_they_help(made, tmp_path, build):
    job = trial_job(made, tmp_path / "with", fidelity=Fidelity(epochs=15), augmenter__mirror=True)
    finished = run_job(job, _with_mirror(build))[-1]
    found, member = load_predictions(tmp_path / "with" / "predictions.npz"), load_member(tmp_path / "with")
    assert finished.score == float((found.outputs.argmax(1) == found.targets).mean())
    if build is _Harmful:
        assert not member.test_time_views
        assert finished.score > 0.8


def test_a_metric_that_falls_when_models_improve_is_minimised(made, folder):
    spec = MetricSpec(name="accuracy", summary="Share of wrong answers.", build="fakes:errors", direction="min")
    errors = (spec, lambda options: lambda targets, found: float((found.argmax(1) != targets).mean()))
    events = run_job(trial_job(made, folder, fidelity=Fidelity(epochs=20)), fake_lookup().with_(errors))
    assert events[-1].score == min(each.score for each in looks(events) if each.is_best) or events[-1].score < 0.2
