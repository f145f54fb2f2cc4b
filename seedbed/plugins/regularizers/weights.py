"""Regularizers that bound or shrink weights and their gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from seedbed.core.data.profile import Profile
from seedbed.core.protocols import Regularizer

if TYPE_CHECKING:
    from seedbed.plugins.regularizers import GradientClippingOptions, L2Options, MaxNormOptions

_BOUND = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class MaxNorm(Regularizer):
    """Keeps the incoming weights of each unit no longer than `c` (Srivastava et al. 2014, section 5.1).

    It holds in linear and convolutional layers, the head included, that are being trained; a unit of a
    convolution is a filter. Longer vectors of a pretrained net are cut with the first step: it is meant for
    nets that are trained from scratch.
    """

    def __init__(self, c: float) -> None:
        self.c = c

    @torch.no_grad()
    def after_step(self, model: nn.Module, progress: float) -> None:
        """Scale what has grown too long back to the bound, in place."""
        for module in model.modules():
            if isinstance(module, _BOUND) and module.weight.requires_grad:
                module.weight.renorm_(p=2, dim=0, maxnorm=self.c)


class L2(Regularizer):
    """Adds the gradient of strength / 2 · ‖w‖² to that of the weights, norms and biases excepted."""

    def __init__(self, strength: float) -> None:
        self.strength = strength

    @torch.no_grad()
    def on_gradients(self, model: nn.Module) -> None:
        """Add the penalty's share, in place."""
        pairs = [(each.grad, each) for each in model.parameters() if each.ndim > 1 and each.grad is not None]
        if pairs:
            gradients, weights = zip(*pairs, strict=True)
            torch._foreach_add_(gradients, weights, alpha=self.strength)


class GradientClipping(Regularizer):
    """Scales all gradients down together where they are longer than `norm` (Pascanu et al. 2013, algorithm 1)."""

    def __init__(self, norm: float) -> None:
        self.norm = norm

    def on_gradients(self, model: nn.Module) -> None:
        """Scale the gradients, in place."""
        nn.utils.clip_grad_norm_(model.parameters(), self.norm)


def max_norm(options: MaxNormOptions, profile: Profile) -> Regularizer:
    """Build the max-norm constraint."""
    return MaxNorm(options.c)


def l2(options: L2Options, profile: Profile) -> Regularizer:
    """Build the L2 penalty."""
    return L2(options.strength)


def gradient_clipping(options: GradientClippingOptions, profile: Profile) -> Regularizer:
    """Build gradient clipping."""
    return GradientClipping(options.norm)
