"""From a model's raw outputs (N, K) to a loss and to predictions, for each kind of task."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from seedbed.core.data.profile import Profile
from seedbed.core.protocols import Loss
from seedbed.core.task import TaskKind


def plain_loss(kind: TaskKind) -> Loss:
    """Return the loss of each example (N,) before regularizers change it."""
    return _LOSSES[kind]


def readout(outputs: Tensor, profile: Profile) -> Tensor:
    """Turn raw outputs (..., K) into what metrics take, float32.

    Classification: probabilities (..., K) that add up to 1; multi-label: each label's own (..., K); regression:
    values (...), in the unit of the targets.
    """
    if profile.task.kind == "classification":
        return outputs.softmax(-1)
    if profile.task.kind == "multilabel":
        return outputs.sigmoid()
    return outputs[..., 0] * profile.target_std + profile.target_mean


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets, reduction="none")


def _binary_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(-1)


def _squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs[:, 0] - targets).square()


_LOSSES: dict[TaskKind, Loss] = {
    "classification": _cross_entropy,
    "multilabel": _binary_cross_entropy,
    "regression": _squared_error,
}
