"""Built-in regularizers: the declarations; the torch code lies in `builders`.

Weight decay belongs to the optimizers, whose update it is part of (`optimizer.adamw.weight_decay`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from seedbed import Float, RegularizerSpec, Requires, hookimpl


@dataclass(frozen=True, slots=True)
class DropoutOptions:
    """`rate` is the share of the head's inputs set to zero at each step."""

    rate: Annotated[float, Float(0.05, 0.6)] = 0.2


@dataclass(frozen=True, slots=True)
class LabelSmoothingOptions:
    """`amount` is the probability taken from the label and spread over all classes."""

    amount: Annotated[float, Float(0.02, 0.2)] = 0.1


@hookimpl
def register_regularizers() -> Iterator[RegularizerSpec]:
    """Offer the regularizers."""
    yield RegularizerSpec(
        name="dropout",
        summary="Random zeros before the head (Srivastava et al. 2014).",
        build="seedbed.plugins.regularizers.builders:dropout",
        options=DropoutOptions,
    )
    yield RegularizerSpec(
        name="label_smoothing",
        summary="Softer targets against overconfidence (Szegedy et al. 2016).",
        build="seedbed.plugins.regularizers.builders:label_smoothing",
        options=LabelSmoothingOptions,
        requires=Requires(kinds=("classification",)),
    )
