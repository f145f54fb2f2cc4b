"""The facts of a run: frozen, JSON-able, and in the journal in the order in which they came to be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from seedbed.core.data.profile import Finding, Profile
from seedbed.core.errors import DataError
from seedbed.core.search.candidate import EVALUATION, Candidate, Decision, Fidelity, Role
from seedbed.core.search.experience import Prior


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One fact; `at` is seconds since the run began, stamped when it is journaled."""

    at: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStarted(Event):
    """A run began, or began again (`resumed`).

    `threads` is what each trial computes with, which decides how sums are rounded; `ahead` how many trials a plan
    in work units is laid ahead of their results, 0 where the clock counts. `replays` names the run that is done again.
    """

    version: str
    source: str
    seed: int
    budget_seconds: float | None = None
    budget_trials: int | None = None
    target_score: float | None = None
    patience: int | None = None
    threads: int = 0
    ahead: int = 0
    replays: str = ""
    resumed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class StageEntered(Event):
    """The run moved on: reading, checking, preparing, searching, ending."""

    stage: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FindingMade(Event):
    """A check looked at the data, or a rule at a trial, and found something."""

    finding: Finding
    trial: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DataDescribed(Event):
    """The data is prepared, split and measured."""

    profile: Profile


@dataclass(frozen=True, kw_only=True, slots=True)
class ComponentRefused(Event):
    """A component cannot be used here, and why."""

    kind: str
    name: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ExperienceUsed(Event):
    """What earlier runs on this machine have to say: all of it that this run may go by."""

    prior: Prior


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialStarted(Event):
    """A candidate was handed to the backend; `to_beat` was the best score of a candidate by then.

    With `ingredients` it is the mean of the weights of these trials. `place` is what ran it already by then, if others
    begin the trials. Over so many `processes` each batch is shared.
    """

    trial: int
    candidate: Candidate
    fidelity: Fidelity
    role: Role = "candidate"
    to_beat: float | None = None
    ingredients: tuple[int, ...] = ()
    place: str = ""
    processes: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialPlaced(Event):
    """Where a trial runs: a node, the name of a training job; told again, with the next attempt, when that changes."""

    trial: int
    place: str
    attempt: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialBilled(Event):
    """For how many seconds of its `place` a trial is paid; it comes before the trial's end."""

    trial: int
    seconds: float
    place: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyPlaced(Event):
    """Where the whole study goes on: the name of a job; told again, with the next attempt, when that changes."""

    place: str
    attempt: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyReturned(Event):
    """A place is done with the study, and what it left is here; `seconds` of it are paid for, None: nothing is told."""

    place: str
    attempt: int = 1
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialPlanned(Event):
    """How the trial will run here, as measured; `steps` is None where the clock alone bounds the work.

    A batch is taken in `accumulated` parts where it does not fit into memory at once. `memory_bytes` is what a
    training step takes beside the weights, 0 where it was not measured.
    """

    trial: int
    device: str
    precision: str
    memory_format: str
    batch_size: int
    steps: int | None
    accumulated: int = 1
    memory_bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochFinished(Event):
    """A look at the validation part; its predictions and checkpoint are on disk if `is_best`.

    `epoch` counts passes over the training part and need not be whole, `progress` in [0, 1] is the
    share of the planned work, `score` the task's metric, `seconds` the trial's age. `decisions` are those made
    since the last event: with all of a trial's it can be done again in work units alone. `peak_bytes` is the most that
    the trial had taken of an accelerator by now, 0 where that is not measured.
    """

    trial: int
    epoch: float
    progress: float
    train_loss: float | None
    valid_loss: float | None
    score: float
    seconds: float
    is_best: bool
    lr: float = 0.0
    decisions: tuple[Decision, ...] = ()
    peak_bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialFinished(Event):
    """The trial came to its planned end; `score` is that of the kept checkpoint.

    `row_seconds` is what predicting one row took among many. Of a row on its own: `latency_p50` and `latency_p95`,
    in seconds on this machine, and `memory_bytes`, what its prediction takes beside the weights. `size_bytes` is the
    checkpoint's. 0 where it was not measured. `knows_valid` where the model went on to learn from the rows that it
    was judged by. `decisions` are those made since the last look. `peak_bytes` is the most that the trial had taken of
    an accelerator.
    """

    trial: int
    score: float
    seconds: float
    epochs: float
    steps: int
    row_seconds: float = 0.0
    notes: tuple[str, ...] = ()
    latency_p50: float = 0.0
    latency_p95: float = 0.0
    memory_bytes: int = 0
    size_bytes: int = 0
    knows_valid: bool = False
    decisions: tuple[Decision, ...] = ()
    peak_bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialStopped(Event):
    """The trial was ended early; what it had reached is kept.

    `is_cut` where it lagged behind a bar of its own fidelity.
    `resumable` where the run itself was cut short: the candidate then comes again when the run goes on.
    """

    trial: int
    reason: str
    seconds: float = 0.0
    resumable: bool = False
    is_cut: bool = False
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRefused(Event):
    """The candidate cannot be trained here, and that is no fault of its code: it is too large, for instance."""

    trial: int
    reason: str
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialFailed(Event):
    """The trial ended by itself, without a result; `error` is one line, `traceback` all that is known."""

    trial: int
    error: str
    traceback: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleSaved(Event):
    """A usable model is on disk, made from these trials with these weights."""

    trials: tuple[int, ...]
    weights: tuple[float, ...]
    score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleEvaluated(Event):
    """A bundle was scored on rows that played no part in training or choosing it.

    Where `leaked` of the rows have a duplicate among those that did, `metrics_without_leaked` are the
    scores of the others.
    """

    part: str
    metrics: dict[str, float]
    examples: int
    seconds: float = 0.0
    leaked: int = 0
    metrics_without_leaked: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationFailed(Event):
    """The bundle could not be scored."""

    error: str
    traceback: str = ""
    trial: int = EVALUATION


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFinished(Event):
    """The run is over, and why."""

    reason: str
    seconds: float


EVENTS: dict[str, type[Event]] = {
    cls.__name__: cls
    for cls in (
        RunStarted,
        StageEntered,
        FindingMade,
        DataDescribed,
        ComponentRefused,
        ExperienceUsed,
        StudyPlaced,
        StudyReturned,
        TrialStarted,
        TrialPlaced,
        TrialBilled,
        TrialPlanned,
        EpochFinished,
        TrialFinished,
        TrialStopped,
        TrialRefused,
        TrialFailed,
        BundleSaved,
        BundleEvaluated,
        EvaluationFailed,
        RunFinished,
    )
}

TERMINAL = (TrialFinished, TrialStopped, TrialRefused, TrialFailed, BundleEvaluated, EvaluationFailed)
"""Every job ends in exactly one of these."""


def to_line(event: Event) -> bytes:
    """Return the event as one line of JSON, without the line end; floats that are not finite become null."""
    found = {"event": type(event).__name__, **msgspec.to_builtins(event)}
    try:
        return msgspec.json.encode(found)
    except UnicodeEncodeError:  # a file name with bytes that are no UTF-8
        return msgspec.json.encode(_printable(found))


def _printable(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Replace what UTF-8 cannot say by escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_printable(key): _printable(each) for key, each in value.items()}
    return [_printable(each) for each in value] if isinstance(value, list | tuple) else value


def from_line(line: bytes | str) -> Event:
    """Read an event back.

    Raises:
        DataError: the line is no event of this version.
    """
    try:
        return from_builtins(msgspec.json.decode(line))
    except (msgspec.DecodeError, TypeError, AttributeError) as error:
        raise DataError(f"This line is no event: {line[:80]!r} ({error}).") from error


def from_builtins(found: dict[str, Any]) -> Event:
    """Read an event from its decoded JSON object."""
    name = found.pop("event", None)
    if name not in EVENTS:
        raise DataError(f"{name!r} is no event this version knows; it was written by another version.")
    try:
        return msgspec.convert(found, EVENTS[name])
    except msgspec.ValidationError as error:
        raise DataError(f"This {name} does not fit its form: {error}.") from error
