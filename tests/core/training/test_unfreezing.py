from __future__ import annotations

import pytest
import torch
from core.training.helpers import VERSIONS, fake_lookup, make_data, run_job, trial_job
from torch import nn

from seedbed.core.protocols import Regularizer
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFinished
from seedbed.core.specs import RegularizerSpec
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


class Watching(Regularizer):
    """Notes the weights of each layer of the tiny net after every step."""

    def __init__(self):
        self.steps = []

    def after_step(self, model, progress):
        layers = (model.backbone.conv, model.backbone.norm, model.backbone.body[1], model.head)
        self.steps.append([layer.weight.detach().clone() for layer in layers])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=90)


@pytest.mark.parametrize("fused", [False, True])
def test_a_layer_moves_from_the_step_at_which_it_is_set_free_and_not_before(made, tmp_path, fused):
    """Neither momentum nor weight decay moves what is fixed; SGD has both here, as on the way to a pretrained net."""

    def sgd(groups, options):
        return torch.optim.SGD(groups, lr=0.05, momentum=0.9, weight_decay=0.1, fused=fused)

    watching, lookup = Watching(), fake_lookup()
    spec = RegularizerSpec(name="watching", summary="Notes weights.", build="fakes:w")
    lookup = lookup.with_((spec, lambda o, p: watching), (lookup.get("optimizer", "sgd"), sgd))
    job = trial_job(
        made,
        tmp_path / "0",
        versions=VERSIONS,
        policy="head_then_all",
        weights="quarter",
        policy__head_then_all__layer_decay=1.0,
        policy__head_then_all__unfreeze_share=0.6,
        regularizer__watching=True,
        fidelity=Fidelity(epochs=3),
    )
    finished = run_job(job, lookup)[-1]
    assert isinstance(finished, TrialFinished), finished
    states = watching.steps
    assert len(states) == finished.steps > 6
    for layer in range(3):
        begin = torch.full_like(states[0][layer], 0.25)  # as the pretrained weights are
        moved = [
            not torch.equal(each[layer], before)
            for each, before in zip(states, [begin, *(state[layer] for state in states)], strict=False)
        ]
        due = next(step for step in range(len(states)) if round(step / len(states) / 0.6 * 3) >= 3 - layer)
        assert moved == [step >= due for step in range(len(states))], f"layer {layer}"
    assert not torch.equal(states[0][3], states[1][3]), "the head learns from the start"
