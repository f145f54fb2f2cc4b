"""Update rules of our own, over all weights of a group at once (torch's multi-tensor operations)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from seedbed.core.protocols import ParamGroups


class Decoupled(torch.optim.Optimizer):
    """An optimizer whose weight decay shrinks the weights by `lr · weight_decay`, and leaves the gradient alone."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Do one step, in place; return what the closure returns, if one is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [each for each in group["params"] if each.grad is not None]
            if not weights:
                continue
            if group["weight_decay"]:
                torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            self.update(group, weights, [each.grad for each in weights])
        return loss

    @abstractmethod
    def update(self, group: dict[str, Any], weights: list[Tensor], gradients: list[Tensor]) -> None:
        """Move the weights along their gradients, in place."""

    def kept(self, name: str, weights: list[Tensor]) -> list[Tensor]:
        """Return what is kept under this name from step to step, one tensor a weight, zero at first."""
        for each in weights:
            if name not in self.state[each]:
                self.state[each][name] = torch.zeros_like(each)
        return [self.state[each][name] for each in weights]


class Lion(Decoupled):
    """Steps along the sign of an interpolation of momentum and gradient (Chen et al. 2023, algorithm 2)."""

    def __init__(self, groups: ParamGroups, *, lr: float, betas: tuple[float, float], weight_decay: float) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    def update(self, group: dict[str, Any], weights: list[Tensor], gradients: list[Tensor]) -> None:
        """Move every weight by the learning rate, up or down."""
        beta1, beta2 = group["betas"]
        momenta = self.kept("momentum", weights)
        directions = torch._foreach_lerp(momenta, gradients, 1 - beta1)
        torch._foreach_sign_(directions)
        torch._foreach_add_(weights, directions, alpha=-group["lr"])
        torch._foreach_lerp_(momenta, gradients, 1 - beta2)


class RMSprop(Decoupled):
    """Gradients divided by the root of their running mean square (Tieleman & Hinton 2012, lecture 6.5), momentum.

    Without weight decay the steps are those of `torch.optim.RMSprop`, whose own decay goes through the
    gradient, and so is divided away where gradients are large.
    """

    def __init__(
        self, groups: ParamGroups, *, lr: float, alpha: float, momentum: float, weight_decay: float, eps: float = 1e-8
    ) -> None:
        defaults = {"lr": lr, "alpha": alpha, "momentum": momentum, "weight_decay": weight_decay, "eps": eps}
        super().__init__(groups, defaults)

    def update(self, group: dict[str, Any], weights: list[Tensor], gradients: list[Tensor]) -> None:
        """Move the weights by their velocities, or by the divided gradients where there is no momentum."""
        squares = self.kept("square", weights)
        torch._foreach_mul_(squares, group["alpha"])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["alpha"])
        roots = torch._foreach_sqrt(squares)
        torch._foreach_add_(roots, group["eps"])
        if group["momentum"] > 0:
            velocities = self.kept("velocity", weights)
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_addcdiv_(velocities, gradients, roots)
            torch._foreach_add_(weights, velocities, alpha=-group["lr"])
        else:
            torch._foreach_addcdiv_(weights, gradients, roots, -group["lr"])
