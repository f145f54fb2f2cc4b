"""Models with a known skill, as entries to rank."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seedbed.core.data.profile import Profile
from seedbed.core.results.entries import baseline_entry
from seedbed.core.results.leaderboard import Entry
from seedbed.core.specs import NoOptions
from seedbed.core.task import Task
from seedbed.core.training.predictions import Predictions
from seedbed.plugins.metrics.scores import accuracy, log_loss

ACCURACY = accuracy(NoOptions())
LOG_LOSS = log_loss(NoOptions())


def model(skill, examples=200, classes=3, seed=0):
    """Predictions that are right with probability `skill`; equal arguments give equal targets."""
    targets = np.arange(examples) % classes
    rng = np.random.default_rng(seed)
    answers = np.where(rng.random(examples) < skill, targets, (targets + 1) % classes)
    probabilities = rng.dirichlet(np.ones(classes), examples) * 0.3
    probabilities[np.arange(examples), answers] += 0.7
    return Predictions(np.arange(examples), targets, probabilities.astype(np.float32))


def entry(trial, predictions=None, **changes):
    given = Entry(
        trial=trial,
        status="finished",
        role="candidate",
        label=f"model {trial}",
        seconds=1.0,
        predictions=predictions,
    )
    return replace(given, **changes)


def majority_entry(predictions, counts):
    task = Task(modality="image", kind="classification", metric="accuracy", classes=tuple("abc")[: len(counts)])
    profile = Profile(task=task, examples=300, train=200, valid=100, test=0, class_counts=tuple(counts))
    return baseline_entry(predictions, profile)
