from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from seedbed.core.training.outputs import plain_loss
from seedbed.plugins.regularizers import DropoutOptions, LabelSmoothingOptions
from seedbed.plugins.regularizers.builders import dropout, label_smoothing
from seedbed.registry.conformance.samples import profile_of

PLAIN = plain_loss("classification")


def _examples():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(32, 5, generator=generator), torch.arange(32) % 5


@pytest.mark.parametrize("amount", [0.02, 0.1, 0.2])
def test_smoothed_cross_entropy_is_torchs_own(amount):
    logits, targets = _examples()
    loss = label_smoothing(LabelSmoothingOptions(amount=amount), profile_of()).on_loss(PLAIN)
    expected = F.cross_entropy(logits, targets, label_smoothing=amount, reduction="none")
    assert torch.allclose(loss(logits, targets), expected)


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
