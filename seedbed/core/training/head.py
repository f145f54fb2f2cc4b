"""A linear head on fixed features, fitted in about a second: logistic by L-BFGS, or ridge."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from seedbed.core.specs import Head
from seedbed.core.task import TaskKind
from seedbed.core.training.evaluate import Patience, Stop
from seedbed.core.training.ridge import fit_ridge

_STRENGTHS = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
_DIRECTIONS = 512
_CHOOSING_ROWS = 8_000
"""Enough to choose the strength by; all rows are used for the fit itself."""

MOST_LOGITS = 30_000_000
"""The most rows times outputs: 0.12 GB, of which logistic regression holds three at once, and ridge regression nine."""

_Solution = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class LinearHead:
    """Outputs = features (N, F) @ weight.T (F, K) + bias (K,).

    They are logits of classes or labels, or (N, 1) values in the unit of the targets. `strength` is that of the
    L2 penalty which was chosen.
    """

    weight: Tensor
    bias: Tensor
    strength: float

    def __call__(self, features: Tensor) -> Tensor:
        """Return outputs (N, K)."""
        return features @ self.weight.T + self.bias


def fit_head(
    features: Tensor,
    targets: Tensor,
    kind: TaskKind,
    outputs: int,
    generator: torch.Generator,
    prefer: Head = "logistic",
    *,
    patience: Patience | None = None,
) -> LinearHead:
    """Fit a head on the original features: logistic or ridge regression, for values always ridge.

    When `patience` is over, the best strength so far stands, and the fit ends at the step it has reached.

    Args:
        features: float32 (N, F).
        targets: for classification int64 (N,) in [0, outputs), for several labels float32 (N, outputs) of 0 and 1,
            for values float32 (N,), standardised.

    Raises:
        Stopped: the fit was asked to end.
    """
    patience = patience or Patience()
    if prefer == "logistic" and kind != "regression":
        return _fit_logistic(features, targets, outputs, generator, patience)
    found = fit_ridge(features, targets, kind, outputs, generator, patience=patience)
    return LinearHead(found.weight, found.bias, found.strength)


def _fit_logistic(
    features: Tensor, targets: Tensor, outputs: int, generator: torch.Generator, patience: Patience
) -> LinearHead:
    """Fit logistic regression, multinomial or of each label; its strength is chosen on a held-out fifth of the rows.

    The features are standardised and turned to their principal directions (at most 512): L-BFGS then
    needs a few dozen passes, and the whole fit about a second where a cross-validated solver takes
    twenty.
    """
    mean, std = features.mean(0), features.std(0, correction=0)
    # Dividing by a tiny deviation would blow a feature up that hardly ever moves, and with it any small
    # difference between these features and those the head will see (another resolution, a trained backbone).
    std = std.clamp_min(float(0.1 * std.mean()) + 1e-12)
    scaled = (features - mean) / std
    patience.check()
    turn = _principal_directions(scaled)
    inputs = scaled @ turn
    inputs_scale = inputs.square().mean().sqrt().clamp_min(1e-12)
    inputs = inputs / inputs_scale

    order = torch.randperm(len(inputs), generator=generator)[:_CHOOSING_ROWS]
    held, kept = order[: len(order) // 5], order[len(order) // 5 :]
    best, start = _STRENGTHS[len(_STRENGTHS) // 2], None
    if len(held) >= outputs:
        best, start = _choose_strength(inputs, targets, outputs, kept, held, patience.is_half_over)
    weight, bias = _solve(inputs, targets, outputs, best, start, patience.is_over)

    weight = (turn @ weight.T).T / inputs_scale / std
    return LinearHead(weight, bias - weight @ mean, best)


def _principal_directions(scaled: Tensor) -> Tensor:
    """Return an orthonormal (F, D) basis of the directions with the most variance."""
    count = min(_DIRECTIONS, len(scaled) - 1 or 1, scaled.shape[1])
    # In float32 the solver does not converge on the many equal eigenvalues that few rows leave, so: double
    # precision, and of the products of features and those of rows (equal but for zeros) the fewer.
    wide = scaled.double()
    if len(scaled) >= scaled.shape[1]:
        directions: Tensor = torch.linalg.eigh(wide.T @ wide).eigenvectors[:, -count:]  # ascending
    else:
        directions = wide.T @ torch.linalg.eigh(wide @ wide.T).eigenvectors[:, -count:]
        directions = directions / directions.norm(dim=0).clamp_min(1e-6)
    return directions.to(scaled.dtype)


def _choose_strength(
    inputs: Tensor, targets: Tensor, outputs: int, kept: Tensor, held: Tensor, is_over: Stop
) -> tuple[float, _Solution]:
    """Return the strength with the least loss on the held-out rows, and its solution: a start for all rows."""
    losses: dict[float, float] = {}
    found: dict[float, _Solution] = {}
    start: _Solution | None = None
    for strength in reversed(_STRENGTHS):  # from stiff to loose: each fit starts from the last
        if losses and is_over():
            break
        start = found[strength] = _solve(inputs[kept], targets[kept], outputs, strength, start, is_over)
        losses[strength] = float(_loss(inputs[held] @ start[0].T + start[1], targets[held]))
        if losses[strength] > 1.05 * min(losses.values()):
            break  # the curve has turned; looser fits only get worse
    best = min(losses, key=lambda each: losses[each])
    return best, found[best]


def _solve(
    inputs: Tensor, targets: Tensor, outputs: int, strength: float, start: _Solution | None, is_over: Stop
) -> _Solution:
    """Minimise mean loss + strength/2 · |weight|², until `is_over`; return weight (K, D) and bias (K,)."""
    weight = inputs.new_zeros(outputs, inputs.shape[1]) if start is None else start[0].clone()
    bias = inputs.new_zeros(outputs) if start is None else start[1].clone()
    weight.requires_grad_(), bias.requires_grad_()
    solver = torch.optim.LBFGS([weight, bias], max_iter=40, history_size=20, line_search_fn="strong_wolfe")
    best, least = (weight.detach().clone(), bias.detach().clone()), math.inf

    def closure() -> Tensor:
        nonlocal best, least
        solver.zero_grad()
        loss = _loss(inputs @ weight.T + bias, targets) + strength / 2 * weight.square().sum()
        loss.backward()
        if (reached := float(loss.detach())) < least:
            best, least = (weight.detach().clone(), bias.detach().clone()), reached
        if is_over():
            raise _TimeIsUp
        return loss

    try:
        with torch.enable_grad():
            solver.step(closure)
    except _TimeIsUp:
        return best  # the solver was somewhere along a line
    return weight.detach(), bias.detach()


class _TimeIsUp(Exception):
    """The only way out of the solver between two of its steps."""


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over rows: cross-entropy of class indices (N,), or the sum of that of each label (N, K)."""
    if targets.ndim == 1:
        return F.cross_entropy(logits, targets)
    # The sum, so that a label is penalised as much as if it were fitted alone.
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(1).mean()
