"""What is known of a run: the fold of its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
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
            case DataDescribed():
                self.profile = event.profile
            case FindingMade():
                self.findings.append(event.finding)
            case ComponentRefused():
                self.refusals.append(event)
            case ExperienceUsed():
                self.experience = event.prior
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
        """What is paid for the run, in seconds of the machines that its trials had; None where nothing is."""
        bills = [each.billed_seconds for each in self.trials.values() if each.billed_seconds is not None]
        return sum(bills) if bills else None

    def alike(self, values: Values) -> list[Trial]:
        """Return the finished trials of the same net and policy, in the order in which they finished."""
        return [self.trials[number] for number in self.tally.finished.get(kin_of(values), ())]

    def refused(self, values: Values) -> list[Trial]:
        """Return the refused trials of the same net and policy, in the order in which they ended."""
        return [self.trials[number] for number in self.tally.refused.get(kin_of(values), ())]

    def tried(self, values: Values) -> bool:
        """Whether this point is running or has had its chance; one that the run's own end cut short has not."""
        return self.tally.points[_point(values)] > 0


def kin_of(values: Values) -> tuple[object, object]:
    """Return what candidates have in common that cost and gain about the same: net and policy."""
    return values.get("architecture"), values.get("policy")


def _point(values: Values) -> frozenset[tuple[str, object]]:
    return frozenset(values.items())


@dataclass(slots=True)
class Tally:
    """Counts and lists over all trials, each kept up in a time that does not depend on how many there are.

    `running` are the numbers of trials that have not ended, in order; `scored` those with a result; `finished` those
    that came to their end, and `refused` those that were, by kin; `candidates` counts as `budget.count_trials` says;
    `slowest` is what predicting a row takes the two slowest candidates, in seconds, ascending; `best` is the best score
    of a candidate that has ended, `since_best` how many have ended after it; `points` counts the trials of a point
    that are running or have had their chance, and `latest` is the last one of each.
    """

    highest: int = -1
    running: dict[int, None] = field(default_factory=dict)
    scored: set[int] = field(default_factory=set)
    finished: dict[tuple[object, object], list[int]] = field(default_factory=dict)
    refused: dict[tuple[object, object], list[int]] = field(default_factory=dict)
    candidates: int = 0
    slowest: tuple[float, ...] = ()
    best: float | None = None
    since_best: int = 0
    points: Counter[frozenset[tuple[str, object]]] = field(default_factory=Counter)
    latest: dict[frozenset[tuple[str, object]], Trial] = field(default_factory=dict)

    def began(self, trial: Trial) -> None:
        """Count a trial that has started."""
        self.highest = max(self.highest, trial.number)
        self.running[trial.number] = None
        if trial.ingredients:  # a mean of weights is no try of the search
            return
        point = _point(trial.candidate.values)
        self.points[point] += 1
        if trial.role != "candidate":
            return
        self.candidates += 1
        before = self.latest.get(point)
        if before is not None and before.status == "stopped" and not before.resumable:
            self.candidates -= 1  # begun again, to go further: one try together
        self.latest[point] = trial

    def went_on(self, trial: Trial, profile: Profile | None) -> None:
        """Take in what has become of a trial; `profile` tells which of two scores is the better."""
        if trial.has_result:
            self.scored.add(trial.number)
        if not trial.is_finished:
            return
        self.running.pop(trial.number, None)
        if trial.ingredients:
            return
        point = _point(trial.candidate.values)
        if trial.resumable:
            self.points[point] -= 1
        if trial.result is not None:
            self.finished.setdefault(kin_of(trial.candidate.values), []).append(trial.number)
        if trial.status == "refused":
            self.refused.setdefault(kin_of(trial.candidate.values), []).append(trial.number)
        if trial.role != "candidate":
            return
        if not trial.resumable and profile is not None:
            self._compare(trial.score, profile)
        if trial.result is not None:
            self.slowest = tuple(sorted((*self.slowest, trial.result.row_seconds))[-2:])
        latest = self.latest[point]
        is_superseded = trial.status == "stopped" and latest.number > trial.number
        if trial.resumable or is_superseded:
            self.candidates -= 1
        if latest.number == trial.number:
            self.latest[point] = trial

    def _compare(self, score: float | None, profile: Profile) -> None:
        worth = profile.task.worth
        if score is not None and (self.best is None or worth(score) > worth(self.best)):
            self.best, self.since_best = score, 0
        else:
            self.since_best += 1


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
