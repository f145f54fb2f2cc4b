from __future__ import annotations

import pytest
import torch
from torch import nn

from seedbed.core.space import domains
from seedbed.core.training.assemble import backbone_layers
from seedbed.plugins.architectures.images import MLPOptions, register_architectures
from seedbed.plugins.architectures.images.mlp import mlp
from seedbed.registry.conformance.samples import profile_of


def _net(*, size=28, channels=1, **options):
    torch.manual_seed(0)
    return mlp(MLPOptions(**options), profile_of(size=size, channels=channels))


def _widths(net):
    return [(each.in_features, each.out_features) for each in net.modules() if isinstance(each, nn.Linear)]


def _dropped(net):
    return [each.p for each in net.modules() if isinstance(each, nn.Dropout)]


def test_by_default_it_is_the_net_of_the_paper_without_any_dropout():
    net = _net()
    assert _widths(net) == [(784, 1024), (1024, 1024), (1024, 2048)]
    assert _dropped(net) == []
    assert net.num_features == 2048
    assert sum(isinstance(each, nn.ReLU) for each in net.modules()) == 3


@pytest.mark.parametrize("layers", domains(MLPOptions)["layers"][0].options)
def test_the_layers_are_those_named(layers):
    net = _net(size=8, channels=3, layers=layers)
    assert "-".join(str(width) for _, width in _widths(net)) == layers
    assert net(torch.randn(2, 3, 8, 8)).shape == (2, net.num_features)


def test_dropout_stands_before_the_inputs_and_behind_every_hidden_layer():
    net = _net(input_dropout=0.2, hidden_dropout=0.5)
    assert _dropped(net) == [0.2, 0.5, 0.5, 0.5]
    kinds = [type(each) for each in net.body]
    assert kinds == [nn.Flatten, nn.Dropout, *(3 * [nn.Linear, nn.ReLU, nn.Dropout])]


def test_dropout_is_there_in_training_alone():
    net, inputs = _net(hidden_dropout=0.5), torch.randn(4, 1, 28, 28)
    with torch.no_grad():
        assert (net.train()(inputs) == 0).float().mean() > (net.eval()(inputs) == 0).float().mean() + 0.1
        assert torch.equal(net(inputs), net(inputs))


@pytest.mark.parametrize("hidden_dropout", [0.0, 0.5])
def test_the_scale_of_its_inputs_comes_through_all_layers(hidden_dropout):
    net = _net(input_dropout=0.4 * hidden_dropout, hidden_dropout=hidden_dropout).train()
    with torch.no_grad():
        features = net(torch.randn(64, 1, 28, 28))
    # Half of a rectified normal variable's mean square is that of the variable: He et al. keep it at 1. What
    # the last dropout leaves is that much larger.
    assert 0.5 < (1 - hidden_dropout) * float(features.square().mean()) < 2.0


def test_its_layers_go_from_input_to_output():
    net = _net(hidden_dropout=0.5)
    expected = [[id(each.weight), id(each.bias)] for each in net.body if isinstance(each, nn.Linear)]
    assert [[id(each) for each in layer] for layer in backbone_layers(net)] == expected


def test_it_is_offered_for_small_images():
    (spec,) = (each for each in register_architectures() if each.name == "mlp")
    assert spec.requires.max_size == 64
    assert spec.parameters == sum(each.numel() for each in _net(size=32, channels=3).parameters())
