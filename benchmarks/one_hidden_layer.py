"""A plugin: the one-hidden-layer net of Bergstra & Bengio 2012 (section 2.2) and its annealed gradient descent.

    seedbed --plugin benchmarks/one_hidden_layer.py plugins show architecture:one_hidden_layer

The schedule `unchanged` leaves it to the optimizer to anneal: the paper counts updates, schedules know progress alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from seedbed import ArchitectureSpec, Choice, Float, Int, NoOptions, OptimizerSpec, ScheduleSpec, hookimpl
from seedbed.core.data.profile import Profile
from seedbed.core.protocols import ParamGroups

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class NetOptions:
    """`scale` multiplies the weights' usual size, which is by `rule` that of their inputs, or of both sides."""

    hidden: Annotated[int, Int(18, 1024, log=True)] = 128
    activation: Annotated[str, Choice("tanh", "sigmoid")] = "tanh"
    standardise: Annotated[bool, Choice(False, True)] = True
    distribution: Annotated[str, Choice("uniform", "normal")] = "uniform"
    rule: Annotated[str, Choice("inputs", "both")] = "both"
    scale: Annotated[float, Float(0.2, 2.0)] = 1.0
    seed: Annotated[int, Choice(0, 1, 2)] = 0


@dataclass(frozen=True)
class AnnealedOptions:
    """The rate stays at `lr` for `anneal` updates and falls as 1/t from then on; `l2` counts where `penalised`."""

    lr: Annotated[float, Float(0.001, 10.0, log=True)] = 0.1
    anneal: Annotated[float, Float(300.0, 30_000.0, log=True)] = 3_000.0
    penalised: Annotated[bool, Choice(False, True)] = False
    l2: Annotated[float, Float(3.1e-7, 3.1e-5, log=True)] = 3.1e-6


@hookimpl
def register_architectures() -> Iterator[ArchitectureSpec]:
    """Offer the net."""
    yield ArchitectureSpec(
        name="one_hidden_layer",
        summary="One hidden layer on pixels.",
        build=f"{__name__}:net",
        options=NetOptions,
    )


@hookimpl
def register_optimizers() -> Iterator[OptimizerSpec]:
    """Offer the descent."""
    yield OptimizerSpec(
        name="annealed_sgd",
        summary="Stochastic gradient descent whose rate falls as 1/t after a while.",
        build=f"{__name__}:annealed_sgd",
        options=AnnealedOptions,
    )


@hookimpl
def register_schedules() -> Iterator[ScheduleSpec]:
    """Offer the schedule that changes nothing: the optimizer anneals by its updates."""
    yield ScheduleSpec(name="unchanged", summary="1 throughout.", build=f"{__name__}:unchanged")


def net(options: NetOptions, profile: Profile) -> nn.Module:
    """Build the net: pixels (N, C, H, W) → hidden units (N, hidden)."""
    import torch  # here, and not above: declaring must stay quick
    from torch import nn

    class Net(nn.Module):
        mean: Tensor
        std: Tensor

        def __init__(self) -> None:
            super().__init__()
            inputs = profile.channels * profile.height * profile.width
            self.num_features = options.hidden
            self.layer = nn.Linear(inputs, options.hidden)
            self.activation = nn.Tanh() if options.activation == "tanh" else nn.Sigmoid()
            self.register_buffer("mean", torch.tensor(profile.mean).view(-1, 1, 1))
            self.register_buffer("std", torch.tensor(profile.std).view(-1, 1, 1))
            _draw(self.layer, options)

        def forward(self, inputs: Tensor) -> Tensor:
            if not options.standardise:  # the engine has done it
                inputs = inputs * self.std + self.mean
            found: Tensor = self.activation(self.layer(inputs.flatten(1)))
            return found

    return Net()


def _draw(layer: nn.Linear, options: NetOptions) -> None:
    """Draw the weights (hidden, inputs) anew, in place, from the seed of the options."""
    import torch

    hidden, inputs = layer.weight.shape
    generator = torch.Generator().manual_seed(options.seed)
    fan = inputs if options.rule == "inputs" else (inputs + hidden) / 2
    size = options.scale / math.sqrt(fan)
    with torch.no_grad():
        if options.distribution == "normal":
            layer.weight.copy_(size * torch.randn(hidden, inputs, generator=generator))
        else:
            drawn = 2 * torch.rand(hidden, inputs, generator=generator) - 1
            layer.weight.copy_(size * math.sqrt(3.0) * drawn)
        layer.bias.zero_()


def annealed_sgd(groups: ParamGroups, options: AnnealedOptions) -> torch.optim.Optimizer:
    """Build SGD whose rate is multiplied by min(1, anneal / t) at update t."""
    import torch

    class Annealed(torch.optim.SGD):
        updates = 0

        def step(self, closure: Callable[[], float] | None = None) -> Any:  # noqa: ANN401 - as torch has it
            self.updates += 1
            given = [group["lr"] for group in self.param_groups]
            for group in self.param_groups:
                group["lr"] *= min(1.0, options.anneal / self.updates)
            found = super().step(closure)
            for group, lr in zip(self.param_groups, given, strict=True):
                group["lr"] = lr  # the rate is the engine's to set: left lower, it would fall twice
            return found

    return Annealed(groups, lr=options.lr, weight_decay=options.l2 if options.penalised else 0.0)


def unchanged(options: NoOptions) -> Callable[[float], float]:
    """Return the schedule."""
    return lambda progress: 1.0
