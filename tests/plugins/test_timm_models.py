from __future__ import annotations

from dataclasses import fields
from functools import cache
from itertools import pairwise

import pytest
import torch
from torch import nn

from seedbed.core.errors import TrialError, UsageError
from seedbed.core.training.assemble import backbone_layers
from seedbed.plugins.architectures.images import AnyTimmOptions, TimmOptions, register_architectures
from seedbed.plugins.architectures.images.table import TIMM
from seedbed.plugins.architectures.images.timm_models import AnyTimmNet, TimmNet, build, by_name, named
from seedbed.registry.conformance.samples import profile_of

NAMES = [row.name for row in TIMM]


class Seeing(nn.Module):
    """A stand-in for a timm model: its features are the inputs that it sees, and it keeps them."""

    num_features = 3

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1))
        self.last = nn.Linear(4, 3)

    def forward(self, inputs):
        self.seen = inputs
        return inputs.mean((2, 3))


def test_small_images_get_a_border_of_the_mean():
    net = TimmNet(Seeing(), least=32)
    inputs = torch.randn(2, 3, 27, 40)
    net(inputs)
    assert net.net.seen.shape == (2, 3, 32, 40)
    assert torch.equal(net.net.seen[:, :, 2:29], inputs)
    assert float(net.net.seen.square().sum()) == pytest.approx(float(inputs.square().sum()))


def test_large_enough_images_are_seen_as_they_are():
    net, inputs = TimmNet(Seeing(), least=32), torch.randn(2, 3, 32, 50)
    net(inputs)
    assert net.net.seen is inputs


def test_a_net_of_one_size_gets_images_of_that_size():
    net = TimmNet(Seeing(), only=(24, 24))
    net(torch.full((2, 3, 60, 30), 0.7))
    assert net.net.seen.shape == (2, 3, 24, 24)
    assert torch.allclose(net.net.seen, torch.tensor(0.7))


def test_a_net_of_any_name_changes_nothing_until_it_is_told_of_its_pretraining():
    net, inputs = AnyTimmNet("seeing", Seeing(), least=1, only=None), torch.rand(2, 3, 8, 8)
    net(inputs)
    assert torch.equal(net.net.seen, inputs)
    net.pretrained_on((0.1, 0.2, 0.3), (0.5, 0.25, 1.0))
    net(inputs)
    expected = torch.stack([(inputs[:, 0] - 0.1) / 0.5, (inputs[:, 1] - 0.2) / 0.25, inputs[:, 2] - 0.3], 1)
    assert torch.allclose(net.net.seen, expected, atol=1e-6)
    again = AnyTimmNet("seeing", Seeing(), least=1, only=None)
    again.load_state_dict(net.state_dict())  # a bundle keeps what it was normalised by
    again(inputs)
    assert torch.equal(again.net.seen, net.net.seen)


def test_a_net_that_does_not_group_its_parameters_is_ordered_by_its_modules():
    net = TimmNet(Seeing())
    expected = [[id(each) for each in part.parameters()] for part in (*net.net.stem, net.net.last)]
    assert [[id(each) for each in layer] for layer in net.layers()] == expected


def test_the_table_goes_from_small_to_large_within_a_family():
    families = [(row.title.partition("-")[0], "Lite" in row.title) for row in TIMM]
    for (one, other), (row, after) in zip(pairwise(families), pairwise(TIMM), strict=True):
        assert one != other or row.parameters < after.parameters, f"{row.name}, {after.name}"


def test_any_other_model_is_there_for_those_who_ask():
    (spec,) = (each for each in register_architectures() if each.name == "timm")
    assert spec.on_request
    assert not any(each.on_request for each in register_architectures() if each.name in NAMES)


@cache
def _meta(name, **options):
    """Build a model without memory for its numbers; the tests share it, and leave it as it is."""
    with torch.device("meta"):
        return build(name, TimmOptions(**options), profile_of(channels=3)).eval()


def _any(name, *, channels=3, **options):
    return by_name(AnyTimmOptions(model=name, **options), profile_of(channels=channels))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_declared_number_of_parameters_is_exact(name):
    (row,) = (each for each in TIMM if each.name == name)
    assert sum(each.numel() for each in _meta(name).parameters()) == row.parameters


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_model_takes_every_size_and_gives_features_as_wide_as_announced(name):
    net = _meta(name)
    for size in (8, 33):
        assert net(torch.zeros(2, 3, size, size + 1, device="meta")).shape == (2, net.num_features)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_family_takes_its_options(name):
    """`drop_path` is searched for all of them: none may stumble over it."""
    assert [field.name for field in fields(TimmOptions)] == ["drop_path"]
    assert any(getattr(each, "drop_prob", 0) for each in _meta(name, drop_path=0.2).modules())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_layers_go_from_the_stem_by_stages_or_blocks_to_the_end(name):
    net = _meta(name)
    names = {id(each): key for key, each in net.net.named_parameters()}
    layers = [[names[id(each)] for each in layer] for layer in backbone_layers(net)]
    assert sorted(key for layer in layers for key in layer) == sorted(names.values())
    assert any("stem" in key or "conv1" in key or "patch_embed" in key for key in layers[0]), layers[0]
    assert 5 <= len(layers) <= 13
    # Each is deeper than the one before: where the names of modules hold a number, it grows.
    numbers = [int(found) for layer in layers for found in layer[0].split(".")[1:2] if found.isdigit()]
    if name.startswith(("convnext", "vit", "deit", "tf_", "efficientnet", "mobilenet")):
        assert numbers == sorted(numbers)
        assert len(numbers) >= 4
    else:
        stages = [layer[0].split(".")[0] for layer in layers[1:]]
        assert stages in ([f"layer{n}" for n in (1, 2, 3, 4)], [f"s{n}" for n in (1, 2, 3, 4)])
    # Nothing that is normalised stands apart from its normalisation.
    assert all(any(net.net.get_parameter(key).ndim > 1 for key in layer) for layer in layers[:-1])


@pytest.mark.slow
def test_a_vit_sees_patches_beyond_the_size_it_was_made_for():
    torch.manual_seed(0)
    net = named.vit_tiny_patch16_224(TimmOptions(), profile_of(channels=3)).eval()
    inputs = torch.randn(1, 3, 40, 72)
    with torch.no_grad():
        one = net(inputs)
        inputs[:, :, 39, 71] += 100  # the last pixel lies in a patch that does not fit whole
        assert not torch.allclose(one, net(inputs))


@pytest.mark.slow
def test_features_come_as_wide_as_they_are_announced():
    """MobileNetV3 widens its feature map once more before the classifier."""
    net = named.mobilenetv3_large_100(TimmOptions(), profile_of(channels=1)).eval()
    with torch.no_grad():
        assert net(torch.randn(1, 1, 64, 64)).shape == (1, net.num_features) == (1, 1280)


@pytest.mark.slow
def test_a_model_that_timm_does_not_know_says_where_the_names_are():
    with pytest.raises(TrialError, match=r"knows no model 'resnet19'; timm\.list_models\(\) names all"):
        named.resnet19(TimmOptions(), profile_of())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "vgg11_bn",  # wider features than its feature map
        "resnet50.tv2_in1k",  # with the tag of its weights
        "swin_tiny_patch4_window7_224",  # of one size
        "mixer_s32_224",  # of one size
        "vit_small_patch14_dinov2",  # patches of 14 pixels
    ],
)
def test_any_model_of_timm_can_be_named(name):
    with torch.device("meta"):
        net = _any(name).eval()
        for size in (20, 75, 96):
            assert net(torch.zeros(2, 3, size, size)).shape == (2, net.num_features)
        listed = [id(each) for layer in net.layers() for each in layer]
        assert sorted(listed) == sorted(id(each) for each in net.parameters())


@pytest.mark.slow
def test_a_net_of_any_name_takes_images_in_grey():
    net = _any("resnet18", channels=1).eval()
    with torch.no_grad():
        assert net(torch.randn(1, 1, 40, 40)).shape == (1, 512)


@pytest.mark.slow
def test_an_unknown_name_is_answered_with_those_close_to_it():
    with pytest.raises(
        UsageError, match=r"knows no model 'resnett18'\. Did you mean 'resnet18' or .*architecture=timm:"
    ):
        _any("resnett18")
    with pytest.raises(UsageError, match=r"knows no model '\?\?\?'\. timm\.list_models"):
        _any("???")


@pytest.mark.slow
def test_stochastic_depth_is_refused_in_words_where_there_is_none():
    with pytest.raises(
        UsageError, match=r"timm's vgg11 takes no stochastic depth; leave architecture\.timm\.drop_path"
    ):
        _any("vgg11", drop_path=0.1)
