"""A trial's state on disk: nested values as one file of tensors and JSON, whole or not there at all.

Loading runs no code: tensors are safetensors, and all else is JSON in the same file, so the two never disagree.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from seedbed.core.errors import TrialError
from seedbed.core.search.candidate import TrialJob

log = logging.getLogger(__name__)

FORMAT = 1
"""Raised with every change to what a state holds: one of another version is ignored."""

STATE = "state"
"""The folder, in that of the trial, where its state lies."""

_FILE = "state.safetensors"


def save_state(job: TrialJob, state: Mapping[str, Any]) -> None:
    """Put down a state in place of the last one: whoever reads meanwhile finds one of the two.

    `state` is made of mappings, lists and tuples, of tensors, and of what JSON knows. Keys may be numbers, as those
    of an optimizer's state.

    Raises:
        TrialError: it holds something else.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_flattened(state, tensors))
    folder = Path(job.folder) / STATE
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{_FILE}.partial"
    save_file(tensors, partial, metadata={"of": identity(job), "values": text})
    partial.replace(folder / _FILE)


def load_state(job: TrialJob) -> dict[str, Any] | None:
    """Return the state that was put down for this very trial, its tensors on the CPU; None where there is none.

    One that is torn, of another trial or of another version is ignored, with a line in the log.
    """
    path = Path(job.folder) / STATE / _FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("of") != identity(job):
                log.warning("The state in %s is of another trial or version; the trial begins anew.", path.parent)
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        found: dict[str, Any] = _nested(json.loads(metadata["values"]), tensors)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        log.warning("The state in %s cannot be read (%s); the trial begins anew.", path.parent, error)
        return None
    return found


def identity(job: TrialJob) -> str:
    """Return what a state must agree in with the job that goes on from it; paths and clocks may differ."""
    fidelity, candidate = job.fidelity, job.candidate.fingerprint
    cuts = [[each.progress, each.score] for each in fidelity.cuts]
    shares = [fidelity.subset, fidelity.resolution]
    script = None if job.script is None else list(job.script)
    return json.dumps([FORMAT, candidate, job.seed, fidelity.epochs, fidelity.seconds, shares, cuts, script])


def _flattened(value: Any, tensors: dict[str, Tensor]) -> Any:  # noqa: ANN401 - JSON
    """Return JSON for a value; its tensors go, copied and without gaps, into `tensors` under numbers."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # safetensors refuses tensors that share memory.
        tensors[name] = value.detach().clone().contiguous()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"items": [[_flattened(key, tensors), _flattened(each, tensors)] for key, each in value.items()]}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_flattened(each, tensors) for each in value]}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TrialError(f"A {type(value).__name__} cannot be kept in a trial's state; keep tensors, numbers or text.")


def _nested(value: Any, tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(value, dict):
        return value
    [(kind, inner)] = value.items()
    if kind == "tensor":
        return tensors[inner]
    if kind == "items":
        return {_nested(key, tensors): _nested(each, tensors) for key, each in inner}
    values = [_nested(each, tensors) for each in inner]
    return values if kind == "list" else tuple(values)
