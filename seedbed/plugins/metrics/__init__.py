"""Scores of what a model gives against the truth: of classes, of labels and of values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from seedbed import Int, MetricSpec, hookimpl
from seedbed.core.task import TaskKind

_CLASSES: tuple[TaskKind, ...] = ("classification",)
_LABELS: tuple[TaskKind, ...] = ("multilabel",)
_BOTH: tuple[TaskKind, ...] = ("classification", "multilabel")
_VALUES: tuple[TaskKind, ...] = ("regression",)


@dataclass(frozen=True)
class AverageOptions:
    """How the scores of the classes become one: `macro` (each class counts the same), `weighted` (by its
    number of examples) or `micro` (hits and errors of all classes together; of single classes this is accuracy)."""

    average: str = "macro"

    def __post_init__(self) -> None:
        if self.average not in AVERAGES:
            raise ValueError(f"average={self.average!r}; choose one of {', '.join(AVERAGES)}.")


@dataclass(frozen=True)
class MicroOptions(AverageOptions):
    """Hits and errors of all classes together."""

    average: str = "micro"


@dataclass(frozen=True)
class WeightedOptions(AverageOptions):
    """Each class by its number of examples."""

    average: str = "weighted"


AVERAGES = {"macro": AverageOptions, "micro": MicroOptions, "weighted": WeightedOptions}


@dataclass(frozen=True)
class TopKOptions:
    """How many guesses a model has."""

    k: Annotated[int, Int(2, 20)] = 5


@hookimpl
def register_metrics() -> Iterator[MetricSpec]:
    """Offer the usual scores, under scikit-learn's names where it has them."""
    yield from _of_answers()
    yield from _of_averages()
    yield from _of_probabilities()
    yield from _of_values()


def _of_answers() -> Iterator[MetricSpec]:
    yield MetricSpec(
        name="accuracy",
        summary="Share of examples whose answer is right; of several labels all must be.",
        build="seedbed.plugins.metrics.scores:accuracy",
        tasks=_BOTH,
    )
    yield MetricSpec(
        name="balanced_accuracy",
        summary="Mean of the classes' recalls: rare classes count as much as common ones.",
        build="seedbed.plugins.metrics.scores:balanced_accuracy",
        tasks=_CLASSES,
    )
    yield MetricSpec(
        name="hamming_loss",
        summary="Share of labels that are wrong, given or left out.",
        build="seedbed.plugins.metrics.scores:hamming_loss",
        direction="min",
        tasks=_LABELS,
        aliases=("hamming",),
    )


def _of_averages() -> Iterator[MetricSpec]:
    meanings = {
        "f1": "Harmonic mean of precision and recall",
        "precision": "Share of right answers among the answers given for a class",
        "recall": "Share of a class's examples that are found",
    }
    ways = {
        "macro": "each class counting the same",
        "micro": "over the answers of all classes together",
        "weighted": "each class counting by its examples",
    }
    for score, meaning in meanings.items():
        for average, way in ways.items():
            yield MetricSpec(
                name=f"{score}_{average}",
                summary=f"{meaning}, {way}.",
                build=f"seedbed.plugins.metrics.scores:{score}",
                options=AVERAGES[average],
                tasks=_BOTH,
                aliases=(score,) if average == "macro" else (),
            )


def _of_probabilities() -> Iterator[MetricSpec]:
    yield MetricSpec(
        name="roc_auc",
        summary="How often a class's examples are given more of it than the others are; mean of the classes.",
        build="seedbed.plugins.metrics.orders:roc_auc",
        tasks=_BOTH,
        aliases=("roc_auc_ovr",),
    )
    yield MetricSpec(
        name="average_precision",
        summary="Precision over all thresholds, weighted by what each adds to recall; mean of the classes.",
        build="seedbed.plugins.metrics.orders:average_precision",
        tasks=_BOTH,
    )
    yield MetricSpec(
        name="log_loss",
        summary="Mean negative log probability of the truth, in nats; it judges the probabilities.",
        build="seedbed.plugins.metrics.scores:log_loss",
        direction="min",
        tasks=_BOTH,
    )
    yield MetricSpec(
        name="brier_score",
        summary="Mean squared distance of the probabilities from the truth.",
        build="seedbed.plugins.metrics.scores:brier_score",
        direction="min",
        tasks=_BOTH,
        aliases=("brier",),
    )
    yield MetricSpec(
        name="top_5_accuracy",
        summary="Share of examples whose true class is among the five most probable (or `k`).",
        build="seedbed.plugins.metrics.scores:top_k",
        options=TopKOptions,
        tasks=_CLASSES,
        aliases=("top_k", "top_k_accuracy"),
    )


def _of_values() -> Iterator[MetricSpec]:
    yield MetricSpec(
        name="rmse",
        summary="Root of the mean squared error, in the unit of the target.",
        build="seedbed.plugins.metrics.distances:rmse",
        direction="min",
        tasks=_VALUES,
    )
    yield MetricSpec(
        name="mae",
        summary="Mean absolute error, in the unit of the target.",
        build="seedbed.plugins.metrics.distances:mae",
        direction="min",
        tasks=_VALUES,
    )
    yield MetricSpec(
        name="r2",
        summary="Share of the target's variance that is explained; 0 for its mean, below where it is worse.",
        build="seedbed.plugins.metrics.distances:r2",
        tasks=_VALUES,
    )
