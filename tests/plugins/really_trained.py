"""A net that is really trained, what comes of it undisturbed, and whether another training of it ended alike."""

from dataclasses import replace

import numpy as np
from core.training.helpers import make_learnable, run_job, trial_job
from plugins.following import looks
from safetensors.torch import load_file

from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import EpochFinished, TrialFinished
from seedbed.core.training.predictions import load_predictions


def trained(folder):
    """Return a job, the gate that it waits at under `gated_training`, and the events when nothing happens."""
    made, gate = make_learnable(folder / "made", rows=180), folder / "gate"
    found = trial_job(made, folder / "whole", fidelity=Fidelity(epochs=6), optimizer__sgd__lr=0.01)
    values = {**found.candidate.values, "gate": str(gate)}
    found = replace(found, candidate=Candidate(values, found.candidate.versions), threads=1)
    return found, gate, run_job(found)


def assert_ended_alike(whole, events, here, there):
    """See that the looks are those of the undisturbed training, and the net is the same to the last bit.

    What was told when a process died may be told again by the next: a study drops that.
    """
    assert isinstance(events[-1], TrialFinished), events[-1]
    assert list(dict.fromkeys(looks(events))) == [each.epoch for each in whole if isinstance(each, EpochFinished)]
    assert (events[-1].score, events[-1].steps) == (whole[-1].score, whole[-1].steps)
    said = [load_predictions(each / "predictions.npz").outputs for each in (here, there)]
    assert np.array_equal(*said)
    weights = [load_file(each / "checkpoint.safetensors") for each in (here, there)]
    assert all(bool((weights[0][key] == weights[1][key]).all()) for key in weights[0])
    assert not (there / "state").exists()
