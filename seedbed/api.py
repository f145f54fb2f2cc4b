"""The Python face: `fit`, `start`, `load`, `AutoML`; the one place that joins registry and core."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from seedbed.core.data.dataset import Dataset, Table
from seedbed.core.errors import Interrupted, UsageError
from seedbed.core.protocols import Monitor
from seedbed.core.settings import Settings, parse_duration
from seedbed.core.space import Value
from seedbed.registry.registry import open_registry
from seedbed.runs import Folder, Handle, Run

if TYPE_CHECKING:
    from seedbed.core.results.predict import Model
    from seedbed.core.task import Modality
    from seedbed.estimator import AutoML
    from seedbed.inspection import Inspection
    from seedbed.replays import Replayed

__all__ = [
    "AutoML",
    "Handle",
    "Inspection",
    "Run",
    "fit",
    "inspect",
    "load",
    "open_registry",
    "open_run",
    "replay",
    "start",
]

Plugins = Sequence[str | ModuleType]


def fit(source: Any, **options: Any) -> Run:  # noqa: ANN401 - see `start`
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
    from seedbed.core.data.reading.inputs import dataset_of

    return fit(dataset_of(inputs, targets), **options)


def start(
    source: Any,  # noqa: ANN401 - see below
    *,
    time: str | float | None = None,
    trials: int | None = None,
    out: str | Path | None = None,
    target: str | None = None,
    test: str | Path | None = None,
    task: str | None = None,
    modality: str | None = None,
    inputs: Sequence[str] = (),
    group: str | None = None,
    order: str | None = None,
    part: str | None = None,
    repair: str = "safe",
    metric: str | None = None,
    target_score: float | None = None,
    patience: int | None = None,
    max_latency: str | float | None = None,
    experience: bool = True,
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
        source: an address (a folder, a file, `demo:digits`, `hub:owner/name`), or data in memory: a pandas
            DataFrame, a `datasets.Dataset`, a dict of columns, a Table or a Dataset.
        target, inputs, part, group, order: columns of a table: what to learn, what to learn it from, which
            rows are for training, validation and test, which rows must stay on one side, what came when.
        task, modality: where the data leaves them open, or the guess is wrong.
        repair: which repairs of the data are applied: `"none"`, `"safe"` ones or `"all"`; its files stay as they are.
        time: the whole budget, as `"10m"` or in seconds; `trials` bounds the candidates instead or too. The search
            also ends at a `target_score`, or after `patience` candidates without a better one.
        max_latency: the time that predicting one row may take in use, as `"10ms"` or in seconds.
        experience: whether earlier runs on this machine may be learnt from; what is kept of them never leaves it.
        out: the run's folder; `runs/NAME-N` where it is None.
        use, without: components as `"kind:name"`; `fixed` pins parameters of the search space.
        plugins: modules, module names or files beside those that are installed.
        monitors: names of installed monitors, or objects of your own.
        began: the Unix time from which the budget counts; now, where it is None.

    Raises:
        UsageError: an option has no sensible value.
    """
    began = clock.time() if began is None else began
    data = _in_memory(source, modality)
    settings = Settings(
        source=str(source) if data is None else data.source,
        target=target,
        test=None if test is None else str(test),
        task=task,
        modality=modality,
        inputs=tuple(inputs),
        group=group,
        order=order,
        part=part,
        repair=repair,
        metric=metric,
        seconds=parse_duration(str(time)) if time is not None else None,
        trials=trials,
        target_score=target_score,
        patience=patience,
        max_latency=parse_duration(str(max_latency)) if max_latency is not None else None,
        experience=experience,
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
    folder = Folder(out=out, resume=resume, overwrite=overwrite)
    return Handle(settings, registry, monitors, data=data, folder=folder, cache=home(), began=began)


def inspect(
    source: Any,  # noqa: ANN401 - see `start`
    *,
    target: str | None = None,
    test: str | Path | None = None,
    task: str | None = None,
    modality: str | None = None,
    inputs: Sequence[str] = (),
    group: str | None = None,
    order: str | None = None,
    part: str | None = None,
    repair: str = "safe",
    without: Sequence[str] = (),
    seed: int = 0,
    offline: bool = False,
    time: str | float = "60s",
    plugins: Plugins = (),
    report: Callable[[str, str], None] = lambda stage, detail: None,
) -> Inspection:
    """Read and check the data as a run would, and train nothing. Options are those of `start`.

    Args:
        time: what may be spent on the features that the finer checks need; with less,
            they look less sharply, then at a sample.
        report: called with a stage and a detail, about once a second.

    Raises:
        SeedbedError: the data cannot be used, and why.
    """
    from seedbed.inspection import examine

    data = _in_memory(source, modality)
    settings = Settings(
        source=str(source) if data is None else data.source,
        target=target,
        test=None if test is None else str(test),
        task=task,
        modality=modality,
        inputs=tuple(inputs),
        group=group,
        order=order,
        part=part,
        repair=repair,
        without=tuple(without),
        seed=seed,
        offline=offline,
        seconds=parse_duration(str(time)),
    )
    registry = open_registry(plugins)
    registry.require_named()
    return examine(settings, registry, data, home(), report)


def _in_memory(source: object, modality: str | None) -> Table | Dataset | None:
    """Return data that was given itself, None for an address."""
    if isinstance(source, str | os.PathLike):
        return None
    if isinstance(source, Table | Dataset):
        return source
    from seedbed.core.data.reading.objects import table_of

    return table_of(source, modality=cast("Modality | None", modality))


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


def replay(
    path: str | Path,
    *,
    out: str | Path | None = None,
    workers: int = 0,
    backend: str | None = None,
    plugins: Plugins = (),
    monitors: Sequence[str | Monitor] = (),
) -> Replayed:
    """Do a run again from its journal, in another folder, and say whether it came to the same leaderboard.

    A timed run too: what the clock decided is read back, so it may take longer than the first time.

    Args:
        path: the folder of a run that has ended.
        out: the new run's folder; `PATH-replay-N` where it is None.
        workers: trials at a time; that changes nothing but the time it takes.
        backend: where trials run; as the first time where it is None.

    Raises:
        DataError: there is no run, or it never described its data.
        UsageError: the data has changed since.
    """
    from seedbed.replays import run_again

    return run_again(path, out=out, workers=workers, backend=backend, plugins=plugins, monitors=monitors, cache=home())


def home() -> Path:
    """Return the folder for what runs share: `SEEDBED_HOME`, or the platform's cache folder."""
    import platformdirs

    chosen = os.environ.get("SEEDBED_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("seedbed", appauthor=False))


def __getattr__(name: str) -> object:
    if name == "AutoML":
        from seedbed.estimator import AutoML

        return AutoML
    if name == "Inspection":
        from seedbed.inspection import Inspection

        return Inspection
    raise AttributeError(f"module 'seedbed.api' has no attribute {name!r}")
