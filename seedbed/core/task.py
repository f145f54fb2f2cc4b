"""What is to be learnt: modality, kind of target, classes and the metric that decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from seedbed.core.errors import DataError

Modality = Literal["image", "text", "series"]
TaskKind = Literal["classification", "regression", "multilabel"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """The question a study answers; `classes` is empty for regression.

    `metric` decides who wins, in the `direction` given.
    """

    modality: Modality
    kind: TaskKind
    metric: str
    direction: Literal["max", "min"] = "max"
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind == "classification" and len(self.classes) < 2:
            raise DataError(
                f"Classification needs two classes or more; the training data has {list(self.classes)}. "
                "Give one folder for each class, each with images in it."
            )

    @property
    def outputs(self) -> int:
        """How many numbers a model gives for one example."""
        return 1 if self.kind == "regression" else len(self.classes)

    def worth(self, score: float | None) -> float:
        """Return a number that is greater for a better score, and least where there is none."""
        if score is None:
            return float("-inf")
        return score if self.direction == "max" else -score


def written(score: float) -> str:
    """Write a score for people: four decimals, or as many digits where it is no share of one."""
    is_usual = score == 0 or 1e-3 <= abs(score) < 100
    return f"{score:.4f}" if is_usual else f"{score:.5g}" if abs(score) >= 100 else f"{score:.4g}"
