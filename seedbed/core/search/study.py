"""The loop: ask the strategy, give to the backend, tell the journal."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from seedbed.core.data.profile import Profile
from seedbed.core.protocols import Backend, Strategy
from seedbed.core.search.adviser import Adviser
from seedbed.core.search.budget import Budget
from seedbed.core.search.candidate import EVALUATION, Fidelity, Proposal, Role, TrialJob
from seedbed.core.search.compose import Composition
from seedbed.core.search.elsewhere import Ways, was_told
from seedbed.core.search.events import (
    EpochFinished,
    Event,
    TrialFailed,
    TrialFinished,
    TrialStarted,
    TrialStopped,
)
from seedbed.core.search.history import History, Remaining
from seedbed.core.search.planned import Planned
from seedbed.core.search.souping import ingredients

SHORTEST_SECONDS = 0.5
"""With less than this left no trial is started: it could not do a single look."""

_POLL_SECONDS = 0.1
_STOP_SECONDS = 1.5
_SOUP_START = 2.0
_BASELINE_SHARE = 0.1
_BASELINE_SECONDS = 10.0

log = logging.getLogger(__name__)

_STRICT_SECONDS = 0.6
"""How long a trial that the run ends with may be late: what is to come yet has to end in time as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all trials of a study share, and the names and values their jobs are made of."""

    profile: Profile
    data: Path
    splits: Path
    trials: Path
    seed: int
    device: str = "auto"
    threads: int = 0
    tokens: str = ""

    def folder(self, trial: int) -> str:
        """Return where a trial leaves its results."""
        return str(self.trials / f"{trial:04d}")

    def job(
        self, trial: int, proposal: Proposal, *, grace: float, unix_now: float, to_beat: float | None = None
    ) -> TrialJob:
        """Return the job of one trial; its time counts from now, even if its worker is not ready yet."""
        seconds = proposal.fidelity.seconds
        return TrialJob(
            trial=trial,
            candidate=proposal.candidate,
            fidelity=proposal.fidelity,
            profile=self.profile,
            data=str(self.data),
            tokens=self.tokens,
            splits=str(self.splits),
            folder=self.folder(trial),
            seed=seed_of(self.seed, trial),
            device=self.device,
            threads=self.threads,
            grace=grace,
            not_after=None if seconds is None else unix_now + seconds,
            rows_after=self.profile.test,
            is_yardstick=proposal.role == "baseline",
            to_beat=to_beat,
            place=proposal.place,
        )


def seed_of(seed: int, trial: int) -> int:
    """Return a trial's own seed: a function of the study's seed and the trial's number alone."""
    digest = hashlib.sha256(f"{seed}:{trial}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # torch takes 63 bits


@dataclass(slots=True, kw_only=True)
class Study:
    """One search, live: `record` journals an event and folds it into the history, `now` is the run's clock."""

    ground: Ground
    strategy: Strategy
    backend: Backend
    budget: Budget
    history: History
    composition: Composition
    record: Callable[[Event], None]
    now: Callable[[], float]
    cancelled: Callable[[], bool]
    on_result: Callable[[int], None]
    """Told of every trial that has a new best checkpoint on disk."""
    planned: Planned | None = None
    """What a plan in work units goes by; None where the clock counts, and all that is known."""
    _adviser: Adviser = field(init=False)

    @property
    def known(self) -> History:
        """What proposals go by."""
        return self.history if self.planned is None else self.planned.history

    @property
    def _ways(self) -> Ways:
        return Ways(self.backend)

    def run(self) -> str:
        """Search until the budget is spent, nothing is left to try, or the run is cancelled; say which."""
        self._adviser = Adviser(
            strategy=self.strategy, composition=self.composition, seed=self.ground.seed, record=self._record
        )
        self._adviser.meet(self.backend)
        self._join()
        while not self.cancelled():
            is_done = self._fill()
            if is_done and not self.history.tally.running:
                if self.planned is not None and self.planned.tell_all():
                    continue  # a strategy that had nothing for now may know more
                if not (self._is_waiting() or self._begin_soup()):
                    return self._why_nothing()
            for event in self.backend.poll(_POLL_SECONDS):
                self._take(event)
            self._end_overdue()
        self._interrupt()
        return "interrupted"

    def _join(self) -> None:
        """Go on with trials that ran elsewhere when an earlier session of this run ended, where that can be."""
        for trial in self.history.running:
            proposal = Proposal(candidate=trial.candidate, fidelity=trial.fidelity, role=trial.role, place=trial.place)
            self._submit(trial.number, _within(proposal, self._left(trial.role)), trial.to_beat, trial.ingredients)

    def _interrupt(self) -> None:
        """Give up what is under way, unless it can be joined later; what it has reached is kept."""
        if self._ways.joins:
            return
        for trial in self.history.running:
            self.backend.stop(trial.number)
            self._record(TrialStopped(trial=trial.number, reason="the run was interrupted", resumable=True))
        self._let_workers_end()

    def _let_workers_end(self) -> None:
        """Wait a moment for stopped trials, so that none replaces its checkpoint while it is being ranked."""
        limit = time.monotonic() + _STOP_SECONDS
        while not self.backend.idle() and time.monotonic() < limit:
            self.backend.poll(_POLL_SECONDS)

    def _why_nothing(self) -> str:
        left = self.budget.remaining(self.history, self.now())
        if (reason := self.budget.enough(self.known)) is not None:
            return reason
        if left.trials == 0 or self._is_late():
            return "the budget is spent"
        return "nothing is left to try" if left.seconds is None else "no further trial fits into the time left"

    def _fill(self) -> bool:
        """Start trials while there are free slots; return whether there is nothing more to start."""
        while self.backend.free_slots():
            proposal = self._next()
            if proposal is None:
                return True
            number, to_beat = self.history.next_number, self.known.tally.best
            self._record(
                TrialStarted(
                    trial=number,
                    candidate=proposal.candidate,
                    fidelity=proposal.fidelity,
                    role=proposal.role,
                    to_beat=to_beat,
                    place=proposal.place,
                    processes=self._ways.gpus if proposal.wide else 1,
                )
            )
            self._submit(number, proposal, to_beat)
        return self._is_late()

    def _submit(
        self, number: int, proposal: Proposal, to_beat: float | None, ingredients: tuple[int, ...] = ()
    ) -> None:
        job = self.ground.job(
            number,
            proposal,
            grace=self._grace(proposal.fidelity.seconds),
            unix_now=time.time() + self._ways.delay(),
            to_beat=to_beat,
        )
        folders = tuple(self.ground.folder(each) for each in ingredients)
        self.backend.submit(replace(job, ingredients=folders, processes=self._ways.gpus if proposal.wide else 1))

    def _begin_soup(self) -> bool:
        """Begin to average weights, where all else is done, there are trials for it and time is left; say whether."""
        numbers = ingredients(self.history, self.ground.profile)
        left = self.budget.remaining(self.history, self.now()).seconds
        if not numbers or not self.backend.free_slots() or (left is not None and left < self._soup_seconds(numbers)):
            return False
        best = self.history.trials[numbers[0]]
        number, epochs = self.history.next_number, best.fidelity.epochs or 1.0
        fidelity = replace(best.fidelity, epochs=epochs, seconds=left, cuts=())
        self.known.remaining = replace(self.known.remaining, seconds=left)
        self._record(TrialStarted(trial=number, candidate=best.candidate, fidelity=fidelity, ingredients=numbers))
        self._submit(number, Proposal(candidate=best.candidate, fidelity=fidelity), None, numbers)
        return True

    def _soup_seconds(self, numbers: tuple[int, ...]) -> float:
        """Estimate what it takes to judge every mean, and the last one again."""
        rows = max((each.result.row_seconds for n in numbers if (each := self.history.trials[n]).result), default=0.0)
        return _SOUP_START + 2.0 * (len(numbers) + 2) * rows * self.ground.profile.valid

    def _is_waiting(self) -> bool:
        is_over = self._is_late() or self.budget.enough(self.known) is not None
        return not is_over and self._left("candidate").trials != 0 and self._adviser.is_waiting()

    def _is_late(self) -> bool:
        left = self.budget.remaining(self.history, self.now()).seconds
        return left is not None and left < SHORTEST_SECONDS

    def _record(self, event: Event) -> None:
        self.record(event)
        if self.planned is not None:
            self.planned.take(event)

    def _next(self) -> Proposal | None:
        if self.planned is not None and not self.planned.is_ready(self.history.next_number):
            return None
        if self._is_late() or self.budget.enough(self.known) is not None:
            return None
        self.known.remaining = left = self._left("baseline")
        proposal = self._baseline(left)
        if proposal is None and left.trials != 0:
            self.known.remaining = left = self._left("candidate")
            if left.seconds is None or left.seconds >= SHORTEST_SECONDS:
                proposal = self._adviser.ask(self.known, len(self.history))
        return None if proposal is None else _within(proposal, left)

    def _left(self, role: Role) -> Remaining:
        """Return what is left for a trial: of the time, for a candidate, what its machine takes to start comes off."""
        left = self.budget.remaining(self.known, self.now())
        delay = self._ways.delay() if role == "candidate" else 0.0
        return left if left.seconds is None else replace(left, seconds=max(left.seconds - delay, 0.0))

    def _baseline(self, left: Remaining) -> Proposal | None:
        for candidate in self.composition.baselines:
            if not self.known.tried(candidate.values):
                seconds = None if left.seconds is None else _baseline_seconds(left.seconds)
                return Proposal(candidate=candidate, fidelity=Fidelity(epochs=1, seconds=seconds), role="baseline")
        return None

    def _grace(self, seconds: float | None) -> float:
        """How long a trial may be late before it is ended by force.

        Where the run ends with the trial, the run's own promise counts (2 s or 2 %). A shorter trial may
        take as long again: a worker ended by force costs the seconds of starting another.
        """
        if self.budget.seconds is None or seconds is None:
            return 10.0
        strict = max(_STRICT_SECONDS, 0.01 * self.budget.seconds)
        left = self.known.remaining.seconds or 0.0
        return min(max(strict, seconds, 5.0), max(left - seconds, 0.0) + strict)

    def _take(self, event: Event) -> None:
        trial = self.history.trials.get(getattr(event, "trial", EVALUATION))
        if trial is not None and was_told(event, trial):
            return
        self._record(event)
        match event:
            case EpochFinished():
                if event.is_best and not self._ways.is_late:
                    self.on_result(event.trial)
                if self._adviser.gives_up(self.history.trials[event.trial], self.known):
                    self.backend.stop(event.trial)
            case TrialFinished():
                self.on_result(event.trial)
            case TrialStopped():
                if self._ways.is_late and self.history.trials[event.trial].has_result:
                    self.on_result(event.trial)

    def _end_overdue(self) -> None:
        """Give up on trials that even their backend could not end: the run's time limit goes first."""
        if self.budget.seconds is None or self.now() < self.budget.seconds - self.budget.reserve / 2:
            return
        for trial in self.history.running:
            seconds = trial.fidelity.seconds
            late = self._ways.delay() + 2 * self._grace(seconds)
            if seconds is not None and self.now() - trial.started > seconds + late:
                self.backend.stop(trial.number)
                error = "The trial ignored its time limit and was given up."
                self._record(TrialFailed(trial=trial.number, error=error))


def _baseline_seconds(left: float) -> float:
    """Return what a baseline may take at most: little, but where the budget is short enough to be there at all."""
    return max(_BASELINE_SHARE * left, min(_BASELINE_SECONDS, left / 3))


def _within(proposal: Proposal, left: Remaining) -> Proposal:
    """Return the proposal with its time cut to what is left, whatever the strategy said."""
    if left.seconds is None:
        return proposal
    seconds = min(proposal.fidelity.seconds or math.inf, left.seconds)
    return replace(proposal, fidelity=replace(proposal.fidelity, seconds=seconds))
