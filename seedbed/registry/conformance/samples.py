"""Small facts for contracts to work with: a profile, a conditional space, histories, curves, events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from seedbed.core.data.profile import Finding, Lengths, Profile
from seedbed.core.search import events
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import EpochFinished, Event
from seedbed.core.search.history import Trial
from seedbed.core.space import Choice, Condition, Float, Int, Param, Space, pick_any, pick_one
from seedbed.core.specs import NoOptions
from seedbed.core.task import Modality, Task, TaskKind

CANDIDATE = Candidate({"architecture": "small", "policy": "scratch"}, {"architecture:small": 1})
FIDELITY = Fidelity(epochs=4)


@dataclass(frozen=True, slots=True)
class _Small:
    width: Annotated[int, Int(8, 64, step=8)] = 16


@dataclass(frozen=True, slots=True)
class _Large:
    depth: Annotated[int, Int(1, 5)] = 2
    norm: Annotated[str, Choice("batch", "layer")] = "batch"


@dataclass(frozen=True, slots=True)
class _Descent:
    lr: Annotated[float, Float(1e-4, 1.0, log=True)] = 1e-2
    momentum: Annotated[float, Float(0.0, 0.99)] = 0.9


@dataclass(frozen=True, slots=True)
class _Adaptive:
    lr: Annotated[float, Float(1e-5, 1e-2, log=True)] = 1e-3


@dataclass(frozen=True, slots=True)
class _Shift:
    pixels: Annotated[int, Int(1, 4)] = 2


def sequence_profile(
    modality: Modality = "series", *, channels: int = 2, length: int = 40, vocabulary: int = 50, classes: int = 3
) -> Profile:
    """Return the profile of a small, balanced set of series or texts, none longer than `length`."""
    return replace(
        profile_of(classes=classes),
        task=Task(
            modality=modality,
            kind="classification",
            metric="accuracy",
            classes=tuple(f"class{number}" for number in range(classes)),
        ),
        height=0,
        width=0,
        channels=channels if modality == "series" else 0,
        mean=(0.0,) * channels if modality == "series" else (),
        std=(1.0,) * channels if modality == "series" else (),
        lengths=Lengths(least=length // 4, usual=length // 2, most=length, longest=length),
        vocabulary=vocabulary if modality == "text" else 0,
    )


def profile_of(*, size: int = 32, channels: int = 3, classes: int = 3) -> Profile:
    """Return the profile of a small, balanced set of images."""
    return Profile(
        task=Task(
            modality="image",
            kind="classification",
            metric="accuracy",
            classes=tuple(f"class{number}" for number in range(classes)),
        ),
        examples=100 * classes,
        train=60 * classes,
        valid=20 * classes,
        test=20 * classes,
        height=size,
        width=size,
        channels=channels,
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        class_counts=(60,) * classes,
        fingerprint="conformance",
    )


def of_kind(profile: Profile, kind: TaskKind) -> Profile:
    """Return the profile of the same inputs with targets of another kind."""
    if kind == "regression":
        task = replace(profile.task, kind=kind, metric="rmse", direction="min", classes=())
        return replace(profile, task=task, class_counts=(), target_mean=3.0, target_std=2.0)
    return replace(profile, task=replace(profile.task, kind=kind))


def conditional_space() -> Space:
    """Return a space with the engine's slots; what is active in it, and allowed, depends on other choices."""
    large, trained = (
        Condition("architecture", ("large",)),
        Condition("policy", ("scratch", "head_then_all", "full")),
    )
    pretrained = (large, Condition("policy", ("head_then_all", "probe", "full")))
    return Space(
        (
            *pick_one("architecture", [("small", _Small), ("large", _Large), ("fixed", NoOptions)], "small"),
            Param("policy", Choice("scratch"), "scratch", (Condition("architecture", ("small",)),)),
            Param("policy", Choice("head_then_all", "probe", "full", "scratch"), "head_then_all", (large,)),
            Param("policy", Choice("probe"), "probe", (Condition("architecture", ("fixed",)),)),
            Param("weights", Choice("photos", "drawings"), "photos", pretrained),
            Param("resolution", Choice(32), 32, (Condition("policy", ("scratch",)),)),
            Param("resolution", Choice(64, 96, 128), 128, pretrained),
            Param("batch_size", Choice(16, 32, 64), 32, (trained,)),
            *pick_one("optimizer", [("descent", _Descent), ("adaptive", _Adaptive)], "descent", (trained,)),
            *pick_one("schedule", [("cosine", NoOptions), ("linear", NoOptions)], "cosine", (trained,)),
            *pick_any("augmenter", [("flip", NoOptions), ("shift", _Shift)], ["flip"], (trained,)),
            *pick_any("regularizer", [("smoothing", _Adaptive)], (), (trained,)),
        )
    )


def curve(
    scores: Sequence[float], train: Sequence[float | None] = (), valid: Sequence[float | None] = ()
) -> tuple[EpochFinished, ...]:
    """Return the looks of a trial, one an epoch; losses fall like 1/epoch where none are given."""
    n = len(scores)
    train = train or [1 / (1 + epoch) for epoch in range(n)]
    valid = valid or [1 / (1 + epoch) for epoch in range(n)]
    return tuple(
        EpochFinished(
            trial=0,
            epoch=epoch + 1,
            progress=(epoch + 1) / n,
            train_loss=train[epoch],
            valid_loss=valid[epoch],
            score=scores[epoch],
            seconds=epoch + 1.0,
            is_best=scores[epoch] >= max(scores[: epoch + 1]),
            lr=0.1,
        )
        for epoch in range(n)
    )


def trial_with(looks: tuple[EpochFinished, ...]) -> Trial:
    """Return a running trial with this curve."""
    return Trial(number=0, candidate=CANDIDATE, fidelity=FIDELITY, curve=looks)


def one_event_of_each_kind() -> list[Event]:
    """Return every event there is, in the order of a run that meets them all."""
    finding = Finding(check="balance", severity="warning", evidence="9 of 10 rows are 'cat'.", remedy="Add dogs.")
    return [
        events.RunStarted(at=0.0, version="0.1.0", source="photos/", seed=0, budget_seconds=60.0),
        events.StageEntered(at=0.1, stage="reading", detail="photos/"),
        events.FindingMade(at=0.2, finding=finding),
        events.DataDescribed(at=0.3, profile=profile_of()),
        events.ComponentRefused(at=0.4, kind="architecture", name="huge", reason="It needs images of 64 pixels."),
        events.TrialStarted(at=1.0, trial=0, candidate=CANDIDATE, fidelity=FIDELITY),
        events.TrialPlanned(
            at=1.1,
            trial=0,
            device="cpu",
            precision="float32",
            memory_format="channels_last",
            batch_size=64,
            steps=100,
        ),
        *curve([0.5, 0.7]),
        events.TrialFinished(at=3.0, trial=0, score=0.7, seconds=2.0, epochs=2.0, steps=100),
        events.TrialStarted(at=3.1, trial=1, candidate=CANDIDATE, fidelity=FIDELITY),
        events.TrialStopped(at=3.2, trial=1, reason="not worth its remaining cost", seconds=0.1),
        events.TrialStarted(at=3.3, trial=2, candidate=CANDIDATE, fidelity=FIDELITY, role="baseline"),
        events.TrialFailed(at=3.4, trial=2, error="ValueError: no", traceback="Traceback …\nValueError: no"),
        events.BundleSaved(at=3.5, trials=(0,), weights=(1.0,), score=0.7),
        events.EvaluationFailed(at=3.6, error="ValueError: no"),
        events.BundleEvaluated(at=3.7, part="test", metrics={"accuracy": 0.7}, examples=60),
        events.RunFinished(at=3.8, reason="the time is over", seconds=3.8),
    ]
