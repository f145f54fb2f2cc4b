"""A plugin: the one-hidden-layer net of Bergstra & Bengio 2012 (section 2.2) and its annealed gradient descent.

seedbed --plugin benchmarks/one_hidden_layer.py plugins show architecture:one_hidden_layer
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from seedbed import ArchitectureSpec, Choice, Float, Int, NoOptions, OptimizerSpec, ScheduleSpec, hookimpl
from seedbed.core.data.profile import Profile


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
        build=f"{__name__}:Net",
        options=NetOptions,
        parameters=100_000,
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


class Net(nn.Module):
    """Pixels (N, C, H, W) → hidden units (N, hidden)."""

    def __init__(self, options: NetOptions, profile: Profile) -> None:
        super().__init__()
        inputs = profile.channels * profile.height * profile.width
        self.num_features = options.hidden
        self.layer = nn.Linear(inputs, options.hidden)
        self.activation = nn.Tanh() if options.activation == "tanh" else nn.Sigmoid()
        self.standardise = options.standardise
        self.register_buffer("mean", torch.tensor(profile.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(profile.std).view(-1, 1, 1))
        generator = torch.Generator().manual_seed(options.seed)
        fan = inputs if options.rule == "inputs" else (inputs + options.hidden) / 2
        size = options.scale / math.sqrt(fan)
        weight = self.layer.weight.data
        if options.distribution == "normal":
            weight.copy_(size * torch.randn(weight.shape, generator=generator))
        else:
            weight.copy_(size * math.sqrt(3.0) * (2 * torch.rand(weight.shape, generator=generator) - 1))
        self.layer.bias.data.zero_()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the activations of the hidden units."""
        if not self.standardise:  # the engine has done it
            inputs = inputs * self.std + self.mean
        found: Tensor = self.activation(self.layer(inputs.flatten(1)))
        return found


class _Annealed(torch.optim.SGD):
    """SGD whose rate is multiplied by min(1, anneal / t) at update t."""

    def __init__(self, groups: Iterable[dict[str, Any]], *, lr: float, anneal: float, weight_decay: float) -> None:
        super().__init__(groups, lr=lr, weight_decay=weight_decay)
        self._anneal, self._updates = anneal, 0

    def step(self, closure: Callable[[], float] | None = None) -> Any:  # noqa: ANN401 - as torch has it
        """Do an update."""
        self._updates += 1
        factor = min(1.0, self._anneal / self._updates)
        for group in self.param_groups:
            group["lr"] *= factor  # the engine sets it anew before every update
        return super().step(closure)


def annealed_sgd(groups: list[dict[str, Any]], options: AnnealedOptions) -> torch.optim.Optimizer:
    """Build the optimizer."""
    return _Annealed(
        groups, lr=options.lr, anneal=options.anneal, weight_decay=options.l2 if options.penalised else 0.0
    )


def unchanged(options: NoOptions) -> Callable[[float], float]:
    """Return the schedule."""
    return lambda progress: 1.0
