"""A run under way and a run that has ended, as the Python face shows them."""

from __future__ import annotations

import threading
import time as clock
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.core.data.dataset import Dataset, Table
from seedbed.core.errors import ExitCode
from seedbed.core.protocols import Monitor, Workplace
from seedbed.core.settings import Settings
from seedbed.registry.registry import Registry

if TYPE_CHECKING:
    from seedbed.core.engine import Outcome
    from seedbed.core.results.forecast import Forecast
    from seedbed.core.results.leaderboard import Leaderboard
    from seedbed.core.results.predict import Model
    from seedbed.core.search.events import Event
    from seedbed.core.search.history import History


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
        data: Table | Dataset | None,
        folder: Folder,
        cache: Path,
        began: float,
    ) -> None:
        self._settings, self._registry = settings, registry
        self._feed = _Feed()
        self._watchers = [self._feed.watch, *(maker(each, registry) for each in monitors)]
        self._data, self._folder, self._cache, self._began = data, folder, cache, began
        self._cancelled, self._done = threading.Event(), threading.Event()
        self._outcome: Outcome | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="seedbed-run", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            from seedbed import __version__
            from seedbed.core.engine import fit
            from seedbed.core.session import Request

            self._outcome = fit(
                Request(
                    settings=self._settings,
                    lookup=self._registry,
                    cache=self._cache,
                    began=self._began,
                    plugins=self._registry.plugins,
                    monitors=self._watchers,
                    cancelled=self._cancelled.is_set,
                    version=__version__,
                    data=self._data,
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
        if not self._done.is_set():
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


def maker(monitor: str | Monitor, registry: Registry) -> Callable[[Workplace], Monitor]:
    """Return what makes a monitor for a run, from its name or the object itself."""
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
        self._forecast: Forecast | None = None

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
        if candidates and all(trial.status in ("failed", "refused") for trial in candidates):
            return ExitCode.NO_CANDIDATE_SUCCEEDED
        bundle = self.history.bundle  # of a baseline where nothing else is as fast as was asked for
        is_candidate = bundle is None or any(self.history.trials[each].role == "candidate" for each in bundle.trials)
        return (
            ExitCode.DONE if self.leaderboard.beats_baseline and is_candidate else ExitCode.NOTHING_BEATS_THE_BASELINE
        )

    def forecast(self) -> Forecast:
        """Return what another budget, or more labels of a class, is expected to bring; of one run always the same.

        Raises:
            DataError: the run ended before its data was read.
        """
        if self._forecast is None:
            from seedbed.core.results.forecast import forecast_run
            from seedbed.core.runfolder import RunFolder

            self._forecast = forecast_run(self.history, self.leaderboard, RunFolder(self.folder), self._registry)
        return self._forecast

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
            "billed_seconds": history.billed_seconds,
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
            "test_without_leaked": _without_leaked(history),
            "leaderboard": self.leaderboard.to_json(),
            "forecast": None if profile is None else self.forecast().to_json(),
            "findings": [msgspec.to_builtins(finding) for finding in history.findings],
        }


def _without_leaked(history: History) -> dict[str, Any] | None:
    """Return the test scores without the rows that training has too, None where there are none such."""
    found = history.evaluation
    if found is None or not found.leaked:
        return None
    return {"metrics": found.metrics_without_leaked, "examples": found.examples - found.leaked, "leaked": found.leaked}
