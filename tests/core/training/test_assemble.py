from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from core.training.helpers import CLASSES, Tiny, candidate, fake_lookup, make_data, tiny
from torch import nn

from seedbed.core.errors import PluginError, UnknownName
from seedbed.core.protocols import Regularizer
from seedbed.core.specs import ArchitectureSpec, RegularizerSpec
from seedbed.core.training.assemble import (
    Net,
    assemble,
    backbone_layers,
    build_augmenters,
    build_model,
    load_pretrained,
    make_view,
    param_groups,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=36)


def _ids(groups):
    return [id(each) for group in groups for each in group["params"]]


def test_a_new_model_finds_all_classes_equally_likely(made):
    model = build_model(candidate(), made.profile, made.view, fake_lookup())
    probabilities = model(torch.randn(4, 1, 12, 12)).softmax(1)
    assert torch.allclose(probabilities, torch.full((4, len(CLASSES)), 1 / 3))


def test_options_of_the_candidate_reach_the_builder(made):
    narrow = build_model(candidate(architecture__tiny__width=4), made.profile, made.view, fake_lookup())
    assert narrow.backbone.conv.out_channels == 4


@pytest.mark.parametrize("features", [None, 0, -3, 2.5, "8"])
def test_a_backbone_that_does_not_tell_its_features_is_refused(made, features):
    def nameless(options, profile):
        backbone = nn.Flatten()
        if features is not None:
            backbone.num_features = features
        return backbone

    spec = ArchitectureSpec(name="tiny", summary="Nameless.", build="fakes:nameless")
    with pytest.raises(PluginError, match=r"'tiny' has no `num_features`.*must say how many"):
        build_model(candidate(), made.profile, made.view, fake_lookup().with_((spec, nameless)))


def test_the_view_is_that_of_the_data_without_pretrained_weights(made):
    assert make_view(candidate(), made.profile, fake_lookup()) == made.view
    smaller = make_view(candidate(resolution=8), made.profile, fake_lookup())
    assert (smaller.height, smaller.mean) == (8, made.view.mean)


def test_the_view_is_that_of_the_pretraining_with_pretrained_weights(made):
    view = make_view(candidate(weights="quarter", resolution=24), made.profile, fake_lookup())
    assert (view.height, view.width, view.channels) == (24, 24, 3)
    assert (view.mean, view.std) == ((0.5,) * 3, (0.5,) * 3)
    model = build_model(candidate(weights="quarter"), made.profile, view, fake_lookup())
    assert model.backbone.conv.in_channels == 3


def test_pretrained_weights_reach_the_backbone_alone(made):
    chosen = candidate(weights="quarter")
    model = build_model(chosen, made.profile, make_view(chosen, made.profile, fake_lookup()), fake_lookup())
    load_pretrained(model, chosen, fake_lookup())
    assert all(bool((each == 0.25).all()) for each in model.backbone.parameters())
    assert bool((model.head.weight == 0).all())


def test_frozen_batch_norm_stays_frozen_in_training_mode():
    model = Net(Tiny(4, 1), 36, 3)
    model.norm_is_frozen = True
    model.train()
    before = {name: each.clone() for name, each in model.state_dict().items()}
    model(torch.randn(8, 1, 12, 12) * 5 + 3)
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert model.training
    model.norm_is_frozen = False
    model.train()(torch.randn(8, 1, 12, 12) * 5 + 3)
    assert not torch.equal(model.backbone.norm.running_mean, before["backbone.norm.running_mean"])


def test_norms_and_biases_are_never_decayed_and_every_parameter_comes_once():
    model = Net(Tiny(4, 1), 36, 3)
    for decay in (1.0, 0.5):
        groups = param_groups(model, decay)
        assert sorted(_ids(groups)) == sorted(id(each) for each in model.parameters())
        for group in groups:
            spared = group.get("weight_decay") == 0.0
            assert all((each.ndim < 2) == spared for each in group["params"])


def test_without_layer_decay_there_are_two_groups_of_one_rate():
    groups = param_groups(Net(Tiny(4, 1), 36, 3), 1.0)
    assert [group["lr_scale"] for group in groups] == [1.0, 1.0]


def test_the_rate_falls_from_the_head_to_the_input_by_the_layer_decay():
    model = Net(Tiny(4, 1), 36, 3)
    scales = {id(p): group["lr_scale"] for group in param_groups(model, 0.5) for p in group["params"]}
    backbone = model.backbone
    by_depth = [model.head.weight, backbone.body[1].weight, backbone.norm.weight, backbone.conv.weight]
    assert [scales[id(each)] for each in by_depth] == [1.0, 0.5, 0.25, 0.125]
    assert scales[id(model.head.bias)] == 1.0


def test_frozen_parameters_are_left_out():
    model = Net(Tiny(4, 1), 36, 3)
    model.backbone.requires_grad_(False)
    assert sorted(_ids(param_groups(model, 0.5))) == sorted(map(id, model.head.parameters()))


def test_a_backbone_may_tell_its_layers_itself():
    backbone = Tiny(4, 1)
    own = [list(backbone.body.parameters()), [backbone.conv.weight, *backbone.norm.parameters()]]
    backbone.layers = lambda: own
    assert backbone_layers(backbone) is own


def test_a_submodule_that_is_called_layers_is_no_method():
    class Stacked(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(400, 8))
            self.num_features = 8

        def forward(self, inputs):
            return self.layers(inputs)

    backbone = Stacked()
    found = backbone_layers(backbone)
    assert [[each.ndim for each in layer] for layer in found] == [[4, 1], [2, 1]]


def test_parameters_outside_of_any_layer_count_as_the_first():
    class WithToken(Tiny):
        def __init__(self):
            super().__init__(4, 1)
            self.token = nn.Parameter(torch.zeros(1, 4))

    backbone = WithToken()
    layers = backbone_layers(backbone)
    assert layers[0][0] is backbone.token
    assert sum(map(len, layers)) == len(list(backbone.parameters()))


def test_a_module_used_twice_is_trained_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.second = nn.Sequential(self.first, nn.ReLU())
            self.num_features = 4

    model = Net(Tied(), 4, 2)
    found = _ids(param_groups(model, 0.5))
    assert sorted(found) == sorted({*found})


def test_augmenters_come_in_the_order_of_their_names_and_only_those_switched_on(made):
    lookup = fake_lookup()
    assert build_augmenters(candidate(augmenter__mirror=False), made.profile, made.view, lookup) == []
    assert len(build_augmenters(candidate(augmenter__mirror=True), made.profile, made.view, lookup)) == 1


def test_a_component_that_is_missing_is_named(made):
    with pytest.raises(UnknownName, match=r"No augmenter is named 'miror'. Did you mean 'mirror'\?"):
        build_augmenters(candidate(augmenter__miror=True), made.profile, made.view, fake_lookup())


def test_the_parts_fit_together_and_the_peak_rate_is_scaled_by_depth(made):
    class Doubling(Regularizer):
        def on_model(self, model):
            model.dropout.p = 0.3

        def on_loss(self, loss):
            return lambda logits, targets: 2 * loss(logits, targets)

    spec = RegularizerSpec(name="doubling", summary="Twice the loss.", build="fakes:doubling")
    lookup = fake_lookup().with_((spec, lambda options, profile: Doubling()))
    chosen = candidate(optimizer__sgd__lr=0.4, regularizer__doubling=True, augmenter__mirror=True)
    model = build_model(chosen, made.profile, made.view, lookup)
    parts = assemble(model, chosen, made.profile, made.view, lookup, layer_decay=0.5)
    logits, targets = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    expected = 2 * nn.functional.cross_entropy(logits, targets, reduction="none")
    assert torch.allclose(parts.loss(logits, targets), expected)
    assert model.dropout.p == 0.3
    assert len(parts.augmenters) == len(parts.regularizers) == 1
    assert sorted({group["initial_lr"] for group in parts.optimizer.param_groups}) == [0.05, 0.1, 0.2, 0.4]
    assert parts.schedule(0.25) == 0.75


def test_a_view_of_other_channels_reaches_the_builder(made):
    seen = []

    def watching(options, profile):
        seen.append((profile.height, profile.width, profile.channels))
        return tiny(options, profile)

    spec = fake_lookup().get("architecture", "tiny")
    view = replace(made.view, height=20, width=24, channels=3, mean=(0.5,) * 3, std=(0.5,) * 3)
    build_model(candidate(), made.profile, view, fake_lookup().with_((spec, watching)))
    assert seen == [(20, 24, 3)]
