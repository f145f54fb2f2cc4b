"""The mean of the weights of nets that were fine-tuned from the same ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from core.training.helpers import is_as_judged, make_data, run_job, trial_job
from safetensors.torch import load_file, save_file

from seedbed.core.errors import TrialError
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFinished, TrialRefused
from seedbed.core.training.member import CHECKPOINT
from seedbed.core.training.soup import averaged


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), noise=160)


@pytest.fixture
def tuned(made, tmp_path):
    """Two nets fine-tuned from the same weights, and the job of the first."""
    jobs = [
        trial_job(
            made,
            tmp_path / str(seed),
            seed=seed,
            policy="head_then_all",
            weights="quarter",
            fidelity=Fidelity(epochs=2),
        )
        for seed in (0, 1)
    ]
    scores = [run_job(job)[-1].score for job in jobs]
    return sorted(zip(scores, jobs, strict=True), key=lambda each: -each[0])


def soup_of(tuned, folder):
    job = replace(tuned[0][1], trial=2, folder=str(folder), ingredients=tuple(job.folder for _, job in tuned))
    return run_job(job)[-1]


def test_the_mean_is_judged_by_itself_and_kept(made, tuned, tmp_path):
    finished = soup_of(tuned, tmp_path / "soup")
    assert isinstance(finished, TrialFinished)
    assert finished.score >= tuned[0][0]
    assert finished.notes == ("The mean of the weights of 2 of 2 trials.",)
    states = [load_file(f"{job.folder}/{CHECKPOINT}") for _, job in tuned]
    kept = load_file(tmp_path / "soup" / CHECKPOINT)
    assert torch.allclose(kept["head.weight"], (states[0]["head.weight"] + states[1]["head.weight"]) / 2, atol=1e-6)
    assert is_as_judged(made, tmp_path / "soup")


def test_what_makes_the_mean_worse_is_left_out_and_alone_the_best_gains_nothing(made, tuned, tmp_path):
    job = tuned[1][1]
    spoilt = {name: -50 * tensor for name, tensor in load_file(f"{job.folder}/{CHECKPOINT}").items()}
    save_file(spoilt, f"{job.folder}/{CHECKPOINT}")
    refused = soup_of(tuned, tmp_path / "soup")
    assert isinstance(refused, TrialRefused)
    assert "No mean of these weights is as good" in refused.reason


def test_other_nets_cannot_be_averaged():
    with pytest.raises(TrialError, match="different nets"):
        averaged([{"a": torch.ones(2)}, {"a": torch.ones(3)}])
    with pytest.raises(TrialError, match="different nets"):
        averaged([{"a": torch.ones(2)}, {"b": torch.ones(2)}])


def test_whole_numbers_are_those_of_the_first():
    found = averaged([{"n": torch.tensor(3), "w": torch.zeros(1)}, {"n": torch.tensor(5), "w": torch.ones(1)}])
    assert (int(found["n"]), float(found["w"])) == (3, 0.5)
