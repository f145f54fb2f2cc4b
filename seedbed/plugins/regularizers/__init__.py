"""Built-in regularizers: the declarations; the code lies in siblings, by what it acts on.

Weight decay belongs to the optimizers, whose update it is part of (`optimizer.adamw.weight_decay`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from seedbed import Float, Int, RegularizerSpec, Requires, hookimpl


@dataclass(frozen=True, slots=True)
class DropoutOptions:
    """`rate` is the share of the head's inputs set to zero at each step."""

    rate: Annotated[float, Float(0.05, 0.6)] = 0.2


@dataclass(frozen=True, slots=True)
class StochasticDepthOptions:
    """`rate` is how often the last block is left out; the rates of the others rise to it in a line."""

    rate: Annotated[float, Float(0.02, 0.3)] = 0.1


@dataclass(frozen=True, slots=True)
class LabelSmoothingOptions:
    """`amount` is the probability taken from the label and spread over all classes."""

    amount: Annotated[float, Float(0.02, 0.2)] = 0.1


@dataclass(frozen=True, slots=True)
class ClassWeightsOptions:
    """A class is weighted by 1 / frequency to the `power`: at 1 all classes count alike, at 0 all examples."""

    power: Annotated[float, Float(0.2, 1.0)] = 0.5


@dataclass(frozen=True, slots=True)
class MixupOptions:
    """The share of the one example is drawn from Beta(`alpha`, `alpha`): near 0 it hides the other."""

    alpha: Annotated[float, Float(0.1, 1.0)] = 0.2


@dataclass(frozen=True, slots=True)
class CutmixOptions:
    """`probability` is how often an image gets a patch, whose share of it is drawn from Beta(`alpha`, `alpha`)."""

    probability: Annotated[float, Float(0.2, 1.0)] = 0.5
    alpha: Annotated[float, Float(0.2, 1.0)] = 1.0


@dataclass(frozen=True, slots=True)
class MaxNormOptions:
    """`c` is the greatest length of a unit's incoming weights."""

    c: Annotated[float, Float(1.0, 4.0)] = 3.0


@dataclass(frozen=True, slots=True)
class L2Options:
    """The penalty on a weight w is `strength` / 2 · w²."""

    strength: Annotated[float, Float(1e-6, 1e-2, log=True)] = 5e-4


@dataclass(frozen=True, slots=True)
class GradientClippingOptions:
    """`norm` is the greatest length of all gradients taken together."""

    norm: Annotated[float, Float(0.1, 10.0, log=True)] = 1.0


@dataclass(frozen=True, slots=True)
class EmaOptions:
    """`window` is how far the average reaches back, as a share of the training."""

    window: Annotated[float, Float(0.005, 0.2, log=True)] = 0.03


@dataclass(frozen=True, slots=True)
class SwaOptions:
    """`start` is the share of the training after which the average begins."""

    start: Annotated[float, Float(0.5, 0.95)] = 0.75


@dataclass(frozen=True, slots=True)
class EarlyStoppingOptions:
    """`patience` is after how many looks at the validation part without a better score training ends."""

    patience: Annotated[int, Int(2, 8)] = 4


@hookimpl
def register_regularizers() -> Iterator[RegularizerSpec]:
    """Offer the regularizers."""
    yield RegularizerSpec(
        name="dropout",
        summary="Random zeros before the head (Srivastava et al. 2014).",
        build="seedbed.plugins.regularizers.nets:dropout",
        options=DropoutOptions,
    )
    yield RegularizerSpec(
        name="stochastic_depth",
        summary="Leaves residual blocks out at random (Huang et al. 2016); a net without such blocks stays as it is.",
        build="seedbed.plugins.regularizers.nets:stochastic_depth",
        options=StochasticDepthOptions,
        requires=Requires(modalities=("image",)),
    )
    yield RegularizerSpec(
        name="label_smoothing",
        summary="Softer targets against overconfidence (Szegedy et al. 2016).",
        build="seedbed.plugins.regularizers.losses:label_smoothing",
        options=LabelSmoothingOptions,
        requires=Requires(kinds=("classification",)),
    )
    yield RegularizerSpec(
        name="class_weights",
        summary="Losses weighted by the inverse of the class's frequency, or a power of it (King & Zeng 2001).",
        build="seedbed.plugins.regularizers.losses:class_weights",
        options=ClassWeightsOptions,
        requires=Requires(kinds=("classification", "multilabel")),
    )
    yield RegularizerSpec(
        name="mixup",
        summary="Weighted means of two examples and of their targets (Zhang et al. 2018).",
        build="seedbed.plugins.regularizers.mixing:mixup",
        options=MixupOptions,
        requires=Requires(modalities=("image", "series"), kinds=("classification", "multilabel")),
    )
    yield RegularizerSpec(
        name="cutmix",
        summary="A patch of another image, and as much of its target (Yun et al. 2019).",
        build="seedbed.plugins.regularizers.mixing:cutmix",
        options=CutmixOptions,
        requires=Requires(modalities=("image",), kinds=("classification", "multilabel"), min_size=8),
    )
    yield RegularizerSpec(
        name="max_norm",
        summary="A bound on the length of each unit's incoming weights (Srivastava et al. 2014).",
        build="seedbed.plugins.regularizers.weights:max_norm",
        options=MaxNormOptions,
    )
    yield RegularizerSpec(
        name="l2",
        summary="A plain L2 penalty through the gradient, off norms and biases, beside the optimizer's own decay.",
        build="seedbed.plugins.regularizers.weights:l2",
        options=L2Options,
        on_request=True,  # every optimizer has weight decay, which a search should not have to balance twice
    )
    yield RegularizerSpec(
        name="gradient_clipping",
        summary="A bound on the length of the gradient against exploding steps (Pascanu et al. 2013).",
        build="seedbed.plugins.regularizers.weights:gradient_clipping",
        options=GradientClippingOptions,
    )
    yield RegularizerSpec(
        name="ema",
        summary="Keeps an exponential moving average of the weights (Polyak & Juditsky 1992).",
        build="seedbed.plugins.regularizers.averages:ema",
        options=EmaOptions,
    )
    yield RegularizerSpec(
        name="swa",
        summary="Keeps the mean of the weights over the last part of the training (Izmailov et al. 2018).",
        build="seedbed.plugins.regularizers.averages:swa",
        options=SwaOptions,
    )
    yield RegularizerSpec(
        name="early_stopping",
        summary="Ends training when validation has not improved for some looks (Prechelt 1998).",
        build="seedbed.plugins.regularizers.stopping:early_stopping",
        options=EarlyStoppingOptions,
        # The best look is kept with or without it; on a schedule that anneals, the gain comes at the very end.
        on_request=True,
    )
