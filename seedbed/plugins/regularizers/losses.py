"""Regularizers that change the loss of each example."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from seedbed.core.data.profile import Profile
from seedbed.core.protocols import Loss, Regularizer

if TYPE_CHECKING:
    from seedbed.plugins.regularizers import ClassWeightsOptions, LabelSmoothingOptions

MOST = 100.0
"""How many times more an example may weigh than another: one row in a million would else drown all others."""


class LabelSmoothing(Regularizer):
    """Replaces plain cross-entropy by the one with smoothed targets."""

    def __init__(self, amount: float) -> None:
        self.amount = amount

    def on_loss(self, loss: Loss) -> Loss:
        """Return (1 - amount) · loss + amount · cross-entropy against all classes alike, of each example."""

        def smoothed(logits: Tensor, targets: Tensor) -> Tensor:
            uniform = -F.log_softmax(logits, dim=-1).mean(-1)
            return (1 - self.amount) * loss(logits, targets) + self.amount * uniform

        return smoothed


class ClassWeights(Regularizer):
    """Multiplies the loss of each example by the weight of its class; of mixed targets, by the expected one.

    `weights` (K,) average 1 over the training examples, so that the learning rate means what it did.
    """

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights

    def on_loss(self, loss: Loss) -> Loss:
        """Return the weighted loss."""

        def weighted(logits: Tensor, targets: Tensor) -> Tensor:
            self.weights = self.weights.to(logits.device)  # copied in the first step alone
            factors = targets @ self.weights if targets.is_floating_point() else self.weights[targets]
            return factors * loss(logits, targets)

        return weighted


class LabelWeights(Regularizer):
    """Weighs the positive and negative examples of each label of a multi-label task.

    `positive` and `negative` (K,) average 1 over the training examples of each label. The loss so far is
    asked for each label by itself: it must be a mean over labels, as binary cross-entropy is.
    """

    def __init__(self, positive: Tensor, negative: Tensor) -> None:
        self.positive, self.negative = positive, negative

    def on_loss(self, loss: Loss) -> Loss:
        """Return the weighted loss."""

        def weighted(logits: Tensor, targets: Tensor) -> Tensor:
            self.positive, self.negative = self.positive.to(logits.device), self.negative.to(logits.device)
            each = loss(logits.reshape(-1, 1), targets.reshape(-1, 1)).view(logits.shape)
            return (each * torch.lerp(self.negative.expand_as(targets), self.positive, targets)).mean(-1)

        return weighted


def label_smoothing(options: LabelSmoothingOptions, profile: Profile) -> Regularizer:
    """Build label smoothing."""
    return LabelSmoothing(options.amount)


def class_weights(options: ClassWeightsOptions, profile: Profile) -> Regularizer:
    """Build class weights from the counts of the training part; without counts nothing is weighted."""
    counts = torch.tensor(profile.class_counts, dtype=torch.float64)
    if not len(counts):
        return Regularizer()
    if profile.task.kind == "multilabel":
        sides = torch.stack([counts, (profile.train - counts).clamp_min(0)])
        positive, negative = _balanced(sides, options.power)
        return LabelWeights(positive, negative)
    return ClassWeights(_balanced(counts, options.power))


def _balanced(counts: Tensor, power: float) -> Tensor:
    """Return weights of groups with these counts (G, ...), float32, that average 1 over all examples."""
    # A group without examples weighs what one with a single example would; it has none to weigh.
    raw = counts.clamp_min(1).pow(-power)
    raw = raw.minimum(raw.amin(0) * MOST)
    return (raw * counts.sum(0) / (raw * counts).sum(0)).float()
