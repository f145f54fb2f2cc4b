"""Runs done again, and two runs compared, as the Python face offers them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from seedbed import __version__
from seedbed.core.errors import DataError
from seedbed.core.protocols import Monitor
from seedbed.core.replay import Original
from seedbed.core.replay import replay as do_again
from seedbed.core.results.difference import Difference, Side, compare
from seedbed.core.runfolder import RunFolder
from seedbed.core.session import Request
from seedbed.core.settings import Settings
from seedbed.registry.registry import open_registry
from seedbed.runs import Run, maker


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A run that was done again; `differences` are in words, none where it came to the same to the last digit."""

    run: Run
    original: Path
    differences: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return what `seedbed replay --json` prints."""
        return {
            "run": str(self.run.folder),
            "original": str(self.original),
            "same": not self.differences,
            "differences": list(self.differences),
            "leaderboard": self.run.leaderboard.to_json(),
        }


def run_again(
    path: str | Path,
    *,
    out: str | Path | None,
    workers: int,
    backend: str | None,
    plugins: Sequence[str | ModuleType],
    monitors: Sequence[str | Monitor],
    cache: Path,
    cancelled: Callable[[], bool] = lambda: False,
) -> Replayed:
    """Do the run in `path` again; see `seedbed.api.replay`."""
    from seedbed.api import open_run

    first = open_run(path, plugins=plugins)
    folder = RunFolder(first.folder)
    settings = settings_of(folder)
    registry = open_registry(plugins)
    profile, started = first.history.profile, first.history.started
    if profile is None or started is None:
        raise DataError(f"The run in {path} ended before its data was read; there is nothing to do again.")
    # A study that was elsewhere as a whole had local workers there.
    chosen = backend or ("local" if first.history.returned else settings.backend)
    request = Request(
        settings=replace(
            settings,
            seconds=None,
            trials=max(len(first.history), 1),
            target_score=None,
            patience=None,
            threads=started.threads or settings.threads,
            workers=workers,
            backend=chosen,
            fixed={name: value for name, value in settings.fixed.items() if _is_for(chosen, name)},
            metric=profile.task.metric,
        ),
        lookup=registry,
        cache=cache,
        began=time.time(),
        out=out or free_folder(first.folder),
        plugins=registry.plugins,
        monitors=[maker(each, registry) for each in monitors],
        cancelled=cancelled,
        version=__version__,
        replays=str(path),
        asked=settings,
    )
    original = Original(folder=folder, history=first.history, profile=profile)
    found = do_again(request, original, first.leaderboard)
    run = Run.of(found.outcome, registry, interrupted=cancelled())
    return Replayed(run=run, original=first.folder, differences=found.differences)


def _is_for(backend: str, option: str) -> bool:
    """Whether what was set is of candidates or the strategy, or of this backend: which then runs trials one by one."""
    kind, _, rest = option.partition(".")
    return kind != "backend" or (rest.startswith(f"{backend}.") and rest != f"{backend}.remote")


def free_folder(path: Path) -> Path:
    """Return the first free `PATH-replay-N`."""
    return next(each for n in count(1) if not (each := path.with_name(f"{path.name}-replay-{n}")).exists())


def settings_of(folder: RunFolder) -> Settings:
    """Return what a run was asked to do.

    Raises:
        DataError: its manifest cannot be read.
    """
    try:
        found = json.loads((folder.path / "manifest.json").read_text("utf-8"))
        return msgspec.convert(found["settings"], Settings)
    except (OSError, ValueError, KeyError, TypeError, msgspec.ValidationError) as error:
        raise DataError(
            f"{folder.path / 'manifest.json'} does not say what this run was asked to do ({error}); "
            "it was written by another version of Seedbed, or damaged."
        ) from error


def compare_runs(one: str | Path, other: str | Path, plugins: Sequence[str | ModuleType] = ()) -> list[Difference]:
    """Return why two runs differ, causes first; empty where they are equal.

    Raises:
        DataError: one of them is no run, or its manifest cannot be read.
    """
    return compare(*(_side(each, plugins) for each in (one, other)))


def _side(path: str | Path, plugins: Sequence[str | ModuleType]) -> Side:
    from seedbed.api import open_run

    run = open_run(path, plugins=plugins)
    folder = RunFolder(run.folder)
    settings = asdict(settings_of(folder))
    started = run.history.started
    try:
        lines = (folder.path / "environment.txt").read_text("utf-8").splitlines()
    except OSError:  # it tells of causes only, and there are others
        lines = []
    packages = dict(line.split("==", 1) for line in lines if "==" in line)
    return Side(
        settings=settings,
        version="" if started is None else started.version,
        packages=packages,
        history=run.history,
        board=run.leaderboard,
    )
