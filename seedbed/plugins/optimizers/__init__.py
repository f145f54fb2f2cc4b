"""Built-in optimizers: the declarations; the torch code lies in `builders`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from seedbed import Choice, Float, OptimizerSpec, hookimpl


@dataclass(frozen=True, slots=True)
class SgdOptions:
    """Of stochastic gradient descent."""

    lr: Annotated[float, Float(1e-3, 1.0, log=True)] = 0.1
    momentum: Annotated[float, Float(0.8, 0.98)] = 0.9
    weight_decay: Annotated[float, Float(1e-6, 1e-2, log=True)] = 5e-4
    nesterov: Annotated[bool, Choice(False, True)] = True


@dataclass(frozen=True, slots=True)
class AdamWOptions:
    """Of AdamW; `beta1` and `beta2` are the decay rates of its two moments."""

    lr: Annotated[float, Float(1e-5, 2e-2, log=True)] = 1e-3
    weight_decay: Annotated[float, Float(1e-5, 0.3, log=True)] = 0.05
    beta1: Annotated[float, Float(0.8, 0.95)] = 0.9
    beta2: Annotated[float, Choice(0.95, 0.99, 0.999)] = 0.999


@hookimpl
def register_optimizers() -> Iterator[OptimizerSpec]:
    """Offer the optimizers."""
    yield OptimizerSpec(
        name="sgd",
        summary="Stochastic gradient descent with (Nesterov) momentum (Sutskever et al. 2013).",
        build="seedbed.plugins.optimizers.builders:sgd",
        options=SgdOptions,
    )
    yield OptimizerSpec(
        name="adamw",
        summary="Adam with decoupled weight decay (Loshchilov & Hutter 2019).",
        build="seedbed.plugins.optimizers.builders:adamw",
        options=AdamWOptions,
    )
