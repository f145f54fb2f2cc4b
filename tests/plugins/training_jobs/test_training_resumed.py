"""A net that is really trained, on a machine that is taken away in the middle: it ends as if nothing had happened."""

import time
from dataclasses import replace

import numpy as np
import pytest
from core.training.helpers import make_learnable, run_job, trial_job
from plugins import gated_training
from plugins.following import SECONDS, job_names, looks, until
from safetensors.torch import load_file

from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import TERMINAL, EpochFinished, TrialFinished
from seedbed.core.training.predictions import load_predictions


@pytest.fixture
def trained(tmp_path):
    """A job, the gate that it waits at, and what comes of it when nothing happens."""
    made, gate = make_learnable(tmp_path / "made", rows=180), tmp_path / "gate"
    found = trial_job(made, tmp_path / "whole", fidelity=Fidelity(epochs=6), optimizer__sgd__lr=0.01)
    found = replace(
        found,
        candidate=Candidate({**found.candidate.values, "gate": str(gate)}, found.candidate.versions),
        threads=1,
    )
    events = run_job(found)
    return found, gate, events


def test_a_reclaimed_machine_changes_nothing_in_the_end(service, backend, trained, tmp_path):
    job, gate, whole = trained
    with backend(runner="plugins.gated_training:run", spot=True) as found:
        found.submit(replace(job, folder=str(tmp_path / "there")))
        events = []
        while not [
            each for each in events if isinstance(each, EpochFinished) and each.progress >= gated_training.PROGRESS
        ]:
            until(found, EpochFinished, events)
        (name,) = job_names(events)
        service.reclaim_spot(name)
        limit = time.monotonic() + SECONDS
        while "Attempt 2 of" not in service.log(name):
            assert time.monotonic() < limit, service.log(name)
            time.sleep(0.05)
        gate.touch()
        until(found, TERMINAL, events)
    assert isinstance(events[-1], TrialFinished), events[-1]
    told = [each for each in whole if isinstance(each, EpochFinished)]
    assert looks(events) == [each.epoch for each in told]
    assert (events[-1].score, events[-1].steps) == (whole[-1].score, whole[-1].steps)
    here, there = tmp_path / "whole", tmp_path / "there"
    said = [load_predictions(each / "predictions.npz").outputs for each in (here, there)]
    assert np.array_equal(*said)
    weights = [load_file(each / "checkpoint.safetensors") for each in (here, there)]
    assert all(bool((weights[0][key] == weights[1][key]).all()) for key in weights[0])
    assert not (there / "state").exists()
