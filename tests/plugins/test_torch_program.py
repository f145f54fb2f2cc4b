from __future__ import annotations

import numpy as np
import pytest
import torch
from core.training.helpers import fake_lookup, make_data, run_job, trial_job

from seedbed.core.data.preparing.decode import ImageForm
from seedbed.core.data.preparing.prepare_again import InputForm
from seedbed.core.results.bundle import save_bundle
from seedbed.core.results.predict import Model
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFinished
from seedbed.core.specs import NoOptions
from seedbed.core.training.member import load_member
from seedbed.plugins.exporters.torch_program import exporter

pytestmark = pytest.mark.slow  # torch.export loads the compiler


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=90)


@pytest.fixture(scope="module")
def bundle(made, tmp_path_factory):
    """Two members of unequal weight; one wants three channels and a larger picture, one averages two views."""
    from dataclasses import replace

    folder, trials = tmp_path_factory.mktemp("run"), []
    members = (
        {"policy": "full", "weights": "quarter", "resolution": 24, "optimizer__sgd__lr": 0.01},
        {"augmenter__mirror": True},
    )
    for number, values in enumerate(members):
        job = trial_job(made, folder / str(number), trial=number, fidelity=Fidelity(epochs=4), **values)
        assert isinstance(run_job(job)[-1], TrialFinished)
        trials.append((folder / str(number), 0.75 - 0.5 * number))
    replace(load_member(trials[1][0]), test_time_views=True).save(trials[1][0])
    form = InputForm(image=ImageForm(height=12, width=12, channels=1))
    save_bundle(folder / "best", trials, made.profile, form, score=0.9, source="here")
    return folder / "best"


@pytest.fixture(scope="module")
def program(bundle, tmp_path_factory):
    file = tmp_path_factory.mktemp("exported") / "model.pt2"
    assert exporter(NoOptions(), fake_lookup())(bundle, file) == file
    return torch.export.load(file).module()


@pytest.mark.parametrize("batch", [1, 2, 5, 15])
def test_the_exported_program_predicts_what_the_bundle_predicts(made, bundle, program, batch):
    pixels = made.pixels[made.splits.test][:batch]
    expected = Model(bundle, fake_lookup(), "cpu").predict_proba(pixels)
    inputs = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        found = program(inputs)
    assert found.shape == (batch, 3)
    assert np.allclose(found.numpy(), expected, atol=1e-4)


def test_it_refuses_pictures_of_another_form(program):
    with pytest.raises(Exception, match=r"(?i)shape|size|guard"):
        program(torch.rand(2, 1, 20, 20))
