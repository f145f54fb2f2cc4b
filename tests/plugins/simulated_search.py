"""A conditional space with a known best, and trials whose scores and curves are reckoned, not trained."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from core.search.fake_study import PROFILE

from seedbed.core.search.events import DataDescribed, EpochFinished, TrialFinished, TrialStarted, TrialStopped
from seedbed.core.search.history import History, Remaining
from seedbed.core.space import Choice, Condition, Float, Int, Param, Space

BIG = replace(PROFILE, train=2_000, valid=500)


def _when(slot, *values):
    return (Condition(slot, values),)


def surface_space():
    params = [
        Param("architecture", Choice("a", "b", "c"), "a"),
        Param("policy", Choice("scratch"), "scratch"),
        Param("optimizer", Choice("sgd", "adamw"), "sgd"),
    ]
    for name in ("sgd", "adamw"):
        here = _when("optimizer", name)
        params.append(Param(f"optimizer.{name}.lr", Float(1e-5, 1.0, log=True), 1e-3, here))
        params.append(Param(f"optimizer.{name}.decay", Float(1e-6, 0.3, log=True), 1e-3, here))
    for name in "abc":
        params.append(Param(f"architecture.{name}.width", Int(8, 256, log=True), 32, _when("architecture", name)))
    params += [Param(f"switch{number}", Choice(False, True), False) for number in range(4)]
    params.append(Param("switch0.strength", Float(0.0, 1.0), 0.5, _when("switch0", True)))
    return Space(tuple(params))


SPACE = surface_space()


def quality(values):
    """The score that a candidate comes to in the end, without noise: at most about 0.95."""
    best = {"sgd": math.log(0.1), "adamw": math.log(0.003)}[values["optimizer"]]
    rate = math.log(values[f"optimizer.{values['optimizer']}.lr"])
    architecture = values["architecture"]
    width = math.log(values[f"architecture.{architecture}.width"] / 96)
    found = 0.91 + {"a": 0.0, "b": 0.02, "c": -0.03}[architecture]
    found -= 0.006 * (rate - best) ** 2 + 0.004 * width**2
    found += 0.01 * values["switch0"] - 0.015 * values["switch1"] + 0.01 * (values["optimizer"] == "adamw")
    return max(found, 0.1)


def score_at(values, progress, seed=0):
    """The score seen after that share of the training."""
    rng = random.Random(f"{seed}{progress}{sorted(values.items())}")
    return quality(values) * (1 - 0.4 * math.exp(-4 * progress)) / (1 - 0.4 * math.exp(-4)) + rng.gauss(0, 0.004)


def begin(history, proposal):
    number = history.next_number
    history.apply(TrialStarted(trial=number, candidate=proposal.candidate, fidelity=proposal.fidelity))
    return number


def train(history, proposal, seed=0, full=None):
    """Run a trial as a backend would, bars included; return the epochs it took."""
    number, fidelity, values = begin(history, proposal), proposal.fidelity, proposal.candidate.values
    epochs, best = fidelity.epochs, None
    reach = 1.0 if full is None else min(epochs / full, 1.0)
    looks = sorted({*(n / 10 for n in range(1, 11)), *(cut.progress for cut in fidelity.cuts)})
    for look in looks:
        score = score_at(values, look * reach * fidelity.subset, seed)
        is_best = best is None or score > best
        best = max(score, best or score)
        history.apply(
            EpochFinished(
                trial=number,
                epoch=look * epochs,
                progress=look,
                train_loss=0.1,
                valid_loss=0.1,
                score=score,
                seconds=0.0,
                is_best=is_best,
            )
        )
        if any(cut.progress == look and best < cut.score for cut in fidelity.cuts):
            history.apply(TrialStopped(trial=number, reason="lags behind", is_cut=True))
            return look * epochs
    history.apply(TrialFinished(trial=number, score=best, seconds=0.0, epochs=epochs, steps=1))
    return epochs


def search(strategy, *, trials, seed=0, profile=BIG, full=None):
    """Run a plan in work units; return the history, and after each trial the epochs so far and the best quality."""
    history = History([DataDescribed(profile=profile)])
    work, spent, best = [], 0.0, 0.0
    for number in range(trials):
        history.remaining = Remaining(trials=trials - number)
        proposal = strategy.propose(history, random.Random(f"{seed}:{number}"))
        if proposal is None:
            break
        spent += train(history, proposal, seed, full)
        if history.trials[number].status == "finished" and proposal.fidelity.is_full:
            best = max(best, quality(proposal.candidate.values))
        work.append((spent, best))
    return history, work
