"""Regularizers that act on the head's inputs and on the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch.nn.functional as F
from torch import Tensor, nn

from seedbed.core.data.profile import Profile
from seedbed.core.protocols import Loss, Regularizer

if TYPE_CHECKING:
    from seedbed.plugins.regularizers import DropoutOptions, LabelSmoothingOptions


class Dropout(Regularizer):
    """Turns on the dropout that every assembled model has before its head."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def on_model(self, model: nn.Module) -> None:
        """Set the rate, in place."""
        cast(nn.Dropout, model.dropout).p = self.rate


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


def dropout(options: DropoutOptions, profile: Profile) -> Regularizer:
    """Build dropout."""
    return Dropout(options.rate)


def label_smoothing(options: LabelSmoothingOptions, profile: Profile) -> Regularizer:
    """Build label smoothing."""
    return LabelSmoothing(options.amount)
