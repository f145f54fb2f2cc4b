"""What lies behind a score: a row for each class, which is taken for which, and how far values are off.

Pure but for `save_scores`, which writes the whole to a file; an edge.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seedbed.core.errors import DataError
from seedbed.core.protocols import Lookup
from seedbed.core.results.scoring import score_each
from seedbed.core.task import Task
from seedbed.core.training.predictions import Predictions, answers

_SQUARE = 300  # classes; of more, the matrix is mostly zeros, and only the cells that hold something are listed
_LEVELS = ("0", "0.05", "0.25", "0.5", "0.75", "0.95", "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """How well one class or label is known; `support` counts the rows that have it, `predicted` those given it."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """How far predictions lie above the truth: in the mean, and by quantile level ("0.5": the median);
    `absolute` without the sign."""

    mean: float
    quantiles: dict[str, float]
    absolute: dict[str, float]


def class_report(targets: np.ndarray, outputs: np.ndarray, task: Task) -> list[ClassRow]:
    """Return a row for each class or label of the task, in its order; there is none for values.

    A ratio is 0 where nothing is divided by nothing, as for a class that nobody has and nobody is given.
    """
    if task.kind == "regression":
        return []
    found = answers(outputs, task.kind)
    if task.kind == "multilabel":
        hits = ((found > 0) & (targets > 0)).sum(axis=0)
        support, predicted = (targets > 0).sum(axis=0), (found > 0).sum(axis=0)
    else:
        count = len(task.classes)
        hits = np.bincount(targets[found == targets], minlength=count)
        support, predicted = np.bincount(targets, minlength=count), np.bincount(found, minlength=count)
    columns = zip(
        task.classes,
        (hits / np.maximum(predicted, 1)).tolist(),
        (hits / np.maximum(support, 1)).tolist(),
        (2 * hits / np.maximum(support + predicted, 1)).tolist(),
        support.tolist(),
        predicted.tolist(),
        strict=True,
    )
    return [
        ClassRow(name=name, precision=precision, recall=recall, f1=f1, support=own, predicted=given)
        for name, precision, recall, f1, own, given in columns
    ]


def confusion(targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Count which class (row) is taken for which (column): int64 (K, K).

    Of labels, which do not exclude each other, a square for each (K, 2, 2): whether a row has it (row),
    whether it is given (column).
    """
    count = outputs.shape[1]
    if targets.ndim == 1:
        codes = targets * count + answers(outputs, "classification")
        return np.bincount(codes, minlength=count * count).reshape(count, count)
    found = answers(outputs, "multilabel") > 0
    has = targets > 0
    cells = [[(~has & ~found), (~has & found)], [(has & ~found), (has & found)]]
    return np.array([[cell.sum(axis=0) for cell in row] for row in cells], dtype=np.int64).transpose(2, 0, 1)


def confused(targets: np.ndarray, outputs: np.ndarray) -> list[tuple[int, int, int]]:
    """List the cells of a confusion matrix that hold something: class, class given, count; the fullest first."""
    codes, counts = np.unique(targets * outputs.shape[1] + answers(outputs, "classification"), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    true, given = np.divmod(codes[order], outputs.shape[1])
    return list(zip(true.tolist(), given.tolist(), counts[order].tolist(), strict=True))


def residuals(targets: np.ndarray, outputs: np.ndarray) -> Residuals:
    """Summarise predictions minus targets, values (N,)."""
    differences = outputs.astype(np.float64) - targets

    def quantiles(values: np.ndarray) -> dict[str, float]:
        levels = [float(level) for level in _LEVELS]
        return dict(zip(_LEVELS, np.quantile(values, levels).tolist(), strict=True))

    return Residuals(
        mean=float(differences.mean()), quantiles=quantiles(differences), absolute=quantiles(np.abs(differences))
    )


def describe_scores(predictions: Predictions, task: Task, lookup: Lookup) -> dict[str, Any]:
    """Return all there is to say of predictions, ready for JSON.

    Always `kind`, `examples`, `metrics` and `skipped` (metric → why it has no value); for classes and labels
    `classes` and `confusion`, in place of which very many classes have `confused`; for values `residuals`.

    Raises:
        DataError: the predictions are not of this task.
    """
    if predictions.kind != task.kind or predictions.classes != len(task.classes):
        raise DataError(
            f"Predictions for {predictions.kind} with {predictions.classes} classes do not belong to a task of "
            f"{task.kind} with {len(task.classes)}; give those of this run."
        )
    targets, outputs = predictions.targets, predictions.outputs
    scores = score_each(targets, outputs, task, lookup)
    found: dict[str, Any] = {
        "kind": task.kind,
        "examples": len(predictions),
        "metrics": scores.values,
        "skipped": scores.skipped,
    }
    if task.kind == "regression":
        return {**found, "residuals": asdict(residuals(targets, outputs))}
    found["classes"] = [asdict(row) for row in class_report(targets, outputs, task)]
    if task.kind == "classification" and predictions.classes > _SQUARE:
        return {**found, "confused": [list(cell) for cell in confused(targets, outputs)]}
    return {**found, "confusion": confusion(targets, outputs).tolist()}


def save_scores(path: Path, scores: Mapping[str, Any]) -> None:
    """Write what `describe_scores` found, by part of the data; a reader sees the old file or the new one."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(json.dumps(scores, ensure_ascii=False, allow_nan=False), encoding="utf-8")
    temporary.replace(path)
