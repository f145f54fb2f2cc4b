"""The Python face: `fit`, `start`, `load`, `AutoML`; the one place that joins registry and core."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from seedbed.core.data.dataset import Dataset
from seedbed.core.errors import Interrupted, UsageError
from seedbed.core.protocols import Monitor
from seedbed.core.settings import Settings, parse_duration
from seedbed.core.space import Value
from seedbed.registry.registry import open_registry
from seedbed.runs import Folder, Handle, Run

if TYPE_CHECKING:
    from seedbed.core.results.predict import Model
    from seedbed.estimator import AutoML

__all__ = ["AutoML", "Handle", "Run", "fit", "load", "open_registry", "open_run", "start"]

Plugins = Sequence[str | ModuleType]


def fit(source: str | Path | Dataset, **options: Any) -> Run:  # noqa: ANN401 - those of `start`, checked there
    """Train and rank models of the data at `source`; block until done. Options are those of `start`.

    Ctrl-C ends the run early and returns the best so far.

    Raises:
        SeedbedError: what went wrong, and what to do about it.
    """
    handle = start(source, **options)
    try:
        return handle.result()
    except KeyboardInterrupt:
        handle.cancel()
        try:
            return handle.result()
        except Interrupted:  # nothing to keep: then it is what the user asked for
            raise KeyboardInterrupt from None


def fit_arrays(inputs: Any, targets: Any, **options: Any) -> Run:  # noqa: ANN401 - see dataset_of and start
    """Train and rank models of inputs and targets in memory; as `fit` otherwise.

    Raises:
        SeedbedError: what went wrong, and what to do about it.
    """
    from seedbed.core.data.inputs import dataset_of

    return fit(dataset_of(inputs, targets), **options)


def start(
    source: str | Path | Dataset,
    *,
    time: str | float | None = None,
    trials: int | None = None,
    out: str | Path | None = None,
    target: str | None = None,
    test: str | Path | None = None,
    task: str | None = None,
    metric: str | None = None,
    strategy: str = "auto",
    backend: str = "local",
    device: str = "auto",
    workers: int = 0,
    threads: int = 0,
    use: Sequence[str] = (),
    without: Sequence[str] = (),
    fixed: Mapping[str, Value] | None = None,
    seed: int = 0,
    offline: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    plugins: Plugins = (),
    monitors: Sequence[str | Monitor] = (),
    began: float | None = None,
) -> Handle:
    """Begin a run in a thread of its own and return at once.

    Args:
        source: a folder of class folders of images, an address such as `demo:digits`, or a Dataset.
        time: the whole budget, as `"10m"` or in seconds; `trials` bounds the candidates instead or too.
        out: the run's folder; `runs/NAME-N` where it is None.
        use, without: components as `"kind:name"`; `fixed` pins parameters of the search space.
        plugins: modules, module names or files beside those that are installed.
        monitors: names of installed monitors, or objects of your own.
        began: the Unix time from which the budget counts; now, where it is None.

    Raises:
        UsageError: an option has no sensible value.
    """
    began = clock.time() if began is None else began
    settings = Settings(
        source=source.source if isinstance(source, Dataset) else str(source),
        target=target,
        test=None if test is None else str(test),
        task=task,
        metric=metric,
        seconds=parse_duration(str(time)) if time is not None else None,
        trials=trials,
        strategy=strategy,
        backend=backend,
        device=device,
        workers=workers,
        threads=threads,
        use=tuple(use),
        without=tuple(without),
        fixed=dict(fixed or {}),
        seed=seed,
        offline=offline,
    )
    registry = open_registry(plugins)
    registry.require_named()
    if backend != "inline" and not registry.portable:
        raise UsageError(
            "A plugin was given as an object that worker processes cannot import by name; "
            "put it into a module, or use backend='inline'."
        )
    dataset = source if isinstance(source, Dataset) else None
    folder = Folder(out=out, resume=resume, overwrite=overwrite)
    return Handle(settings, registry, monitors, dataset=dataset, folder=folder, cache=home(), began=began)


def load(path: str | Path, plugins: Plugins = ()) -> Model:
    """Load the model of a run, or of a bundle's folder; no pickle is read.

    Raises:
        DataError: there is no usable bundle.
        PluginError: a component the model needs is not installed.
    """
    from seedbed.core.results.bundle import bundle_folder
    from seedbed.core.results.predict import Model

    return Model(bundle_folder(Path(path).expanduser()), open_registry(plugins))


def open_run(path: str | Path, plugins: Plugins = ()) -> Run:
    """Open the folder of a run that has ended, was interrupted, or is still under way.

    Raises:
        DataError: there is no run.
    """
    from seedbed.core.errors import DataError
    from seedbed.core.results.ranking import rank_run
    from seedbed.core.runfolder import RunFolder
    from seedbed.core.search.history import History
    from seedbed.core.search.journal import read

    folder, registry = RunFolder(Path(path).expanduser()), open_registry(plugins)
    if not folder.is_run:
        raise DataError(f"{path} holds no run (journal.jsonl is missing); give the folder that `seedbed fit` named.")
    history = History(read(folder.journal))
    if history.profile is None:
        raise DataError(f"The run in {path} ended before its data was read; begin it again with --resume.")
    seed = history.started.seed if history.started else 0
    ranking = rank_run(history, history.profile, folder, registry, seed=seed, seconds_left=None)
    return Run(folder.path, history, ranking.board, registry, interrupted=False)


def home() -> Path:
    """Return the folder for what runs share: `SEEDBED_HOME`, or the platform's cache folder."""
    import platformdirs

    chosen = os.environ.get("SEEDBED_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("seedbed", appauthor=False))


def __getattr__(name: str) -> object:
    if name == "AutoML":
        from seedbed.estimator import AutoML

        return AutoML
    raise AttributeError(f"module 'seedbed.api' has no attribute {name!r}")
