from __future__ import annotations

import pytest
import torch
from torch import nn

from seedbed.core.training.assemble import Net
from seedbed.core.training.unfreezing import Unfreezing


@pytest.fixture
def net():
    return Net(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)), 3, 2)


def free(net):
    return [all(each.requires_grad for each in layer.parameters()) for layer in net.backbone]


def test_layers_are_set_free_from_the_head_down(net):
    unfreezing = Unfreezing(net, 0.4)
    seen = []
    for progress in (0.0, 0.1, 0.2, 0.3, 0.4, 0.9):
        unfreezing(progress)
        seen.append(free(net))
    assert seen == [
        [False, False, False, False],
        [False, False, False, True],
        [False, False, True, True],
        [False, True, True, True],
        [True, True, True, True],
        [True, True, True, True],
    ]
    assert all(each.requires_grad for each in net.head.parameters())


def test_what_is_fixed_gets_no_gradient(net):
    Unfreezing(net, 0.4)(0.1)
    nn.init.ones_(net.head.weight)
    net(torch.randn(2, 3)).sum().backward()
    assert [layer.weight.grad is not None for layer in net.backbone] == [False, False, False, True]


def test_what_was_fixed_for_good_stays_so(net):
    net.backbone[3].weight.requires_grad_(False)
    Unfreezing(net, 0.2)(0.9)
    assert not net.backbone[3].weight.requires_grad
    assert net.backbone[3].bias.requires_grad
