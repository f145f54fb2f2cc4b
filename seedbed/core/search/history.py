"""What is known of a run: the fold of its events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from seedbed.core.data.profile import Finding, Profile
from seedbed.core.search.candidate import Candidate, Fidelity, Role
from seedbed.core.search.events import (
    BundleEvaluated,
    BundleSaved,
    ComponentRefused,
    DataDescribed,
    EpochFinished,
    Event,
    FindingMade,
    RunStarted,
    TrialFailed,
    TrialFinished,
    TrialPlanned,
    TrialStarted,
    TrialStopped,
)
from seedbed.core.space import Values

Status = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One candidate's story so far; `started` and `ended` are seconds since the run began."""

    number: int
    candidate: Candidate
    fidelity: Fidelity
    role: Role = "candidate"
    status: Status = "running"
    started: float = 0.0
    ended: float | None = None
    plan: TrialPlanned | None = None
    curve: tuple[EpochFinished, ...] = ()
    result: TrialFinished | None = None
    reason: str = ""
    traceback: str = ""
    resumable: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether the trial has ended, in whatever way."""
        return self.status != "running"

    @property
    def has_result(self) -> bool:
        """Whether a checkpoint and validation predictions of this trial are on disk."""
        return self.result is not None or any(each.is_best for each in self.curve)

    @property
    def score(self) -> float | None:
        """The score of the kept checkpoint, None while there is none."""
        if self.result is not None:
            return self.result.score
        kept = [each.score for each in self.curve if each.is_best]
        return kept[-1] if kept else None

    @property
    def seconds(self) -> float:
        """How long the trial has run, as far as is known."""
        if self.result is not None:
            return self.result.seconds
        if self.ended is not None:
            return self.ended - self.started
        return self.curve[-1].seconds if self.curve else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Remaining:
    """What is left of the budget for trials; None means no limit of that sort."""

    seconds: float | None = None
    trials: int | None = None


class History:
    """All trials of a run and what else its events told; changed only by `apply`."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.trials: dict[int, Trial] = {}
        self.findings: list[Finding] = []
        self.refusals: list[ComponentRefused] = []
        self.profile: Profile | None = None
        self.started: RunStarted | None = None
        self.bundle: BundleSaved | None = None
        self.first_bundle_at: float | None = None
        self.evaluation: BundleEvaluated | None = None
        self.seconds = 0.0
        self.remaining = Remaining()
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Take one more event into account.

        Events about trials that never started are ignored: a torn journal may have lost the start.
        """
        self.seconds = max(self.seconds, event.at)
        match event:
            case RunStarted():
                self.started = self.started or event
            case DataDescribed():
                self.profile = event.profile
            case FindingMade():
                self.findings.append(event.finding)
            case ComponentRefused():
                self.refusals.append(event)
            case BundleSaved():
                self.bundle = event
                self.first_bundle_at = event.at if self.first_bundle_at is None else self.first_bundle_at
            case BundleEvaluated():
                if event.part == "test":
                    self.evaluation = event
            case TrialStarted():
                self.trials[event.trial] = Trial(
                    number=event.trial,
                    candidate=event.candidate,
                    fidelity=event.fidelity,
                    role=event.role,
                    started=event.at,
                )
            case TrialPlanned() | EpochFinished() | TrialFinished() | TrialStopped() | TrialFailed():
                trial = self.trials.get(event.trial)
                if trial is not None and not trial.is_finished:
                    self.trials[event.trial] = _follow(trial, event)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.trials.values())

    def __len__(self) -> int:
        return len(self.trials)

    @property
    def running(self) -> list[Trial]:
        """Trials that have not ended."""
        return [trial for trial in self if not trial.is_finished]

    @property
    def scored(self) -> list[Trial]:
        """Trials with a usable result, ended or not."""
        return [trial for trial in self if trial.has_result]

    def tried(self, values: Values) -> bool:
        """Whether this point is running or has had its chance; one that the run's own end cut short has not."""
        return any(trial.candidate.values == values and not trial.resumable for trial in self)


def _follow(trial: Trial, event: TrialPlanned | EpochFinished | TrialFinished | TrialStopped | TrialFailed) -> Trial:
    match event:
        case TrialPlanned():
            return replace(trial, plan=event)
        case EpochFinished():
            return replace(trial, curve=(*trial.curve, event))
        case TrialFinished():
            return replace(trial, status="finished", result=event, ended=event.at)
        case TrialStopped():
            return replace(trial, status="stopped", reason=event.reason, ended=event.at, resumable=event.resumable)
        case TrialFailed():
            return replace(trial, status="failed", reason=event.error, traceback=event.traceback, ended=event.at)
