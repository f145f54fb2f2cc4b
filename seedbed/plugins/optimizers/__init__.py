"""Built-in optimizers: the declarations; the torch code lies in `builders` and `updates`.

Weight decay is decoupled from the gradient (in SGD, where it comes to the same, it is torch's own). The engine
exempts norms and biases: it gives them groups of their own, with a weight decay of 0, which win.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from seedbed import Choice, Float, OptimizerSpec, Requires, hookimpl

# What timm 1.0.31 registers, but for what cannot be used here: adahessian needs a second backward pass, the
# kron family compiles C++ in the first step and keeps a random state outside its state dict, madgrad moves
# weights whose learning rate is 0, those named bnb… and fused… belong to packages of their own. An older timm
# may lack some; the builder then says so.
TIMM = (
    "adabelief", "adadelta", "adafactor", "adafactorbv", "adafactorbvc", "adagrad", "adam", "adamax", "adamc",
    "adamp", "adamuon", "adamw", "adamwlegacy", "adan", "adanw", "adopt", "adoptc", "adoptw", "cadafactor",
    "cadafactorbv", "cadafactorbvc", "cadamc", "cadamp", "cadamw", "cadan", "cadanw", "cadopt", "cadoptc",
    "cadoptw", "clamb", "clambw", "claprop", "clion", "clionc", "cmars", "cnadamc", "cnadamw", "crmsproptf",
    "csgdc", "csgdp", "csgdw", "lamb", "lambc", "lambcd", "lambcw", "lambw", "laprop", "lapropc", "larc", "lars",
    "lion", "lionc", "mars", "momentum", "muon", "nadam", "nadamc", "nadamlegacy",
    "nadamuon", "nadamw", "nesterov", "nesterovw", "nlarc", "nlars", "nmuon", "novograd", "novogradc", "novogradw",
    "radabelief", "radam", "radamlegacy", "radamw", "rmsprop", "rmsproptf", "rmsproptfc", "rmsproptfw", "sgd",
    "sgdc", "sgdp", "sgdw",
)  # fmt: skip


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


@dataclass(frozen=True, slots=True)
class RmspropOptions:
    """Of RMSprop; `alpha` is the decay rate of the mean square of the gradients."""

    lr: Annotated[float, Float(1e-5, 1e-2, log=True)] = 3e-4
    weight_decay: Annotated[float, Float(1e-5, 0.3, log=True)] = 0.05
    alpha: Annotated[float, Choice(0.9, 0.95, 0.99)] = 0.99
    momentum: Annotated[float, Float(0.0, 0.95)] = 0.9


@dataclass(frozen=True, slots=True)
class LionOptions:
    """Of Lion; it wants a rate 3 to 10 times lower than AdamW's, and as much more weight decay.

    `beta1` weighs momentum against gradient in a step, `beta2` is the decay rate of the momentum.
    """

    lr: Annotated[float, Float(3e-6, 3e-3, log=True)] = 3e-4
    weight_decay: Annotated[float, Float(1e-4, 1.0, log=True)] = 0.15
    beta1: Annotated[float, Float(0.8, 0.95)] = 0.9
    beta2: Annotated[float, Choice(0.98, 0.99)] = 0.99


@dataclass(frozen=True, slots=True)
class TimmOptions:
    """Of an optimizer from timm; rates that suit it differ by `name`: a tenth for sgd, a thousandth for adamw."""

    name: Annotated[str, Choice(*TIMM)] = "nadamw"
    lr: Annotated[float, Float(1e-5, 1.0, log=True)] = 1e-3
    weight_decay: Annotated[float, Float(1e-6, 0.3, log=True)] = 0.05


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
    yield OptimizerSpec(
        name="rmsprop",
        summary="Steps divided by the root mean square of the gradients (Tieleman & Hinton 2012), decoupled decay.",
        build="seedbed.plugins.optimizers.builders:rmsprop",
        options=RmspropOptions,
    )
    yield OptimizerSpec(
        name="lion",
        summary="Steps along the sign of momentum and gradient, with decoupled weight decay (Chen et al. 2023).",
        build="seedbed.plugins.optimizers.builders:lion",
        options=LionOptions,
    )
    yield OptimizerSpec(
        name="timm",
        summary="Any optimizer of timm by its name: --set optimizer=timm --set optimizer.timm.name=lamb.",
        build="seedbed.plugins.optimizers.builders:from_timm",
        options=TimmOptions,
        requires=Requires(modules=("timm",)),
        on_request=True,
    )
