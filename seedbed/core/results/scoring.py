"""Every metric that fits a task, for predictions whose truth is known."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from seedbed.core.protocols import Lookup
from seedbed.core.specs import MetricSpec
from seedbed.core.task import Task

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scores:
    """The value of each metric by name, and of those that have none the reason."""

    values: dict[str, float]
    skipped: dict[str, str]


def score_each(targets: np.ndarray, outputs: np.ndarray, task: Task, lookup: Lookup) -> Scores:
    """Compute every metric for the kind of task; targets and outputs as `Predictions` holds them.

    What is the same for every model of so few classes (`Metric.least_classes`) is left out, unless it decides.
    """
    found = Scores({}, {})
    for spec in cast(Sequence[MetricSpec], lookup.all("metric")):
        if task.kind not in spec.tasks:
            continue
        try:
            metric = lookup.load(spec)(spec.options())
            if spec.name != task.metric and len(task.classes) < getattr(metric, "least_classes", 0):
                continue
            score = float(metric(targets, outputs))
        except Exception as error:  # a metric plugin's border
            log.warning("The metric %s failed and is left out.", spec.name, exc_info=True)
            found.skipped[spec.name] = f"{type(error).__name__}: {error}"
            continue
        if math.isfinite(score):
            found.values[spec.name] = score
        else:
            log.warning("The metric %s gave %s and is left out: no journal could keep it.", spec.name, score)
            found.skipped[spec.name] = f"it gave {score}, which is no score"
    return found


def score_all(targets: np.ndarray, outputs: np.ndarray, task: Task, lookup: Lookup) -> dict[str, float]:
    """Return the value of every metric for the kind of task; what has none is left out and logged."""
    return score_each(targets, outputs, task, lookup).values
