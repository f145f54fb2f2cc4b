"""Every metric that fits a task, for predictions whose truth is known."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import cast

import numpy as np

from seedbed.core.protocols import Lookup
from seedbed.core.specs import MetricSpec
from seedbed.core.task import Task

log = logging.getLogger(__name__)


def score_all(targets: np.ndarray, probabilities: np.ndarray, task: Task, lookup: Lookup) -> dict[str, float]:
    """Return the value of every metric for the task, targets (N,) against probabilities (N, K).

    One that raises is left out and logged.
    """
    found: dict[str, float] = {}
    for spec in cast(Sequence[MetricSpec], lookup.all("metric")):
        if task.kind in spec.tasks:
            try:
                score = float(lookup.load(spec)(spec.options())(targets, probabilities))
                if not math.isfinite(score):
                    raise ValueError(f"{score} is no score that a journal could keep")
                found[spec.name] = score
            except Exception:  # a metric plugin's border
                log.warning("The metric %s failed and is left out.", spec.name, exc_info=True)
    return found
