"""What a run needs open while it lasts: its folder, its workers, its journal and its clock; an edge."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from seedbed.core.cores import known_width
from seedbed.core.data.dataset import Dataset, Table
from seedbed.core.errors import DataError, UsageError
from seedbed.core.network import Network
from seedbed.core.protocols import Backend, Lookup, Monitor, Owner, Workplace
from seedbed.core.runfolder import RunFolder, choose_folder, open_folder, save_provenance
from seedbed.core.search.budget import Budget, reserve_for
from seedbed.core.search.chronicle import Chronicle
from seedbed.core.search.compose import Composition
from seedbed.core.search.elsewhere import Ways
from seedbed.core.search.events import ExperienceUsed, RunStarted, TrialStopped
from seedbed.core.search.experience import Experience, Machine
from seedbed.core.search.experience_store import recall, record_of, remember
from seedbed.core.search.history import History
from seedbed.core.search.journal import Journal, read
from seedbed.core.search.pinning import options_of
from seedbed.core.search.planned import AHEAD, Planned
from seedbed.core.settings import Settings
from seedbed.core.specs import Spec

_TRIALS = 10  # where neither a time nor a number of trials was given


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A run to be done: what, where, with which components, and how it is watched and stopped.

    `data` is the data itself where it does not lie at `settings.source`.
    `replays` is the folder of the run that is done again, if it is that, and `asked` what that was asked to do.
    `began` is the Unix time from which the budget counts; `plugins` reopen the registry elsewhere.
    """

    settings: Settings
    lookup: Lookup
    cache: Path
    began: float
    data: Table | Dataset | None = None
    out: str | Path | None = None
    resume: bool = False
    overwrite: bool = False
    plugins: tuple[str, ...] = ()
    monitors: Sequence[Callable[[Workplace], Monitor]] = ()
    cancelled: Callable[[], bool] = lambda: False
    version: str = ""
    replays: str = ""
    asked: Settings | None = None


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A lookup without the components that the user left out."""

    lookup: Lookup
    without: frozenset[str]

    def all(self, kind: str) -> Sequence[Spec]:
        """Return the components of a kind that are left."""
        return [spec for spec in self.lookup.all(kind) if f"{kind}:{spec.name}" not in self.without]

    def get(self, kind: str, name: str) -> Spec:
        """Return one component; naming it wins over leaving it out."""
        return self.lookup.get(kind, name)

    def load(self, spec: Spec) -> Callable[..., Any]:
        """Return the code behind a spec."""
        return self.lookup.load(spec)

    def owner(self, kind: str, name: str) -> Owner:
        """Return who registered a component."""
        return self.lookup.owner(kind, name)


class Session(AbstractContextManager["Session"]):
    """Folder, backend, journal and clock of one run, open for as long as it lasts."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.settings = request.settings
        self.lookup: Lookup = Narrowed(request.lookup, frozenset(request.settings.without))
        self.network = Network(offline=request.settings.offline)
        self._stack = ExitStack()

    def __enter__(self) -> Session:
        with self._stack:  # undone if anything below fails, kept if all goes well
            self._open()
            self._stack = self._stack.pop_all()
        return self

    def planned(self) -> Planned | None:
        """Return what the plan of this run goes by, as far as it has come; None where the clock counts."""
        if not self.ahead:
            return None
        found = Planned(self.ahead)
        for event in read(self.folder.journal):
            found.take(event)
        return found

    def ask_experience(self, composition: Composition) -> None:
        """Journal what earlier runs have to say, before the first trial; a plan is the same with or without them."""
        profile = self.history.profile
        if not self.settings.experience or self.budget.seconds is None or self.history.trials or profile is None:
            return
        experience = Experience(recall(self.request.cache), self._machine)
        prior = experience.prior(profile, composition.space, versions=composition.versions)
        if prior.runs:
            self.chronicle.record(ExperienceUsed(prior=prior))

    def leave_experience(self) -> None:
        """Write down for later runs what this one learnt; a replay learnt nothing new."""
        if self.settings.experience and not self.request.replays:
            record = record_of(self.history, self._machine, self.request.version)
            if record is not None:
                remember(self.request.cache, record)

    @property
    def _machine(self) -> Machine:
        """Where the times of this run hold."""
        return Machine(cores=os.cpu_count() or 1, threads=self.place.threads, device=self.settings.device)

    def __exit__(self, *exc: object) -> None:
        self._stack.close()
        history = self.chronicle.history
        is_elsewhere = history.away is not None or bool(history.returned)
        if exc[0] is not None and not self.request.resume and not history.trials and not is_elsewhere:
            # Nothing came of it, and the reason is being told: an empty run would only be in the way of the next.
            shutil.rmtree(self.folder.path, ignore_errors=True)

    def _open(self) -> None:
        request, settings = self.request, self.settings
        for kind, chosen in (
            ("backend", settings.backend),
            ("strategy", settings.strategy),
            ("metric", settings.metric),
        ):
            if chosen is not None:  # a misspelt one is told before a folder is made
                spec = request.lookup.get(kind, chosen)
                _need_modules(spec)
                if kind != "metric":
                    options_of(spec, settings.fixed)
        name = Path(settings.source.rpartition(":")[2] or settings.source).name
        path = choose_folder(request.out, name)
        if request.overwrite:
            _insist_on_being_here(RunFolder(path))
        self.folder = open_folder(path, resume=request.resume, overwrite=request.overwrite)
        events = read(self.folder.journal) if request.resume else []
        history = History(events)
        before = history.started
        self.budget = _budget(settings, before)
        self.ahead = 0 if self.budget.seconds is not None else before.ahead if before else max(AHEAD, settings.workers)
        self.place = self._workplace(before)
        journal = self._stack.enter_context(Journal(self.folder.journal))
        self.backend = self._stack.enter_context(self._backend())  # its workers import torch meanwhile
        monitors = [make(self.place) for make in request.monitors]
        self.chronicle = Chronicle(journal, monitors, began=request.began, history=history)
        self._stack.callback(self.chronicle.close)
        self.history = self.chronicle.history
        self.is_elsewhere = Ways(self.backend).hosts
        self._begin(before)
        save_provenance(self.folder, request.asked or settings, request.version)

    def _workplace(self, before: RunStarted | None) -> Workplace:
        settings, cores = self.settings, os.cpu_count() or 1
        workers, threads = settings.workers or 1, settings.threads
        if self.budget.seconds is None:
            # Of a plan the rounding must not depend on how many work on it.
            threads = threads or (before.threads if before else 0) or max(cores // AHEAD, 1)
            workers = settings.workers or _side_by_side(settings, self.budget, cores // threads)
        elif settings.backend == "local" and not (settings.workers or settings.threads or _has_gpu(settings)):
            workers = known_width(self.request.cache, cores, seconds=self.budget.seconds)
        return Workplace(
            folder=self.folder.path.absolute(),
            lookup=self.request.lookup,
            plugins=self.request.plugins,
            device=settings.device,
            workers=workers,
            workers_given=settings.workers,
            threads=threads or max(cores // workers, 1),
            budget_seconds=self.budget.seconds,
            offline=settings.offline,
        )

    def _backend(self) -> Backend:
        spec = self.request.lookup.get("backend", self.settings.backend)
        return cast(Backend, self.request.lookup.load(spec)(options_of(spec, self.settings.fixed), self.place))

    def _begin(self, before: RunStarted | None) -> None:
        request, settings = self.request, self.settings
        if self.history.away is not None and not self.is_elsewhere:
            raise UsageError(
                f"The run in {self.folder.path} is elsewhere as a whole, as {self.history.away.place}. Resume it with "
                "the --backend and options that it was begun with, which bring it home; after that it can go on here."
            )
        if before is not None and (before.source, before.seed) != (settings.source, settings.seed):
            raise UsageError(
                f"{self.folder.path} was begun with {before.source} and seed {before.seed}; "
                "resume it with the same, or begin another run in another --out."
            )
        described = self.history.profile
        if described is not None and settings.metric not in (None, described.task.metric):
            raise UsageError(
                f"{self.folder.path} was begun with the metric {described.task.metric}; "
                "resume it with the same, or begin another run in another --out."
            )
        self.chronicle.record(
            RunStarted(
                version=request.version,
                source=settings.source,
                seed=settings.seed,
                budget_seconds=self.budget.seconds,
                budget_trials=self.budget.trials,
                target_score=self.budget.target_score,
                patience=self.budget.patience,
                # Where a study is handed to, it is another machine's cores that count.
                threads=settings.threads if self.is_elsewhere else self.place.threads,
                ahead=self.ahead,
                replays=request.replays,
                resumed=before is not None,
            )
        )
        if Ways(self.backend).joins:
            return  # the study does, once it knows the data
        for trial in self.history.running:
            reason = "the run ended while it was training"
            if trial.places:
                reason += f" at {trial.places[-1][0]}, where it may go on: see to it, or resume with that backend"
            self.chronicle.record(TrialStopped(trial=trial.number, reason=reason, resumable=True))


def _insist_on_being_here(folder: RunFolder) -> None:
    """Refuse to replace a run that goes on elsewhere: nobody would know of its machine any more."""
    try:
        away = History(read(folder.journal)).away if folder.is_run else None
    except DataError:  # damaged, or of another version: it may go
        return
    if away is not None:
        raise UsageError(
            f"The run in {folder.path} is elsewhere, as {away.place}, which may still be billed: bring it home "
            "(--resume), or end that yourself and delete the folder."
        )


def _need_modules(spec: Spec) -> None:
    """Refuse what was asked for and cannot be had for want of a package."""
    missing = [module for module in spec.requires.modules if find_spec(module) is None]
    if missing:
        raise UsageError(
            f"The {spec.kind} {spec.name} needs {', '.join(missing)}, which is not installed; `pip install "
            f"{' '.join(missing)}`, or choose another (`seedbed plugins list {spec.kind}`)."
        )


def _has_gpu(settings: Settings) -> bool:
    return settings.device != "cpu" and shutil.which("nvidia-smi") is not None


def _side_by_side(settings: Settings, budget: Budget, most: int) -> int:
    """Return how many trials of a plan to run at a time, where nobody said.

    On an accelerator one: several would have to share its memory.
    """
    if _has_gpu(settings):
        return 1
    return max(min(AHEAD, most, budget.trials or AHEAD), 1)


def _budget(settings: Settings, before: RunStarted | None) -> Budget:
    """Return the budget of the whole run: what is asked now, else what the run was begun with, else ten trials."""
    seconds, trials = settings.seconds, settings.trials
    target, patience = settings.target_score, settings.patience
    if seconds is None and trials is None:
        seconds, trials = (before.budget_seconds, before.budget_trials) if before else (None, _TRIALS)
        if before is not None and target is None and patience is None:
            target, patience = before.target_score, before.patience
    return Budget(
        seconds=seconds,
        trials=trials,
        reserve=reserve_for(seconds),
        target_score=target,
        patience=patience,
    )
