from __future__ import annotations

import pytest
import torch
from torch import nn

from seedbed.plugins.regularizers import EarlyStoppingOptions, GradientClippingOptions, L2Options, MaxNormOptions
from seedbed.plugins.regularizers.stopping import early_stopping
from seedbed.plugins.regularizers.weights import gradient_clipping, l2, max_norm
from seedbed.registry.conformance.samples import profile_of


@pytest.fixture
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 6), nn.ReLU(), nn.Linear(6, 2)
        )
        return net.to(memory_format=torch.channels_last)


def _train(model, regularizer, steps=5, lr=1.0):
    """Steps long enough to leave any bound; yields after each."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=lr)
    for step in range(steps):
        optimizer.zero_grad()
        outputs = model(torch.randn(16, 3, 8, 8, generator=generator))
        (-outputs.square().mean()).backward()
        regularizer.on_gradients(model)
        optimizer.step()
        regularizer.after_step(model, (step + 1) / steps)
        yield


def _lengths(model):
    layers = [each for each in model.modules() if isinstance(each, nn.Linear | nn.Conv2d)]
    return torch.cat([each.weight.detach().flatten(1).norm(dim=1) for each in layers])


def test_no_unit_has_longer_incoming_weights_than_allowed_after_any_step(model):
    constraint = max_norm(MaxNormOptions(c=1.5), profile_of())
    bound_was_met = False
    for _ in _train(model, constraint):
        lengths = _lengths(model)
        assert float(lengths.max()) <= 1.5 * (1 + 1e-5)
        bound_was_met |= bool((lengths > 1.5 * (1 - 1e-4)).any())
    assert bound_was_met, "the steps were too short to show anything"


def test_max_norm_keeps_directions_and_leaves_short_vectors_alone():
    layer = nn.Linear(2, 2)
    layer.weight.data = torch.tensor([[6.0, 8.0], [0.3, 0.4]])
    before = layer.bias.detach().clone()
    max_norm(MaxNormOptions(c=2.0), profile_of()).after_step(layer, 0.5)
    assert torch.allclose(layer.weight.detach(), torch.tensor([[1.2, 1.6], [0.3, 0.4]]))
    assert torch.equal(layer.bias, before)


def test_max_norm_leaves_norms_and_frozen_layers_alone(model):
    model[1].weight.data.fill_(9.0)
    model[3].weight.data.fill_(9.0)
    model[3].weight.requires_grad_(False)
    max_norm(MaxNormOptions(c=1.0), profile_of()).after_step(model, 0.5)
    assert bool((model[1].weight == 9).all())
    assert bool((model[3].weight == 9).all())


def test_l2_adds_the_gradient_of_its_penalty_to_weights_alone(model):
    penalty = l2(L2Options(strength=0.01), profile_of())
    outputs = model(torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    outputs.square().mean().backward()
    before = {name: each.grad.clone() for name, each in model.named_parameters()}
    penalty.on_gradients(model)
    for name, each in model.named_parameters():
        expected = before[name] + (0.01 * each.detach() if each.ndim > 1 else 0)
        assert torch.allclose(each.grad, expected, atol=1e-7), name


def test_l2_passes_over_weights_without_gradients(model):
    l2(L2Options(), profile_of()).on_gradients(model)
    assert all(each.grad is None for each in model.parameters())


def test_l2_shrinks_what_the_loss_does_not_hold():
    layer = nn.Linear(3, 2, bias=False)
    start = layer.weight.detach().clone()
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    layer.weight.grad = torch.zeros_like(layer.weight)
    l2(L2Options(strength=0.01), profile_of()).on_gradients(layer)
    optimizer.step()
    assert torch.allclose(layer.weight.detach(), 0.99 * start)


@pytest.mark.parametrize(("factor", "is_cut"), [(100.0, True), (0.001, False)])
def test_gradients_are_cut_to_length_together_or_left_alone(model, factor, is_cut):
    outputs = model(torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    (factor * outputs.square().mean()).backward()
    before = torch.cat([each.grad.flatten() for each in model.parameters()])
    gradient_clipping(GradientClippingOptions(norm=0.5), profile_of()).on_gradients(model)
    after = torch.cat([each.grad.flatten() for each in model.parameters()])
    assert (float(before.norm()) > 0.5) == is_cut
    expected = before * (0.5 / before.norm()) if is_cut else before
    assert torch.allclose(after, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("scores", "is_done"),
    [
        ([], False),
        ([0.5], False),
        ([0.1, 0.2, 0.3, 0.4], False),
        ([0.5, 0.4, 0.4], False),
        ([0.5, 0.4, 0.4, 0.45], True),
        ([0.5, 0.5, 0.5, 0.5], True),
        ([0.5, 0.4, 0.4, 0.6], False),
        ([-3.0, -1.0, -2.0, -2.0, -2.0], True),
    ],
)
def test_training_ends_on_a_plateau(scores, is_done):
    assert early_stopping(EarlyStoppingOptions(patience=3), profile_of()).is_done(scores) is is_done
