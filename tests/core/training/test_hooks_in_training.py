"""What a training asks of regularizers and augmenters, and when; what of it the kept model shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from core.training.helpers import fake_lookup, looks, make_data, run_job, trial_job
from safetensors.torch import load_file

from seedbed.core.protocols import Regularizer
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFinished
from seedbed.core.specs import AugmenterSpec, RegularizerSpec
from seedbed.core.training.samples import SampleStage


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=90)


def trained(made, folder, regularizer=None, *, sample=None, epochs=4):
    specs = []
    if regularizer is not None:
        spec = RegularizerSpec(name="watched", summary="Watched.", build="fakes:w")
        specs.append((spec, lambda options, profile: regularizer))
    if sample is not None:
        spec = AugmenterSpec(name="each", summary="One at a time.", build="fakes:e", stage="sample")
        specs.append((spec, lambda options, profile: sample))
    switches = {"regularizer__watched": regularizer is not None or None, "augmenter__each": sample is not None or None}
    job = trial_job(made, folder, fidelity=Fidelity(epochs=epochs), **switches)
    events = run_job(job, fake_lookup().with_(*specs))
    assert isinstance(events[-1], TrialFinished), events[-1]
    return events


def test_a_batch_is_mixed_before_it_is_normalised_and_with_its_targets(made, tmp_path):
    class Mixing(Regularizer):
        seen = 0

        def on_batch(self, inputs, targets, generator):
            assert 0 <= float(inputs.min()) <= float(inputs.max()) <= 1
            assert targets.dtype == torch.int64
            type(self).seen += len(inputs)
            chances = torch.nn.functional.one_hot(targets, 3).float()
            order = torch.randperm(len(inputs), generator=generator)
            return 0.5 * (inputs + inputs[order]), 0.5 * (chances + chances[order])

    finished = trained(made, tmp_path / "0", Mixing())[-1]
    assert Mixing.seen == finished.steps * 16


def test_gradients_can_be_changed_before_each_step(made, tmp_path):
    class Stopping(Regularizer):
        def on_gradients(self, model):
            for each in model.parameters():
                each.grad.zero_()

    trained(made, tmp_path / "0", Stopping())
    state = load_file(tmp_path / "0" / "checkpoint.safetensors")
    assert not state["head.weight"].any(), "a head that begins at zero has moved without a gradient"


def test_averaged_weights_are_judged_and_kept_and_training_goes_on_from_its_own(made, tmp_path):
    class Halving(Regularizer):
        heads = ()

        def averaged(self, model):
            type(self).heads += (model.head.weight.detach().clone(),)
            return {name: each * 0.5 if name == "head.weight" else each for name, each in model.state_dict().items()}

    trained(made, tmp_path / "0", Halving())
    kept = load_file(tmp_path / "0" / "checkpoint.safetensors")["head.weight"]
    assert any(torch.allclose(kept, head * 0.5) for head in Halving.heads)
    trained(made, tmp_path / "1")
    plain = load_file(tmp_path / "1" / "checkpoint.safetensors")["head.weight"]
    assert torch.allclose(Halving.heads[-1], plain), "the average has leaked into the training"


def test_training_ends_when_a_regularizer_has_seen_enough(made, tmp_path):
    class Enough(Regularizer):
        def is_done(self, scores):
            return len(scores) == 3

    events = trained(made, tmp_path / "0", Enough(), epochs=20)
    assert len(looks(events)) == 3
    assert events[-1].epochs < 20
    assert any("its score had stopped rising" in note for note in events[-1].notes)


def test_the_scores_of_all_looks_so_far_are_told(made, tmp_path):
    told = []

    class Listening(Regularizer):
        def is_done(self, scores):
            told[:] = scores
            return False

    events = trained(made, tmp_path / "0", Listening())
    assert told == [each.score for each in looks(events)[: len(told)]]


def test_each_image_is_changed_as_it_is_stored(made, tmp_path):
    seen = []

    def change(image, rng):
        seen.append((image.shape, image.dtype, int(rng.integers(2**31))))
        return image

    finished = trained(made, tmp_path / "0", sample=change)[-1]
    assert len(seen) == finished.steps * 16
    assert {each[:2] for each in seen} == {((12, 12, 1), np.dtype(np.uint8))}
    assert len({each[2] for each in seen}) == len(seen), "two images share their randomness"


def test_what_becomes_of_an_image_depends_on_the_generator_alone():
    def noise(image, rng):
        return rng.integers(0, 256, image.shape, dtype=np.uint8)

    images = np.zeros((20, 4, 4, 3), dtype=np.uint8)
    one, same, other = (SampleStage([noise])(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_sample_augmenters_come_one_after_another():
    stage = SampleStage([lambda image, rng: image + np.uint8(1), lambda image, rng: image * np.uint8(3)])
    assert (stage(np.ones((2, 1, 1, 1), dtype=np.uint8), torch.Generator().manual_seed(0)) == 6).all()
