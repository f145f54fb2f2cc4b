from __future__ import annotations

import pytest
import torch
from torch import nn

from seedbed.plugins.optimizers import LionOptions, RmspropOptions
from seedbed.plugins.optimizers.builders import lion, rmsprop


def _weights(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4, 3), (4,), (2, 3, 3, 3))]


def _gradients(step):
    return [each.detach() for each in _weights(100 + step)]


def _run(optimizer, weights, steps=6):
    for step in range(steps):
        for each, gradient in zip(weights, _gradients(step), strict=True):
            each.grad = gradient.clone()
        optimizer.step()


def test_lion_takes_the_papers_steps():
    """Algorithm 2 of Chen et al. 2023, one weight at a time."""
    lr, decay, beta1, beta2 = 0.01, 0.3, 0.85, 0.98
    weights, expected = _weights(), [each.detach().clone() for each in _weights()]
    _run(lion([{"params": weights}], LionOptions(lr=lr, weight_decay=decay, beta1=beta1, beta2=beta2)), weights)
    for number, weight in enumerate(expected):
        momentum = torch.zeros_like(weight)
        for step in range(6):
            gradient = _gradients(step)[number]
            update = torch.sign(beta1 * momentum + (1 - beta1) * gradient)
            weight -= lr * (update + decay * weight)
            momentum = beta2 * momentum + (1 - beta2) * gradient
    for found, wanted in zip(weights, expected, strict=True):
        assert torch.allclose(found.detach(), wanted, atol=1e-6)


def test_every_lion_step_is_as_long_as_the_learning_rate():
    weights = _weights()
    before = [each.detach().clone() for each in weights]
    _run(lion([{"params": weights, "weight_decay": 0.0}], LionOptions(lr=0.01)), weights, steps=1)
    for found, start in zip(weights, before, strict=True):
        assert torch.allclose((found.detach() - start).abs(), torch.full_like(start, 0.01), atol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_rmsprop_without_decay_is_torchs(momentum):
    ours, theirs = _weights(), _weights()
    options = RmspropOptions(lr=0.01, weight_decay=0.0, alpha=0.95, momentum=momentum)
    _run(rmsprop([{"params": ours}], options), ours)
    _run(torch.optim.RMSprop(theirs, lr=0.01, alpha=0.95, momentum=momentum), theirs)
    for found, wanted in zip(ours, theirs, strict=True):
        assert torch.allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize(("build", "options"), [(lion, LionOptions), (rmsprop, RmspropOptions)])
def test_weight_decay_shrinks_by_the_learning_rate_and_a_group_may_say_otherwise(build, options):
    decayed, kept, own = (nn.Parameter(torch.full((3,), 2.0)) for _ in range(3))
    groups = [{"params": [decayed]}, {"params": [kept], "weight_decay": 0.0}, {"params": [own], "lr": 0.2}]
    optimizer = build(groups, options(lr=0.1, weight_decay=0.5))
    for each in (decayed, kept, own):
        each.grad = torch.zeros(3)
    optimizer.step()
    assert [float(each.detach()[0]) for each in (decayed, kept, own)] == pytest.approx([1.9, 2.0, 1.8])


@pytest.mark.parametrize(("build", "options"), [(lion, LionOptions), (rmsprop, RmspropOptions)])
def test_weights_without_gradients_rest_and_may_join_later(build, options):
    first, late = (nn.Parameter(torch.ones(3)) for _ in range(2))
    optimizer = build([{"params": [first, late]}], options())
    first.grad = torch.ones(3)
    optimizer.step()
    assert torch.equal(late, torch.ones(3))
    assert not torch.equal(first, torch.ones(3))
    late.grad = torch.ones(3)
    optimizer.step()
    assert not torch.equal(late, torch.ones(3))


@pytest.mark.parametrize(("build", "options"), [(lion, LionOptions), (rmsprop, RmspropOptions)])
def test_a_closure_is_called_with_gradients_on(build, options):
    weight = nn.Parameter(torch.ones(3))
    optimizer = build([{"params": [weight]}], options())

    def closure():
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return float(loss.detach())

    assert optimizer.step(closure) == 3.0
    assert not torch.equal(weight, torch.ones(3))
