"""What monitors say: events as sentences, durations and scores as people write them. Pure."""

from __future__ import annotations

from typing import Literal

from seedbed.core.data.profile import Finding, Profile
from seedbed.core.search.events import (
    BundleEvaluated,
    BundleSaved,
    DataDescribed,
    EvaluationFailed,
    Event,
    ExperienceUsed,
    FindingMade,
    RunFinished,
    RunStarted,
    StageEntered,
    StudyPlaced,
    StudyReturned,
    TrialFailed,
    TrialFinished,
    TrialPlanned,
    TrialRefused,
    TrialStarted,
    TrialStopped,
)
from seedbed.core.search.history import History, Trial
from seedbed.core.task import written

Weight = Literal["quiet", "normal", "good", "warning", "error"]
"""How loudly a sentence is to be said."""

_ROWS_NAMED = 5
_SCORES_NAMED = 2


def duration(seconds: float) -> str:
    """Return `8 s`, `1 m 05 s` or `2 h 03 m`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} m"


def weight(event: Event) -> Weight:
    """Say how loudly an event is to be told."""
    match event:
        case FindingMade():
            loudness: dict[str, Weight] = {"info": "quiet", "warning": "warning", "error": "error"}
            return loudness[event.finding.severity]
        case TrialFailed() | EvaluationFailed():
            return "error"
        case BundleSaved() | BundleEvaluated():
            return "good"
        case TrialStopped() | StageEntered():
            return "quiet"
        case _:
            return "normal"


def sentence(event: Event, history: History) -> str | None:
    """Say in one line what happened; None for events that only matter to a log or a chart."""
    match event:
        case RunStarted(resumed=True):
            return f"taking up the run where it was left, with {len(history)} trials in its journal"
        case StageEntered():
            return f"{event.stage} {event.detail}".rstrip()
        case FindingMade():
            return finding(event.finding, event.trial)
        case DataDescribed():
            return described(event.profile)
        case ExperienceUsed():
            return f"{event.prior.runs} earlier runs tell of {len(event.prior.points)} points worth a try"
        case StudyPlaced():
            return f"the study goes to {event.place}" + (f", attempt {event.attempt}" if event.attempt > 1 else "")
        case StudyReturned():
            paid = "" if event.seconds is None else f", {duration(event.seconds)} of it are billed"
            return f"back from {event.place}{paid}"
        case TrialStarted():
            limit = event.fidelity.seconds
            return f"trial {event.trial} started: {event.candidate.label}" + (
                f", {duration(limit)} at most" if limit is not None else ""
            )
        case TrialPlanned() if event.accumulated > 1:
            return (
                f"trial {event.trial} takes its batches of {event.batch_size} {in_parts(event)}: "
                "in one they would not fit into memory"
            )
        case TrialFinished() | TrialStopped() | TrialRefused() | TrialFailed():
            return _ended(event, history)
        case BundleSaved():
            members = " and ".join(str(each) for each in event.trials)
            noun = "trial" if len(event.trials) == 1 else "trials"
            return f"a usable model is saved, from {noun} {members}: {metric(history)} {written(event.score)}"
        case BundleEvaluated():
            return f"on {event.examples:,} {event.part} rows: {_scores(event, metric(history))}"
        case EvaluationFailed():
            return f"the model could not be scored: {first_line(event.error)}"
        case RunFinished():
            return f"finished after {duration(event.seconds)}: {event.reason}"
        case _:
            return None


def _scores(event: BundleEvaluated, decisive: str) -> str:
    """List the score that decides, then a few more."""
    first = [decisive] if decisive in event.metrics else []
    others = [name for name in sorted(event.metrics) if name not in first]
    named = [f"{name} {written(event.metrics[name])}" for name in (*first, *others[:_SCORES_NAMED])]
    left = len(others) - _SCORES_NAMED
    return ", ".join(named) + (f" and {left} more" if left > 0 else "")


def _ended(event: TrialFinished | TrialStopped | TrialRefused | TrialFailed, history: History) -> str:
    match event:
        case TrialFinished():
            return (
                f"trial {event.trial} finished: {metric(history)} {written(event.score)} after "
                f"{event.epochs:.3g} epochs in {duration(event.seconds)}"
            )
        case TrialStopped():
            return f"trial {event.trial} stopped: {first_line(event.reason)}"
        case TrialRefused():
            return f"trial {event.trial} refused: {first_line(event.reason)}"
        case TrialFailed():
            return f"trial {event.trial} failed: {first_line(event.error)}"


def finding(found: Finding, trial: int | None = None) -> str:
    """Say what was found, where, and what to do about it, in one line."""
    about = found.check if trial is None else f"trial {trial}, {found.check}"
    shown = ", ".join(found.rows[:_ROWS_NAMED])
    total = max(found.count, len(found.rows))
    more = f" and {total - _ROWS_NAMED:,} more" if total > _ROWS_NAMED and shown else ""
    where = f" [{shown}{more}]" if shown else ""
    return " ".join(filter(None, (f"{found.severity}: {about}: {found.evidence}{where}", found.remedy)))


def described(profile: Profile) -> str:
    """Say what the data is, in one line."""
    noun = {"image": "images", "text": "texts", "series": "series"}[profile.task.modality]
    parts = [f"{profile.examples:,} {noun}"]
    if profile.task.classes:
        parts.append(f"{len(profile.task.classes)} classes")
    if profile.task.modality == "image":
        parts.append(f"{profile.width}x{profile.height}x{profile.channels}")
    split = [f"{profile.train:,} to train", f"{profile.valid:,} to validate"]
    if profile.folds:
        split = [f"{profile.train + profile.valid:,} to train, judged over {profile.folds} folds"]
    if profile.test:
        split.append(f"{profile.test:,} to test")
    return f"{', '.join(parts)}; {', '.join(split)}"


def progress(trial: Trial, history: History) -> str:
    """Say how far a running trial is, in one line."""
    if not trial.curve:
        return f"trial {trial.number} is starting"
    last, folds = trial.curve[-1], history.profile.folds if history.profile else 0
    score = f"{metric(history)} {written(last.score)}"
    if folds and last.progress >= 1:
        return f"trial {trial.number}, {over_folds(folds)}; the first is done: {score}"
    of_first = f" of the first of {folds} folds" if folds else ""
    return f"trial {trial.number} at {last.progress:.0%}{of_first}, epoch {last.epoch:.3g}: {score}"


def in_parts(plan: TrialPlanned | None) -> str:
    """Say in how many parts a batch is taken; nothing where it goes in one."""
    return f"in {plan.accumulated} parts" if plan is not None and plan.accumulated > 1 else ""


def over_folds(folds: int) -> str:
    """Say what goes on in a trial whose first fold is done: of the others, and of all rows, no events come."""
    return f"judging over {folds} folds"


def metric(history: History) -> str:
    """Return the name of the score that decides."""
    return history.profile.task.metric if history.profile else "score"


def first_line(text: str) -> str:
    """Return the first line with something on it."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason was given")
