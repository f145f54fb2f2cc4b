"""The rules themselves: pure functions of a trial."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from seedbed import Finding
from seedbed.core.protocols import Rule
from seedbed.core.search.history import Trial
from seedbed.plugins.rules import NotConvergedOptions, NotLearningOptions, OverfittingOptions, UnstableOptions


def overfitting(options: OverfittingOptions) -> Rule:
    """Build the rule that compares the end of the curve with its lowest validation loss."""

    def rule(trial: Trial) -> Finding | None:
        train, valid = _losses(trial, "train_loss"), _losses(trial, "valid_loss")
        both = [(look, train[look], valid[look]) for look in sorted(train.keys() & valid.keys())]
        if len(both) < 3:
            return None
        at, train_then, valid_then = min(both, key=lambda each: each[2])
        last, train_now, valid_now = both[-1]
        rises = valid_now > valid_then * (1 + options.rise)
        falls = train_now < train_then * (1 - options.fall)
        if not (rises and falls):
            return None
        return Finding(
            check="overfitting",
            severity="warning",
            evidence=(
                f"from epoch {trial.curve[at].epoch:.3g} to {trial.curve[last].epoch:.3g} the training loss "
                f"fell from {train_then:.3g} to {train_now:.3g} while the validation loss rose from "
                f"{valid_then:.3g} to {valid_now:.3g}."
            ),
            remedy=_against_overfitting(trial),
        )

    return rule


def not_learning(options: NotLearningOptions) -> Rule:
    """Build the rule that finds a flat loss at a high level under a flat score."""

    def rule(trial: Trial) -> Finding | None:
        losses = list(_main_losses(trial).values())
        if len(losses) < options.looks:
            return None
        scores = [look.score for look in trial.curve]
        spread = max(scores) - min(scores)
        is_flat = min(losses) > losses[0] * (1 - options.fall)
        is_stuck = spread <= options.spread * max(1.0, max(abs(score) for score in scores))
        if not (is_flat and is_stuck and min(losses) >= options.loss):
            return None
        return Finding(
            check="not_learning",
            severity="warning",
            evidence=(
                f"in {trial.curve[-1].epoch:.3g} epochs the loss went from {losses[0]:.3g} to "
                f"{min(losses):.3g} at best, the score stayed between {min(scores):.3g} and {max(scores):.3g}."
            ),
            remedy=(
                f"Try {_learning_rate(trial)} ten times higher, then ten times lower; if neither learns, "
                "check that the labels belong to the examples."
            ),
        )

    return rule


def not_converged(options: NotConvergedOptions) -> Rule:
    """Build the rule that finds trials that ended as planned, and whose last look is their best by far.

    Which way the metric improves is not known here, but whether the last look was the best one is.
    """

    def rule(trial: Trial) -> Finding | None:
        curve = trial.curve
        if trial.status != "finished" or len(curve) < options.looks or not curve[-1].is_best:
            return None
        end = curve[-1]
        before = [look for look in curve if look.progress <= end.progress - options.tail]
        if not before:
            return None
        gain, whole = abs(end.score - before[-1].score), abs(end.score - curve[0].score)
        if gain < options.gain or gain < options.share * whole:
            return None
        return Finding(
            check="not_converged",
            severity="info",
            evidence=(
                f"the score went from {before[-1].score:.3g} at {before[-1].progress:.0%} of the planned "
                f"work to {end.score:.3g} at its end, after {end.epoch:.3g} epochs."
            ),
            remedy="Give it more time: a longer --time, or a smaller architecture that does more epochs.",
        )

    return rule


def unstable(options: UnstableOptions) -> Rule:
    """Build the rule that counts jumps of the loss between one look and the next."""

    def rule(trial: Trial) -> Finding | None:
        losses = _main_losses(trial)
        jumps = [
            (look, before, after)
            for (_, before), (look, after) in pairwise(losses.items())
            if after > before * options.factor and after > before + options.height
        ]
        if len(jumps) < options.jumps:
            return None
        look, before, after = max(jumps, key=lambda jump: jump[2] - jump[1])
        return Finding(
            check="unstable",
            severity="warning",
            evidence=(
                f"the loss jumped up {len(jumps)} times, most at epoch {trial.curve[look].epoch:.3g}: "
                f"from {before:.3g} to {after:.3g}."
            ),
            remedy=f"Try {_learning_rate(trial)} three times lower, or a schedule with a longer warm-up.",
            count=len(jumps),
        )

    return rule


def _losses(trial: Trial, name: Literal["train_loss", "valid_loss"]) -> dict[int, float]:
    """Losses by the number of the look, where there are any."""
    found = ((index, getattr(look, name)) for index, look in enumerate(trial.curve))
    return {index: loss for index, loss in found if loss is not None}


def _main_losses(trial: Trial) -> dict[int, float]:
    """Training losses, or validation losses for trials that report no others."""
    return _losses(trial, "train_loss") or _losses(trial, "valid_loss")


def _learning_rate(trial: Trial) -> str:
    """Name the parameter that holds the learning rate of this candidate."""
    for name, value in trial.candidate.values.items():
        if name.startswith("optimizer.") and name.endswith(".lr"):
            return f"{name} (here {value:.3g})" if isinstance(value, float) else f"{name} (here {value})"
    return "a learning rate"


def _against_overfitting(trial: Trial) -> str:
    """Name the switches of this candidate that are off, or what else helps."""
    off = [
        name
        for name, value in sorted(trial.candidate.values.items())
        if value is False and name.count(".") == 1 and name.startswith(("augmenter.", "regularizer."))
    ]
    if off:
        return f"Switch on {' or '.join(off)}, or take a smaller architecture; more training data helps most."
    return (
        "Raise the options under regularizer (as in regularizer.dropout) and those of the augmenters, or "
        "take a smaller architecture; more training data helps most."
    )
