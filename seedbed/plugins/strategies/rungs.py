"""Rungs of a ladder of fidelities: shares of the full epochs, of the training rows, or of the resolution."""

from __future__ import annotations

import math
from collections.abc import Sequence

from seedbed.core.data.profile import Profile
from seedbed.core.errors import UsageError
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.history import History, Trial
from seedbed.core.space import Values
from seedbed.plugins.strategies.fidelity import expected_seconds, full_epochs
from seedbed.plugins.strategies.refused import is_known_too_large

RESOURCES = ("epochs", "subset", "resolution")

_LEAST_PIXELS = 32
_LEAST_ROWS_A_CLASS = 5


def shares(resource: str, eta: int, rungs: int, profile: Profile) -> tuple[float, ...]:
    """Return the shares of the resource that the rungs stand for, rising, the last 1.

    Rungs are left out where so few rows, or so small a picture, would say nothing.

    Raises:
        UsageError: there is no such resource, or it is not one of this data; or eta or rungs are too small.
    """
    if resource not in RESOURCES:
        raise UsageError(f"resource={resource!r}: a strategy over fidelities takes one of {', '.join(RESOURCES)}.")
    if eta < 2 or rungs < 1:
        raise UsageError(f"eta={eta}, rungs={rungs}: give 2 or more, and 1 or more.")
    if resource == "resolution" and profile.task.modality != "image":
        raise UsageError("resource='resolution' is for images; take epochs or subset here.")
    found = [float(eta) ** -level for level in range(rungs, 0, -1)]
    if resource == "subset":
        least = _LEAST_ROWS_A_CLASS * profile.task.outputs / max(profile.train, 1)
        found = [share for share in found if share >= least]
    elif resource == "resolution":
        found = [share for share in found if share * profile.size >= min(_LEAST_PIXELS, profile.size)]
    return (*found, 1.0)


def fidelity_at(share: float, resource: str, values: Values, profile: Profile) -> Fidelity:
    """Return the fidelity of a rung; a trial there anneals to its own end."""
    epochs = full_epochs(values, profile)
    if resource == "epochs":
        return Fidelity(epochs=max(share * epochs, 1.0))
    return Fidelity(epochs=epochs, subset=share) if resource == "subset" else Fidelity(epochs=epochs, resolution=share)


def share_of(fidelity: Fidelity, resource: str, values: Values, profile: Profile) -> float:
    """Return the share of the resource that a fidelity is."""
    if resource == "epochs":
        return (fidelity.epochs or math.inf) / full_epochs(values, profile)
    return fidelity.subset if resource == "subset" else fidelity.resolution


def rung_of(share: float, ladder: Sequence[float]) -> int:
    """Return the rung of a ladder that a share is nearest to, on a logarithmic scale."""
    return min(range(len(ladder)), key=lambda rung: abs(math.log(max(share, 1e-9) / ladder[rung])))


def in_time(fidelity: Fidelity, values: Values, history: History) -> Fidelity | None:
    """Return the fidelity with a time limit where there is one; None where it will not end in time, or fit."""
    if is_known_too_large(values, history, resolution=fidelity.resolution):
        return None
    left = history.remaining.seconds
    if left is None:
        return fidelity
    cost = expected_seconds(values, (fidelity.epochs or 1.0) * fidelity.subset * fidelity.resolution**2, history)
    if cost is not None and cost > left:
        return None
    return Fidelity(
        epochs=fidelity.epochs,
        seconds=left if cost is None else min(1.5 * cost, left),
        subset=fidelity.subset,
        resolution=fidelity.resolution,
        cuts=fidelity.cuts,
    )


def best_by(trial: Trial, progress: float, profile: Profile) -> float | None:
    """Return the best score of a trial at its looks up to the first at or beyond `progress`.

    None if it never came so far.
    """
    best: float | None = None
    for look in trial.curve:
        if best is None or profile.task.worth(look.score) > profile.task.worth(best):
            best = look.score
        if look.progress >= progress:
            return best
    return None
