"""Trials whose scores rise along a known curve and judge themselves as real ones do; plans of them, of any workers."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from core.search.fake_study import PROFILE

from seedbed.core.search.candidate import Candidate, Fidelity, Proposal
from seedbed.core.search.events import DataDescribed, EpochFinished, TrialFinished, TrialStarted, TrialStopped
from seedbed.core.search.history import History, Remaining
from seedbed.core.search.planned import AHEAD, Planned
from seedbed.core.space import Choice, Condition, Float, Int, Param, Space
from seedbed.plugins.strategies.fidelity import full_epochs

BIG = replace(PROFILE, train=2_000, valid=500)
ERRORS = replace(BIG, task=replace(BIG.task, metric="log_loss", direction="min"))
FULL = full_epochs({"policy": "scratch"}, BIG)
SPACE = Space(
    (
        Param("architecture", Choice("a", "b"), "a"),
        Param("policy", Choice("scratch"), "scratch"),
        Param("optimizer", Choice("sgd", "adamw"), "sgd"),
        Param("optimizer.sgd.lr", Float(1e-5, 1.0, log=True), 1e-3, (Condition("optimizer", ("sgd",)),)),
        Param("optimizer.adamw.lr", Float(1e-5, 1.0, log=True), 1e-4, (Condition("optimizer", ("adamw",)),)),
        Param("width", Int(8, 256, log=True), 32),
    )
)


def quality(values):
    """The score that a candidate comes to in the end, without noise: at most 0.95."""
    name = values["optimizer"]
    off = math.log(values[f"optimizer.{name}.lr"] / {"sgd": 0.1, "adamw": 0.003}[name])
    found = 0.95 - 0.02 * (values["architecture"] == "a") - 0.006 * off**2
    return max(found - 0.004 * math.log(values["width"] / 96) ** 2, 0.1)


def score_at(values, share):
    """The score seen after that share of a full training, with noise that is always the same."""
    noise = random.Random(f"{share}{sorted(values.items())}").gauss(0, 0.004)
    return quality(values) * (1 - 0.4 * math.exp(-4 * share)) / (1 - 0.4 * math.exp(-4)) + noise


def trained(trial, fidelity, values):
    """Yield the events of a trial of so much: ten looks, one at each of its bars, and an early end if it lags."""
    looks = sorted({*(tenth / 10 for tenth in range(1, 11)), *(cut.progress for cut in fidelity.cuts)})
    share, best = min(fidelity.epochs / FULL, 1.0) * fidelity.subset, 0.0
    for progress in looks:
        score = score_at(values, progress * share)
        is_best, best = score > best, max(score, best)
        yield a_look(trial, progress, score, epochs=fidelity.epochs, is_best=is_best)
        if any(cut.progress == progress and best < cut.score for cut in fidelity.cuts):
            yield TrialStopped(trial=trial, reason="lags behind", is_cut=True)
            return
    yield TrialFinished(trial=trial, score=best, seconds=1.0, epochs=fidelity.epochs, steps=1)


def a_look(trial, progress, score, *, epochs=FULL, is_best=True):
    return EpochFinished(
        trial=trial,
        epoch=progress * epochs,
        progress=progress,
        train_loss=0.1,
        valid_loss=0.1,
        score=score,
        seconds=1.0,
        is_best=is_best,
    )


def described(kind=History, profile=BIG, left=None):
    """A history of data that nothing was tried on."""
    history = kind([DataDescribed(profile=profile)])
    history.remaining = left or Remaining(trials=1_000)
    return history


def begin(history, proposal):
    """Begin a trial and return its number."""
    number = history.next_number
    history.apply(TrialStarted(trial=number, candidate=proposal.candidate, fidelity=proposal.fidelity))
    return number


def draw(history, values=None, *, fidelity=None):
    """Begin a trial of these values, or any, and return its number."""
    values = values or SPACE.sample(random.Random(f"draw {history.next_number}"))
    return begin(history, Proposal(candidate=Candidate(values), fidelity=fidelity or Fidelity(epochs=FULL)))


def end(history, trial, score, *, seconds=0.0, epochs=FULL):
    history.apply(TrialFinished(trial=trial, score=score, seconds=seconds, epochs=epochs, steps=1))


def proposed(strategy, history, seed=None):
    return strategy.propose(history, random.Random(f"{history.next_number} {seed}"))


def searched(strategy, *, trials, seed):
    """Run one trial after the other; return after each the epochs so far and the best quality of a full training."""
    history, found, spent, best = described(), [], 0.0, 0.0
    for _ in range(trials):
        proposal = proposed(strategy, history, seed)
        number = begin(history, proposal)
        for event in trained(number, proposal.fidelity, proposal.candidate.values):
            history.apply(event)
        trial = history.trials[number]
        spent += trial.curve[-1].epoch * trial.fidelity.subset
        if trial.status == "finished" and trial.fidelity.is_full and trial.fidelity.epochs == FULL:
            best = max(best, quality(trial.candidate.values))
        found.append((spent, best))
    return found


def planned(strategy, *, workers, trials):
    """Run a plan in work units with so many workers, of which the youngest is always the quickest."""
    plan, running, told = Planned(AHEAD), [], []
    plan.take(DataDescribed(profile=BIG))
    while len(told) < trials or running:
        number = len(told)
        if number < trials and len(running) < workers and plan.is_ready(number):
            plan.history.remaining = Remaining(trials=trials - number)
            proposal = strategy.propose(plan.history, random.Random(number))
            SPACE.validate(proposal.candidate.values)
            told.append(proposal)
            plan.take(TrialStarted(trial=number, candidate=proposal.candidate, fidelity=proposal.fidelity))
            running.append(number)
        else:
            number = running.pop()
            for event in trained(number, told[number].fidelity, told[number].candidate.values):
                plan.take(event)
    return told
