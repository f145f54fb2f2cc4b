"""Which pretrained net to train further: the one whose fixed features serve the data best.

A linear head on cached features is the cheapest measure of how well a net transfers, and its answer is a trial
on the leaderboard besides; only the winner's fine-tuning, many times as dear, is then paid for. Scores such as
LEEP (Nguyen et al. 2020) and LogME (You et al. 2021) estimate what the head here measures.
"""

from __future__ import annotations

from collections.abc import Sequence

from seedbed.core.data.profile import Profile
from seedbed.core.search.history import History
from seedbed.core.space import Space

_SECONDS_EACH = 240.0
"""Of budget for each net beyond the first that is looked at."""

MOST = 4


def with_weights(space: Space, preferred: Sequence[str], history: History) -> list[str]:
    """Return the nets that can be had with pretrained weights, in the order preferred: as many as the time allows."""
    names = {
        str(value)
        for param in space.params
        if param.name == "weights"
        for condition in param.when
        if condition.parent == "architecture"
        for value in condition.values
    }
    budget = history.started.budget_seconds if history.started else None
    most = MOST if budget is None else min(1 + int(budget / _SECONDS_EACH), MOST)
    # What the user asked for by name may be none of the preferred.
    ordered = [*(name for name in preferred if name in names), *sorted(names.difference(preferred))]
    return ordered[: most if names & set(preferred) else 1]


def by_probe(names: Sequence[str], profile: Profile, history: History) -> list[str]:
    """Sort nets by the scores of their probes, the best first; those without one come last, in their order."""
    worths: dict[str, float] = {}
    for trial in history:
        if trial.result is not None and trial.candidate.values.get("policy") == "probe":
            name = trial.candidate.component("architecture")
            worths[name] = max(worths.get(name, float("-inf")), profile.task.worth(trial.score))
    return sorted(names, key=lambda name: -worths.get(name, float("-inf")))
