"""Advice read off a trial's curve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from seedbed import RuleSpec, hookimpl


@dataclass(frozen=True)
class OverfittingOptions:
    """Relative changes since the best validation loss: `rise` of validation, `fall` of training loss."""

    rise: float = 0.1
    fall: float = 0.1


@dataclass(frozen=True)
class NotLearningOptions:
    """What counts as hardly moving.

    `fall` is the loss's relative fall, `spread` that of the scores, `loss` (nats) the level below which
    something has been learnt: guessing between two classes costs 0.69.
    """

    fall: float = 0.05
    spread: float = 0.02
    loss: float = 0.6
    looks: int = 3


@dataclass(frozen=True)
class NotConvergedOptions:
    """What counts as rising steeply: the last `tail` of the work brings `share` of all gain, and `gain`."""

    tail: float = 0.25
    share: float = 0.2
    gain: float = 0.01
    looks: int = 4


@dataclass(frozen=True)
class UnstableOptions:
    """What counts as a jump: `factor` times the loss of the look before and `height` (nats) above it."""

    factor: float = 1.5
    height: float = 0.1
    jumps: int = 2


@hookimpl
def register_rules() -> Iterator[RuleSpec]:
    """Offer what an experienced eye sees in a curve."""
    yield RuleSpec(
        name="overfitting",
        summary="The training loss keeps falling while the validation loss rises.",
        build="seedbed.plugins.rules.curves:overfitting",
        options=OverfittingOptions,
    )
    yield RuleSpec(
        name="not_learning",
        summary="The loss hardly falls and the score hardly moves.",
        build="seedbed.plugins.rules.curves:not_learning",
        options=NotLearningOptions,
    )
    yield RuleSpec(
        name="not_converged",
        summary="The score still rises steeply at the end of the planned work.",
        build="seedbed.plugins.rules.curves:not_converged",
        options=NotConvergedOptions,
    )
    yield RuleSpec(
        name="unstable",
        summary="The loss jumps up more than once.",
        build="seedbed.plugins.rules.curves:unstable",
        options=UnstableOptions,
    )
