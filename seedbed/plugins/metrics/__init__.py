"""Scores of class probabilities against true classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from seedbed import Choice, Int, MetricSpec, hookimpl


@dataclass(frozen=True)
class AverageOptions:
    """How the scores of the classes become one: `macro` (each class counts the same), `weighted` (by its
    number of examples) or `micro` (each example counts the same: then all three scores equal accuracy)."""

    average: Annotated[str, Choice("macro", "weighted", "micro")] = "macro"


@dataclass(frozen=True)
class TopKOptions:
    """How many guesses a model has."""

    k: Annotated[int, Int(2, 20)] = 5


@hookimpl
def register_metrics() -> Iterator[MetricSpec]:
    """Offer the usual scores for classification; `accuracy` is what a run takes by default."""
    yield MetricSpec(
        name="accuracy",
        summary="Share of examples whose most probable class is the true one.",
        build="seedbed.plugins.metrics.scores:accuracy",
    )
    yield MetricSpec(
        name="balanced_accuracy",
        summary="Mean of the classes' recalls: rare classes count as much as common ones.",
        build="seedbed.plugins.metrics.scores:balanced_accuracy",
    )
    yield MetricSpec(
        name="f1",
        summary="Harmonic mean of precision and recall, averaged over the classes.",
        build="seedbed.plugins.metrics.scores:f1",
        options=AverageOptions,
    )
    yield MetricSpec(
        name="precision",
        summary="Share of right answers among the answers given for a class, averaged over the classes.",
        build="seedbed.plugins.metrics.scores:precision",
        options=AverageOptions,
    )
    yield MetricSpec(
        name="recall",
        summary="Share of a class's examples that are found, averaged over the classes.",
        build="seedbed.plugins.metrics.scores:recall",
        options=AverageOptions,
    )
    yield MetricSpec(
        name="log_loss",
        summary="Mean negative log probability of the true class, in nats; it judges the probabilities.",
        build="seedbed.plugins.metrics.scores:log_loss",
        direction="min",
    )
    yield MetricSpec(
        name="top_k",
        summary="Share of examples whose true class is among the k most probable.",
        build="seedbed.plugins.metrics.scores:top_k",
        options=TopKOptions,
    )
