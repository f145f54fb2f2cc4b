"""Automatic Model Tuning: what a study asks, in the words of the SDK. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seedbed.core.errors import UsageError
from seedbed.core.search.flat import Range
from seedbed.core.search.handover import TuningRequest

OBJECTIVE = "seedbed:score"
"""The metric that jobs print for the service to read: the task's own, of the last look."""

SPACE = "space.json"
"""The file beside the job in which the space lies, so that what was drawn can be read as a point of it."""

_SCALES = {False: "Linear", True: "Logarithmic"}


def config(request: TuningRequest, parallel: int) -> dict[str, Any]:
    """Return the fields of a `HyperParameterTuningJobConfig`, by the names of the SDK.

    Raises:
        UsageError: the search cannot work on these ranges.
    """
    if not request.ranges:
        raise UsageError("Nothing is left open for a tuning job to draw; settle less with --set.")
    if request.search == "Grid" and (numbers := [each.name for each in request.ranges if each.kind != "choice"]):
        raise UsageError(f"The service's grid search takes choices alone, but {', '.join(numbers)} are numbers.")
    limits: dict[str, Any] = {"max_parallel_training_jobs": min(parallel, request.trials)}
    if request.search != "Grid":  # a grid has as many jobs as it has points
        limits["max_number_of_training_jobs"] = request.trials
    if request.seconds is not None:
        limits["max_runtime_in_seconds"] = max(round(request.seconds), 120)  # the least that the service takes
    found: dict[str, Any] = {
        "strategy": request.search,
        "resource_limits": limits,
        "hyper_parameter_tuning_job_objective": {
            "type": "Maximize" if request.direction == "max" else "Minimize",
            "metric_name": OBJECTIVE,
        },
        "parameter_ranges": _ranges(request.ranges),
        # Hyperband stops by itself, and refuses to be helped.
        "training_job_early_stopping_type": "Auto" if request.stops_early and request.search != "Hyperband" else "Off",
        "random_seed": request.seed,
    }
    if request.search == "Hyperband":
        most = max(round(request.fidelity.epochs or 0), 1)
        found["strategy_config"] = {"hyperband_strategy_config": {"min_resource": 1, "max_resource": most}}
    return found


def _ranges(ranges: Iterable[Range]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for each in ranges:
        if each.kind == "choice":
            kind, row = "categorical", {"name": each.name, "values": list(each.options)}
        else:
            kind = "continuous" if each.kind == "real" else "integer"
            low, high = (each.low, each.high) if each.kind == "real" else (int(each.low), int(each.high))
            row = {
                "name": each.name,
                "min_value": repr(low),
                "max_value": repr(high),
                "scaling_type": _SCALES[each.log],
            }
        found.setdefault(f"{kind}_parameter_ranges", []).append(row)
    return found
