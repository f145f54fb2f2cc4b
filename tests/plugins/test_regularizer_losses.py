from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from seedbed.core.training.outputs import plain_loss
from seedbed.plugins.regularizers import ClassWeightsOptions, LabelSmoothingOptions
from seedbed.plugins.regularizers.losses import MOST, class_weights, label_smoothing
from seedbed.registry.conformance.samples import profile_of

PLAIN = plain_loss("classification")


def _examples():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(32, 5, generator=generator), torch.arange(32) % 5


def _counted(counts, kind="classification", train=None):
    profile = profile_of(classes=len(counts))
    task = replace(profile.task, kind=kind)
    return replace(profile, task=task, class_counts=counts, train=sum(counts) if train is None else train)


def _weighted(counts, power):
    return class_weights(ClassWeightsOptions(power=power), _counted(counts)).on_loss(PLAIN)


@pytest.mark.parametrize("amount", [0.02, 0.1, 0.2])
def test_smoothed_cross_entropy_is_torchs_own(amount):
    logits, targets = _examples()
    loss = label_smoothing(LabelSmoothingOptions(amount=amount), profile_of()).on_loss(PLAIN)
    expected = F.cross_entropy(logits, targets, label_smoothing=amount, reduction="none")
    assert torch.allclose(loss(logits, targets), expected)


def test_smoothing_takes_mixed_targets():
    logits, _ = _examples()
    mixed = torch.rand(32, 5, generator=torch.Generator().manual_seed(1)).softmax(-1)
    loss = label_smoothing(LabelSmoothingOptions(amount=0.1), profile_of()).on_loss(PLAIN)
    expected = F.cross_entropy(logits, 0.9 * mixed + 0.1 / 5, reduction="none")
    assert torch.allclose(loss(logits, mixed), expected, atol=1e-6)


def test_smoothing_keeps_the_loss_it_is_given():
    logits, targets = _examples()
    loss = label_smoothing(LabelSmoothingOptions(amount=0.1), profile_of()).on_loss(
        lambda logits, targets: logits.sum(-1) * 0 + 10
    )
    plain = F.cross_entropy(logits, targets, label_smoothing=1.0, reduction="none")
    assert torch.allclose(loss(logits, targets), 0.9 * 10 + 0.1 * plain)


def test_smoothing_prefers_a_bounded_confidence():
    """With plain cross-entropy ever larger logits are ever better."""
    targets = torch.tensor([0])
    loss = label_smoothing(LabelSmoothingOptions(amount=0.2), profile_of()).on_loss(PLAIN)
    losses = [float(loss(torch.tensor([[size, 0.0, 0.0]]), targets)) for size in (0.0, 2.5, 20.0)]
    assert losses[1] < losses[0]
    assert losses[1] < losses[2]


def test_smoothing_changes_neither_the_model_nor_its_weights():
    model = nn.Linear(3, 2)
    before = model.weight.clone()
    regularizer = label_smoothing(LabelSmoothingOptions(), profile_of())
    regularizer.on_model(model)
    regularizer.after_step(model, 0.5)
    assert torch.equal(model.weight, before)


def test_at_full_power_all_classes_count_alike():
    counts = (80, 15, 5)
    targets = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
    loss = _weighted(counts, 1.0)(torch.zeros(100, 3), targets)
    shares = [float(loss[targets == each].sum() / loss.sum()) for each in range(3)]
    assert shares == pytest.approx([1 / 3] * 3)


@given(
    counts=st.lists(st.integers(1, 100_000), min_size=2, max_size=8),
    power=st.floats(0.2, 1.0),
)
def test_weights_average_one_over_the_examples_and_favour_the_rare(counts, power):
    weights = class_weights(ClassWeightsOptions(power=power), _counted(tuple(counts))).weights
    held = torch.tensor(counts, dtype=torch.float64)
    assert float((weights * held).sum() / held.sum()) == pytest.approx(1.0, rel=1e-5)
    assert float(weights.max() / weights.min()) <= MOST * (1 + 1e-5)
    rare_first = weights[torch.tensor(counts).argsort()]
    assert bool((rare_first.diff() <= 1e-6 * rare_first[:-1]).all())


def test_balanced_classes_keep_their_loss():
    logits, targets = _examples()
    assert torch.allclose(_weighted((60,) * 5, 0.5)(logits, targets), PLAIN(logits, targets))


def test_a_mixed_target_weighs_what_is_expected_of_it():
    logits, targets = _examples()
    counts = (100, 50, 20, 10, 5)
    loss = _weighted(counts, 0.5)
    weights = class_weights(ClassWeightsOptions(power=0.5), _counted(counts)).weights
    pure = F.one_hot(targets, 5).float()
    assert torch.allclose(loss(logits, pure), loss(logits, targets), atol=1e-5)
    mixed = 0.7 * pure + 0.3 * pure.roll(1, 0)
    assert torch.allclose(loss(logits, mixed), (mixed * weights).sum(-1) * PLAIN(logits, mixed), atol=1e-5)


def test_a_class_without_training_examples_leaves_the_weights_finite():
    weights = class_weights(ClassWeightsOptions(power=1.0), _counted((50, 0, 10))).weights
    assert bool(weights.isfinite().all())
    assert float((weights * torch.tensor([50.0, 0.0, 10.0])).sum() / 60) == pytest.approx(1.0)


def test_rare_positives_of_a_label_count_as_much_as_its_negatives():
    plain = plain_loss("multilabel")
    targets = torch.zeros(100, 2)
    targets[:4, 0] = 1
    targets[:50, 1] = 1
    profile = _counted((4, 50), kind="multilabel", train=100)
    loss = class_weights(ClassWeightsOptions(power=1.0), profile).on_loss(plain)
    logits = torch.zeros(100, 2, requires_grad=True)
    loss(logits, targets).mean().backward()
    assert torch.allclose(logits.grad.sum(0), torch.zeros(2), atol=1e-6), "at even odds both sides pull alike"
    assert loss(logits, targets).shape == (100,)
    assert torch.allclose(loss(logits, targets).mean(), plain(logits, targets).mean())


def test_without_counts_nothing_is_weighted():
    bare = replace(profile_of(), class_counts=())
    assert class_weights(ClassWeightsOptions(), bare).on_loss(PLAIN) is PLAIN
