"""What a job reads and writes, for backends whose machines do not share this one's files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from seedbed.core.search.candidate import Job, TrialJob

PASSING = ("state", "folds", "lap")
"""Folders within a trial's own that only a trial needs which goes on elsewhere: at its end they are of no use."""

_TRIAL_INPUTS = ("data", "tokens", "splits")
_EVALUATION_INPUTS = ("bundle", "data", "tokens", "splits", "valid")
_EVALUATION_OUTPUTS = ("output", "scores")


def inputs(job: Job) -> tuple[Path, ...]:
    """Return the files and folders that a job reads; those that all jobs of a study share come first."""
    if isinstance(job, TrialJob):
        return (*_paths(job, _TRIAL_INPUTS), *map(Path, job.ingredients))
    return _paths(job, _EVALUATION_INPUTS)


def outputs(job: Job) -> tuple[Path, ...]:
    """Return what a job writes: a trial its folder, an evaluation two files."""
    return (Path(job.folder),) if isinstance(job, TrialJob) else _paths(job, _EVALUATION_OUTPUTS)


def relocated(job: Job, place: Callable[[Path], Path]) -> Job:
    """Return the same job where every path is the one that `place` gives for it; an empty one stays empty."""

    def put(path: str) -> str:
        return str(place(Path(path))) if path else path

    if isinstance(job, TrialJob):
        paths: dict[str, Any] = {name: put(getattr(job, name)) for name in (*_TRIAL_INPUTS, "folder")}
        return replace(job, **paths, ingredients=tuple(map(put, job.ingredients)))
    paths = {name: put(getattr(job, name)) for name in (*_EVALUATION_INPUTS, *_EVALUATION_OUTPUTS)}
    return replace(job, **paths)


def _paths(job: Job, names: tuple[str, ...]) -> tuple[Path, ...]:
    return tuple(Path(found) for name in names if (found := getattr(job, name)))
