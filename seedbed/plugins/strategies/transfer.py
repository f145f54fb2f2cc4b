"""Which pretrained net to train further: the one whose fixed features serve the data best.

A linear head on cached features is the cheapest measure of how well a net transfers, and its answer is a trial
on the leaderboard besides; only the winner's fine-tuning, many times as dear, is then paid for. Scores such as
LEEP (Nguyen et al. 2020) and LogME (You et al. 2021) estimate what the head here measures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from seedbed.core.data.profile import Profile
from seedbed.core.search.history import History, Trial
from seedbed.core.space import Space

_SHARE = 0.15
"""Of the budget, what the probes may take that choose the net to train further."""

MOST = 4
"""Nets that are looked at, however long the budget."""


def with_weights(space: Space, preferred: Sequence[str]) -> list[str]:
    """Return the nets that can be had with pretrained weights, in the order preferred, at most `MOST`."""
    names = {
        str(value)
        for param in space.params
        if param.name == "weights"
        for condition in param.when
        if condition.parent == "architecture"
        for value in condition.values
    }
    # What the user asked for by name may be none of the preferred.
    ordered = [*(name for name in preferred if name in names), *sorted(names.difference(preferred))]
    return ordered[: MOST if names & set(preferred) else 1]


def to_probe(names: Sequence[str], history: History) -> list[str]:
    """Return the first of them that the budget has time to look at.

    One always; further ones once a probe has told what they cost, as many as fit into a share of the budget.
    """
    budget = history.started.budget_seconds if history.started else None
    most = len(names) if budget is None else max(int(_SHARE * budget / _probe_seconds(history)), 1)
    return list(names[:most])


def _probe_seconds(history: History) -> float:
    """Return what the dearest probe of a pretrained net took so far; without one, more than there is."""
    spent = [trial.result.seconds for trial in history if trial.result is not None and _is_probe(trial)]
    return max(spent, default=math.inf)


def _is_probe(trial: Trial) -> bool:
    return trial.candidate.values.get("policy") == "probe" and "weights" in trial.candidate.values


def by_probe(names: Sequence[str], profile: Profile, history: History) -> list[str]:
    """Sort nets by the scores of their probes, the best first; those without one come last, in their order."""
    worths: dict[str, float] = {}
    for trial in history:
        if trial.result is not None and _is_probe(trial):
            name = trial.candidate.component("architecture")
            worths[name] = max(worths.get(name, float("-inf")), profile.task.worth(trial.score))
    return sorted(names, key=lambda name: -worths.get(name, float("-inf")))
