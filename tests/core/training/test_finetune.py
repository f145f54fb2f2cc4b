from __future__ import annotations

import pytest
from core.training.helpers import Tiny, fake_lookup, looks, make_data, run_job, trial_job
from safetensors.torch import load_file

from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFinished
from seedbed.core.specs import ArchitectureSpec

ARCHITECTURE = ArchitectureSpec(name="tiny", summary="Stand-in.", build="fakes:other", weights=("quarter",))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=90)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "0000"


def _building(build):
    return fake_lookup().with_((ARCHITECTURE, build))


def test_a_probe_fits_the_head_alone(made, folder):
    events = run_job(trial_job(made, folder, policy="probe", weights="quarter", resolution=24))
    finished = events[-1]
    assert isinstance(finished, TrialFinished), finished
    state = load_file(folder / "checkpoint.safetensors")
    assert bool((state["backbone.conv.weight"] == 0.25).all())
    assert bool((state["backbone.norm.running_mean"] == 0.25).all())
    assert state["head.weight"].any()
    assert finished.score > 0.8
    assert len(looks(events)) == 1


def test_head_then_all_trains_everything_from_the_fitted_head(made, folder):
    job = trial_job(
        made,
        folder,
        policy="head_then_all",
        weights="quarter",
        policy__head_then_all__layer_decay=0.7,
        optimizer__sgd__lr=0.01,
        fidelity=Fidelity(epochs=2),
    )
    events = run_job(job)
    assert isinstance(events[-1], TrialFinished), events[-1]
    state = load_file(folder / "checkpoint.safetensors")
    assert not (state["backbone.conv.weight"] == 0.25).all()
    assert looks(events)[0].score > 0.6


def test_full_starts_from_pretrained_weights(made, folder):
    values = {"policy": "full", "weights": "quarter", "policy__full__freeze_norm": True}
    events = run_job(trial_job(made, folder, optimizer__sgd__lr=1e-4, fidelity=Fidelity(epochs=1), **values))
    state = load_file(folder / "checkpoint.safetensors")
    assert isinstance(events[-1], TrialFinished), events[-1]
    assert bool((state["backbone.norm.running_mean"] == 0.25).all())
    assert bool(((state["backbone.conv.weight"] - 0.25).abs() < 0.05).all())


def test_resolution_grows_while_a_pretrained_net_is_trained(made, folder):
    sizes = []

    class Watching(Tiny):
        def forward(self, inputs):
            if self.training and len(inputs) > 2:  # two rows only show what they take of memory
                sizes.append(inputs.shape[-1])
            return super().forward(inputs)

    job = trial_job(
        made,
        folder,
        policy="full",
        weights="quarter",
        resolution=64,
        policy__full__start_size=0.75,
        policy__full__start_share=0.5,
        fidelity=Fidelity(epochs=3),
    )
    assert isinstance(run_job(job, _building(lambda options, profile: Watching(4, 3)))[-1], TrialFinished)
    assert sorted(set(sizes)) == [48, 64]
    assert sizes == sorted(sizes)


def test_a_handful_of_rows_is_enough(tmp_path):
    few = make_data(tmp_path / "few", rows=18)
    for policy in ("scratch", "probe", "head_then_all"):
        events = run_job(trial_job(few, tmp_path / policy, policy=policy, weights="quarter", batch_size=256))
        assert isinstance(events[-1], TrialFinished), events[-1]


def test_batch_norm_learns_its_statistics_from_scratch(made, folder):
    """Frozen at their first values, 0 and 1, they would be no normalisation at all."""
    run_job(trial_job(made, folder))
    assert (load_file(folder / "checkpoint.safetensors")["backbone.norm.running_mean"] != 0).all()


@pytest.mark.parametrize("policy", ["head_then_all", "full"])
def test_batch_norm_keeps_the_statistics_of_the_pretraining(made, folder, policy):
    run_job(trial_job(made, folder, policy=policy, weights="quarter"))
    assert (load_file(folder / "checkpoint.safetensors")["backbone.norm.running_mean"] == 0.25).all()
