"""From a model's raw outputs (N, K) to a loss and to predictions, for each kind of task."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from seedbed.core.data.profile import Profile
from seedbed.core.protocols import Loss
from seedbed.core.task import TaskKind

_LEAST = 1e-7
"""No probability counts as smaller: a single sure mistake would else decide everything."""


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


def loss_targets(targets: np.ndarray, profile: Profile) -> Tensor:
    """Bring the targets of a split into the form that losses take.

    Classification: int64 (N,); multi-label: float32 (N, K); regression: float32 (N,), standardised.
    """
    if profile.task.kind == "classification":
        return torch.from_numpy(targets)
    if profile.task.kind == "multilabel":
        return torch.from_numpy(targets.astype(np.float32))
    return torch.from_numpy(((targets - profile.target_mean) / profile.target_std).astype(np.float32))


def mean_loss(targets: np.ndarray, predictions: np.ndarray, profile: Profile) -> float:
    """Return the plain loss of what `readout` gave, in the unit of the training loss."""
    if profile.task.kind == "regression":
        return float(np.mean(((predictions - targets) / profile.target_std) ** 2))
    sure = np.clip(predictions.astype(np.float64), _LEAST, 1 - _LEAST)
    if profile.task.kind == "multilabel":
        return float(-np.where(targets > 0, np.log(sure), np.log1p(-sure)).mean())
    return float(-np.log(sure[np.arange(len(sure)), targets]).mean())


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
