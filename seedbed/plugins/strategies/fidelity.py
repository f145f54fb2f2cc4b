"""How much a candidate deserves: epochs that suffice to learn, and what they are expected to cost."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from seedbed.core.data.profile import Profile
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.history import History, Trial
from seedbed.core.space import Values
from seedbed.core.task import Modality
from seedbed.plugins.strategies.refused import is_known_too_large
from seedbed.plugins.strategies.warm import DOUBT, past_seconds

PROBE_SHARE, FOLDED_PROBE_SHARE = 0.25, 0.5
"""Of the time left, what a probe may take; over folds it is fitted six times, and few rows seldom teach a net more."""

# (modality, whether from scratch) → the fewest epochs, how many rows to show in all, and the most epochs
_EPOCHS: Mapping[tuple[Modality, bool], tuple[float, float, float]] = {
    ("image", True): (20.0, 70_000, 60.0),
    ("image", False): (8.0, 30_000, 30.0),
    ("series", True): (20.0, 20_000, 150.0),
    ("series", False): (8.0, 30_000, 30.0),
    # Nets learn sentences by heart within a few passes.
    ("text", True): (3.0, 25_000, 10.0),
    ("text", False): (2.0, 20_000, 8.0),
}

_LEAST, _SHORTEST = 0.5, 0.2
"""Below the first share of its full cost a candidate gets fewer epochs, and anneals to their end; below the second it
is not started. On digits 12 of 60 epochs come to 0.99, and their model errs elsewhere than that of 60."""


def full_epochs(values: Values, profile: Profile) -> float:
    """Return the passes after which more of them stop paying: fewer for pretrained nets and for much data."""
    policy = values.get("policy")
    if policy == "probe":
        return 1.0
    least, enough, most = _EPOCHS[profile.task.modality, policy == "scratch"]
    return min(max(enough / profile.train, least), most)


def affordable(values: Values, profile: Profile, history: History) -> Fidelity | None:
    """Return the fidelity for a candidate, None where not even a fifth of it can be paid, or where it is too large.

    Without a time limit that is its full number of epochs. With one, a candidate whose like has been
    seen gets the time it is expected to need, or all that is left where the rest would be of no use. What was seen
    in earlier runs alone counts with its doubt, and refuses nothing while there is no result at all. A
    probe answers fast or not at all: it gets a quarter of what is left at most, over folds a half.
    """
    if is_known_too_large(values, history):
        return None
    epochs = full_epochs(values, profile)
    left = history.remaining.seconds
    if left is None:
        return Fidelity(epochs=epochs)
    share = FOLDED_PROBE_SHARE if profile.folds else PROBE_SHARE
    granted = share * left if values.get("policy") == "probe" else left
    cost, least, most = expected_seconds(values, epochs, history), _LEAST, 1.2
    if cost is None and (cost := past_seconds(values, epochs, profile, history.experience)) is not None:
        least, most = _LEAST / DOUBT if history.tally.best is not None else 0.0, DOUBT
    if cost is None:
        return None if granted < _least_for_a_stranger(history) else Fidelity(epochs=epochs, seconds=granted)
    if granted < least * cost:
        share = granted / cost
        is_worth_it = share >= _SHORTEST and values.get("policy") != "probe"
        return Fidelity(epochs=max(share * epochs, 1.0), seconds=granted) if is_worth_it else None
    # A probe ends when it is done. And what is too little for another candidate after this one, let this one have.
    is_whole = values.get("policy") == "probe" or granted < (1 + _LEAST) * cost
    return Fidelity(epochs=epochs, seconds=granted if is_whole else min(most * cost, granted))


def _least_for_a_stranger(history: History) -> float:
    """Return the seconds below which a net not seen before is not tried: it may cost more than any so far."""
    spent = [
        trial.result.seconds
        for trial in history
        if trial.result and trial.role == "candidate" and trial.candidate.values.get("policy") != "probe"
    ]
    return max(spent, default=0.0)


def expected_seconds(values: Values, epochs: float, history: History) -> float | None:
    """Return what a candidate will cost, from finished trials of the same net and policy; None if there are none."""
    alike = history.alike(values)
    if not alike:
        return None
    return median(_seconds_an_epoch(trial, values) for trial in alike) * epochs


def _seconds_an_epoch(trial: Trial, values: Values) -> float:
    if trial.result is None:
        raise ValueError("The trial has no result yet.")
    seen, wanted = (float(each.get("resolution", 0) or 1) for each in (trial.candidate.values, values))
    # Convolutions cost in proportion to the pixels.
    return trial.result.seconds / max(trial.result.epochs, 1e-3) * (wanted / seen) ** 2
