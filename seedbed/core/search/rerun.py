"""The trials of an earlier run, done again: the same candidates under the same numbers, as their journal tells.

What the clock decided then is read back, so that a timed run gives the same models on a busier or slower machine.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from seedbed.core.protocols import Backend
from seedbed.core.search.candidate import ENDED, Decision, Proposal, TrialJob
from seedbed.core.search.elsewhere import Ways
from seedbed.core.search.events import Event, TrialFailed, TrialFinished, TrialRefused, TrialStarted, TrialStopped
from seedbed.core.search.history import History, Trial
from seedbed.core.search.study import Ground

_POLL_SECONDS = 0.1
_LAST = (TrialFinished, TrialStopped, TrialRefused, TrialFailed)


def is_done_again(trial: Trial) -> bool:
    """Whether a trial has a place on the leaderboard, and so must be trained again; others are told as they were."""
    return trial.has_result and trial.status in ("finished", "stopped") and not trial.resumable


def script_of(trial: Trial) -> tuple[Decision, ...]:
    """Return what the clock decided in a trial; one that was ended from outside ends after as many looks."""
    ended = any(name.startswith(ENDED) for name, _ in trial.decisions)
    if trial.status != "stopped" or trial.is_cut or ended:
        return trial.decisions
    return (*trial.decisions, (f"{ENDED}{len(trial.curve)}", True))  # by force: it could say nothing any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """All trials of `original`, in their order, as many at a time as the backend takes."""

    ground: Ground
    original: History
    backend: Backend
    record: Callable[[Event], None]
    cancelled: Callable[[], bool]

    def run(self) -> str:
        """Do it; say why it ended."""
        waiting = deque(self.original)
        running: set[int] = set()
        while (waiting or running) and not self.cancelled():
            while waiting and self.backend.free_slots() and not running.intersection(waiting[0].ingredients):
                trial = waiting.popleft()
                self._begin(trial)
                if is_done_again(trial):
                    running.add(trial.number)
                    self.backend.submit(self._job(trial))
                else:
                    self.record(_as_it_was(trial))
            for event in self.backend.poll(_POLL_SECONDS):
                self.record(event)
                if isinstance(event, _LAST):
                    running.discard(event.trial)
        for number in sorted(running):
            self.backend.stop(number)
            self.record(TrialStopped(trial=number, reason="the replay was interrupted", resumable=True))
        return "interrupted" if self.cancelled() else "every trial was done again"

    def _begin(self, trial: Trial) -> None:
        self.record(
            TrialStarted(
                trial=trial.number,
                candidate=trial.candidate,
                fidelity=trial.fidelity,
                role=trial.role,
                to_beat=trial.to_beat,
                ingredients=trial.ingredients,
                processes=min(trial.processes, Ways(self.backend).gpus),
            )
        )

    def _job(self, trial: Trial) -> TrialJob:
        proposal = Proposal(candidate=trial.candidate, fidelity=trial.fidelity, role=trial.role)
        job = self.ground.job(trial.number, proposal, grace=10.0, unix_now=time.time(), to_beat=trial.to_beat)
        folders = tuple(self.ground.folder(each) for each in trial.ingredients)
        processes = min(trial.processes, Ways(self.backend).gpus)
        return replace(job, script=script_of(trial), not_after=None, ingredients=folders, processes=processes)


def _as_it_was(trial: Trial) -> Event:
    """Return the end of a trial that left nothing, as the journal tells it."""
    if trial.status == "refused":
        return TrialRefused(trial=trial.number, reason=trial.reason)
    if trial.status == "failed":
        return TrialFailed(trial=trial.number, error=trial.reason, traceback=trial.traceback)
    return TrialStopped(trial=trial.number, reason=trial.reason or "it never ended", resumable=trial.resumable)
