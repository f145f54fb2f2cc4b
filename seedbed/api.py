"""The Python face: `fit`, `start`, `load`, `AutoML`; the one place that joins registry and core."""

from __future__ import annotations

import os
import threading
import time as clock
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from seedbed.core.data.dataset import Dataset
from seedbed.core.errors import ExitCode, Interrupted, UsageError
from seedbed.core.protocols import Monitor, Workplace
from seedbed.core.settings import Preset, Settings, parse_duration
from seedbed.core.space import Value
from seedbed.registry.registry import Registry, open_registry

if TYPE_CHECKING:
    from seedbed.core.engine import Outcome
    from seedbed.core.results.leaderboard import Leaderboard
    from seedbed.core.results.predict import Model
    from seedbed.core.search.events import Event
    from seedbed.core.search.history import History
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
    preset: Preset = "balanced",
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
        preset=preset,
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
    return Handle(settings, registry, monitors, dataset=dataset, folder=folder, began=began)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Where a run goes, and what to do where one lies there already."""

    out: str | Path | None = None
    resume: bool = False
    overwrite: bool = False


class Handle:
    """A run under way."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        monitors: Sequence[str | Monitor],
        *,
        dataset: Dataset | None,
        folder: Folder,
        began: float,
    ) -> None:
        self._settings, self._registry = settings, registry
        self._feed = _Feed()
        self._watchers = [self._feed.watch, *(_maker(each, registry) for each in monitors)]
        self._dataset, self._folder, self._began = dataset, folder, began
        self._cancelled, self._done = threading.Event(), threading.Event()
        self._outcome: Outcome | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="seedbed-run", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            from seedbed import __version__
            from seedbed.core.engine import Request, fit

            self._outcome = fit(
                Request(
                    settings=self._settings,
                    lookup=self._registry,
                    cache=home(),
                    began=self._began,
                    plugins=self._registry.plugins,
                    monitors=self._watchers,
                    cancelled=self._cancelled.is_set,
                    version=__version__,
                    dataset=self._dataset,
                    out=self._folder.out,
                    resume=self._folder.resume,
                    overwrite=self._folder.overwrite,
                )
            )
        except BaseException as error:  # raised again in the thread that asks for the result
            self._error = error
        finally:
            self._feed.close()
            self._done.set()

    def events(self) -> Iterator[Event]:
        """Yield the run's events from the first to the last, waiting for those to come."""
        return self._feed.follow()

    def cancel(self) -> None:
        """Ask the run to end now and keep the best so far; `result` then returns within seconds."""
        self._cancelled.set()

    def result(self, timeout: float | None = None) -> Run:
        """Wait for the run's end.

        Raises:
            SeedbedError: the run failed.
            TimeoutError: it did not end within `timeout` seconds.
        """
        limit = None if timeout is None else clock.monotonic() + timeout
        # In short waits, because on some systems a long one cannot be interrupted from the keyboard.
        while not self._done.wait(0.2):
            if limit is not None and clock.monotonic() > limit:
                raise TimeoutError(f"The run has not ended within {timeout} s.")
        if self._error is not None:
            raise self._error
        if self._outcome is None:
            raise RuntimeError("The run ended without an outcome.")
        return Run.of(self._outcome, self._registry, interrupted=self._cancelled.is_set())


class _Feed:
    """Keeps a run's events for whoever follows them."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._news = threading.Condition()
        self._closed = False

    def watch(self, workplace: Workplace) -> _Feed:
        """Return the feed itself: it is a monitor."""
        return self

    def on_event(self, event: Event, history: History) -> None:
        """Take in an event."""
        with self._news:
            self._events.append(event)
            self._news.notify_all()

    def close(self) -> None:
        """No more events will come."""
        with self._news:
            self._closed = True
            self._news.notify_all()

    def follow(self) -> Iterator[Event]:
        """Yield all events, past and to come."""
        index = 0
        while True:
            with self._news:
                while index >= len(self._events) and not self._closed:
                    self._news.wait(0.2)
                if index >= len(self._events):
                    return
                event = self._events[index]
            index += 1
            yield event


def _maker(monitor: str | Monitor, registry: Registry) -> Callable[[Workplace], Monitor]:
    if not isinstance(monitor, str):
        return lambda workplace: monitor
    spec = registry.get("monitor", monitor)
    return lambda workplace: registry.load(spec)(spec.options(), workplace)


class Run:
    """A run that has ended, or a run's folder opened again."""

    def __init__(
        self,
        folder: Path,
        history: History,
        leaderboard: Leaderboard,
        registry: Registry,
        *,
        interrupted: bool,
    ) -> None:
        self.folder = folder
        self.history = history
        self.leaderboard = leaderboard
        self._registry = registry
        self._interrupted = interrupted
        self._best: Model | None = None

    @classmethod
    def of(cls, outcome: Outcome, registry: Registry, *, interrupted: bool) -> Run:
        """Make a run of what the engine returned."""
        board = outcome.ranking.board
        return cls(outcome.folder.path, outcome.history, board, registry, interrupted=interrupted)

    @property
    def best(self) -> Model:
        """The winner, loaded."""
        if self._best is None:
            from seedbed.core.results.bundle import bundle_folder
            from seedbed.core.results.predict import Model

            self._best = Model(bundle_folder(self.folder), self._registry)
        return self._best

    @property
    def exit_code(self) -> ExitCode:
        """What the command line answers for this run."""
        if self._interrupted:
            return ExitCode.INTERRUPTED
        candidates = [trial for trial in self.history if trial.role == "candidate"]
        if candidates and all(trial.status == "failed" for trial in candidates):
            return ExitCode.NO_CANDIDATE_SUCCEEDED
        return ExitCode.DONE if self.leaderboard.beats_baseline else ExitCode.NOTHING_BEATS_THE_BASELINE

    def summary(self) -> dict[str, Any]:
        """Return what `seedbed fit --json` prints."""
        import msgspec

        history, bundle = self.history, self.history.bundle
        profile, started = history.profile, history.started
        return {
            "run": str(self.folder),
            "task": None if profile is None else msgspec.to_builtins(profile.task),
            "seconds": round(history.seconds, 3),
            "budget_seconds": started.budget_seconds if started else None,
            "best": None
            if bundle is None
            else {
                "trial": bundle.trials[0],
                "score": round(bundle.score, 6),
                "trials": list(bundle.trials),
                "weights": [round(weight, 6) for weight in bundle.weights],
            },
            "first_bundle_seconds": history.first_bundle_at,
            "test": None if history.evaluation is None else history.evaluation.metrics,
            "leaderboard": self.leaderboard.to_json(),
            "findings": [msgspec.to_builtins(finding) for finding in history.findings],
        }


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
