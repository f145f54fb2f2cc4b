"""What is known of a run: the fold of its events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from seedbed.core.data.profile import Finding, Profile
from seedbed.core.search.candidate import Candidate, Decision, Fidelity, Role
from seedbed.core.search.events import (
    BundleEvaluated,
    BundleSaved,
    ComponentRefused,
    DataDescribed,
    EpochFinished,
    Event,
    ExperienceUsed,
    FindingMade,
    RunStarted,
    StudyPlaced,
    StudyReturned,
    TrialBilled,
    TrialFailed,
    TrialFinished,
    TrialPlaced,
    TrialPlanned,
    TrialRefused,
    TrialStarted,
    TrialStopped,
)
from seedbed.core.search.experience import Prior
from seedbed.core.search.tally import Tally, kin_of, point_of
from seedbed.core.space import Values

Status = Literal["running", "finished", "stopped", "refused", "failed"]

TrialNews = TrialPlaced | TrialBilled | TrialPlanned | EpochFinished
TrialEvent = TrialNews | TrialFinished | TrialStopped | TrialRefused | TrialFailed
"""What is told of a trial that has started."""


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
    is_cut: bool = False
    to_beat: float | None = None
    ingredients: tuple[int, ...] = ()
    decisions: tuple[Decision, ...] = ()
    place: str = ""
    """What ran it already when it was proposed, if anything did."""
    processes: int = 1
    places: tuple[tuple[str, int], ...] = ()
    """Where it has run, each with its attempt, where a backend told; the last is where it runs now."""
    bills: tuple[TrialBilled, ...] = ()

    @property
    def billed_seconds(self) -> float | None:
        """What is paid for the trial, in seconds of its machine; None where nothing is."""
        return sum(each.seconds for each in self.bills) if self.bills else None

    @property
    def label(self) -> str:
        """A few words for a table."""
        made_of = ", ".join(map(str, sorted(self.ingredients)))
        return f"{self.candidate.label} · mean of {made_of}" if made_of else self.candidate.label

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
    """All trials of a run and what else its events told; changed only by `apply`.

    What strategies and budgets ask at every trial is kept up with every event: the cost of a question must
    not grow with the number of trials.
    """

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
        self.experience = Prior()
        self.away: StudyPlaced | None = None
        self.returned: dict[str, StudyReturned] = {}
        self.tally = Tally()
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
                if not self.started.threads:  # it was begun for a machine that was still to be had
                    self.started = replace(self.started, threads=event.threads)
            case DataDescribed():
                self.profile = event.profile
            case FindingMade():
                self.findings.append(event.finding)
            case ComponentRefused():
                self.refusals.append(event)
            case ExperienceUsed():
                self.experience = event.prior
            case StudyPlaced():
                self.away = event
            case StudyReturned():
                self.returned[event.place] = event
                self.away = self.away if self.away and self.away.place not in self.returned else None
            case BundleSaved():
                self.bundle = event
                self.first_bundle_at = event.at if self.first_bundle_at is None else self.first_bundle_at
            case BundleEvaluated():
                if event.part == "test":
                    self.evaluation = event
            case TrialStarted():
                trial = Trial(
                    number=event.trial,
                    candidate=event.candidate,
                    fidelity=event.fidelity,
                    role=event.role,
                    to_beat=event.to_beat,
                    ingredients=event.ingredients,
                    place=event.place,
                    processes=event.processes,
                    started=event.at,
                )
                self.trials[event.trial] = trial
                self.tally.began(trial)
            case (
                TrialPlaced()
                | TrialBilled()
                | TrialPlanned()
                | EpochFinished()
                | TrialFinished()
                | TrialStopped()
                | TrialRefused()
                | TrialFailed()
            ):
                before = self.trials.get(event.trial)
                if before is not None and not before.is_finished:
                    trial = self.trials[event.trial] = _follow(before, event)
                    self.tally.went_on(trial, self.profile)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.trials.values())

    def __len__(self) -> int:
        return len(self.trials)

    @property
    def next_number(self) -> int:
        """The number of the trial that comes next."""
        return self.tally.highest + 1

    @property
    def running(self) -> list[Trial]:
        """Trials that have not ended."""
        return [self.trials[number] for number in self.tally.running]

    @property
    def scored(self) -> list[Trial]:
        """Trials with a usable result, ended or not."""
        return [self.trials[number] for number in sorted(self.tally.scored)]

    @property
    def billed_seconds(self) -> float | None:
        """What is paid for the run, in seconds of the machines that it or its trials had; None where nothing is."""
        bills = [each.billed_seconds for each in self.trials.values()]
        bills += [each.seconds for each in self.returned.values()]
        return sum(each for each in bills if each is not None) if any(each is not None for each in bills) else None

    def alike(self, values: Values) -> list[Trial]:
        """Return the finished trials of the same net and policy, in the order in which they finished."""
        return [self.trials[number] for number in self.tally.finished.get(kin_of(values), ())]

    def refused(self, values: Values) -> list[Trial]:
        """Return the refused trials of the same net and policy, in the order in which they ended."""
        return [self.trials[number] for number in self.tally.refused.get(kin_of(values), ())]

    def tried(self, values: Values) -> bool:
        """Whether this point is running or has had its chance; one that the run's own end cut short has not."""
        return self.tally.points[point_of(values)] > 0


def _follow(trial: Trial, event: TrialEvent) -> Trial:
    match event:
        case TrialPlaced():
            return replace(trial, places=(*trial.places, (event.place, event.attempt)))
        case TrialBilled():  # once for each place: a log that is read again tells it again
            others = tuple(each for each in trial.bills if each.place != event.place)
            return replace(trial, bills=(*others, event))
        case TrialPlanned():
            return replace(trial, plan=event)
        case EpochFinished():
            return replace(trial, curve=(*trial.curve, event), decisions=(*trial.decisions, *event.decisions))
        case TrialFinished():
            decisions = (*trial.decisions, *event.decisions)
            return replace(trial, status="finished", result=event, ended=event.at, decisions=decisions)
        case TrialStopped():
            return replace(
                trial,
                status="stopped",
                reason=event.reason,
                ended=event.at,
                resumable=event.resumable,
                is_cut=event.is_cut,
                decisions=(*trial.decisions, *event.decisions),
            )
        case TrialRefused():
            return replace(trial, status="refused", reason=event.reason, ended=event.at)
        case TrialFailed():
            return replace(trial, status="failed", reason=event.error, traceback=event.traceback, ended=event.at)
