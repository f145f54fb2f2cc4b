from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from seedbed.core.training.outputs import plain_loss
from seedbed.plugins.regularizers import DropoutOptions, StochasticDepthOptions
from seedbed.plugins.regularizers.nets import DropPath, dropout, stochastic_depth
from seedbed.registry.conformance.samples import profile_of

PLAIN = plain_loss("classification")


class _Block(nn.Module):
    """A residual block that adds 1, as timm writes them."""

    def __init__(self, drop_path):
        super().__init__()
        self.drop_path = drop_path

    def forward(self, inputs):
        branch = torch.ones_like(inputs)
        if isinstance(self.drop_path, nn.Module):
            branch = self.drop_path(branch)
        return inputs + branch


class _Model(nn.Module):
    def __init__(self, *blocks):
        super().__init__()
        self.backbone = nn.Sequential(*blocks)

    def forward(self, inputs):
        return self.backbone(inputs)


def test_dropout_zeroes_its_share_of_the_heads_inputs_in_training_alone():
    model = nn.Module()
    model.dropout = nn.Dropout(0.0)
    dropout(DropoutOptions(rate=0.3), profile_of()).on_model(model)
    torch.manual_seed(0)
    found = model.train().dropout(torch.ones(100, 100))
    assert float((found == 0).float().mean()) == pytest.approx(0.3, abs=0.02)
    assert torch.equal(model.eval().dropout(torch.ones(4, 4)), torch.ones(4, 4))


def test_dropout_leaves_the_loss_as_it_is():
    assert dropout(DropoutOptions(), profile_of()).on_loss(PLAIN) is PLAIN


@pytest.mark.parametrize("empty", [lambda: None, nn.Identity, lambda: DropPath(0.0)])
def test_the_rates_rise_in_a_line_with_depth_wherever_a_drop_path_could_be(empty):
    model = _Model(*(_Block(empty()) for _ in range(4)))
    stochastic_depth(StochasticDepthOptions(rate=0.2), profile_of()).on_model(model)
    assert [block.drop_path.drop_prob for block in model.backbone] == pytest.approx([0.05, 0.1, 0.15, 0.2])
    assert not model.state_dict(), "a bundle's plain model could not load it"


def test_a_number_is_set():
    model = _Model(_Block(0.0), _Block(0.0))
    stochastic_depth(StochasticDepthOptions(rate=0.2), profile_of()).on_model(model)
    assert [block.drop_path for block in model.backbone] == pytest.approx([0.1, 0.2])


def test_branches_are_left_out_as_often_as_said_and_the_mean_is_kept():
    model = _Model(_Block(None))
    stochastic_depth(StochasticDepthOptions(rate=0.25), profile_of()).on_model(model)
    torch.manual_seed(0)
    found = model.train()(torch.zeros(4000, 1, 2, 2))
    assert bool((found == found[:, :, :1, :1]).all()), "an example keeps its branch or loses it as a whole"
    assert float((found == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert float(found.mean()) == pytest.approx(1.0, abs=0.03)
    assert torch.equal(model.eval()(torch.zeros(4, 1, 2, 2)), torch.ones(4, 1, 2, 2))


def test_a_net_without_residual_blocks_stays_as_it_is_and_the_log_says_so(caplog):
    model = _Model(nn.Linear(2, 2), nn.ReLU(), nn.Identity())
    with caplog.at_level(logging.INFO):
        stochastic_depth(StochasticDepthOptions(), profile_of()).on_model(model)
    assert [type(each) for each in model.backbone] == [nn.Linear, nn.ReLU, nn.Identity]
    assert "stochastic depth does nothing" in caplog.text


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "tf_efficientnet_lite0"])
def test_timms_blocks_are_found_though_built_without(name):
    import timm

    model, plain = (_Model(timm.create_model(name, num_classes=0, in_chans=1)) for _ in range(2))
    stochastic_depth(StochasticDepthOptions(rate=0.3), profile_of()).on_model(model)
    rates = [each.drop_prob for each in model.modules() if isinstance(each, DropPath)]
    assert len(rates) >= 8
    assert rates == sorted(rates)
    assert rates[-1] == pytest.approx(0.3)
    inputs = torch.rand(8, 1, 32, 32)
    with torch.no_grad():
        for each in (each for each in model.parameters() if each.ndim == 1):
            each.fill_(1.0)  # residual branches that begin at 0 would hide what is dropped
        torch.manual_seed(0)
        assert not torch.equal(model.train()(inputs), model(inputs))
        plain.load_state_dict(model.state_dict())
        assert torch.equal(model.eval()(inputs), plain.eval()(inputs))
