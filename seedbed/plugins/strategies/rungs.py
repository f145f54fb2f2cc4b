"""Rungs of a ladder of fidelities: shares of the full epochs, of the training rows, or of the resolution."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median

from seedbed.core.data.profile import Profile
from seedbed.core.errors import UnknownName, UsageError
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.history import History, Trial
from seedbed.core.space import Space, Values
from seedbed.plugins.strategies.fidelity import full_epochs
from seedbed.plugins.strategies.refused import is_known_too_large

RESOURCES = ("epochs", "subset", "resolution")

_LEAST_PIXELS = 32
_LEAST_ROWS_A_CLASS = 5

_LATEST = 50
"""Finished trials alike, by which the cost of another is estimated."""

_SLACK = 1.5
"""How many times as long as expected a trial may take, where there is time."""

Point = frozenset[tuple[str, object]]
"""The values of a candidate, as a key."""


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
    """Return the fidelity of a rung; a trial there anneals to its own end.

    Where the candidate knows no less it is the same on several rungs: a probe has no epochs to save, and what looks
    at small pictures anyway does not shrink them below 32 pixels a side.
    """
    epochs = full_epochs(values, profile)
    if resource == "epochs":
        # Of much data a part of a pass is enough to tell by: two passes over texts have rungs too.
        return Fidelity(epochs=epochs if values.get("policy") == "probe" else share * epochs)
    if resource == "subset":
        return Fidelity(epochs=epochs, subset=share)
    least = _LEAST_PIXELS / (float(values.get("resolution", 0) or 0) or profile.size or math.inf)
    return Fidelity(epochs=epochs, resolution=min(max(share, least), 1.0))


def in_time(fidelity: Fidelity, values: Values, history: History) -> Fidelity | None:
    """Return the fidelity with a time limit where there is one; None where it would not end in time, or is too large.

    Too large is what is no smaller than a candidate that was refused for want of memory.
    """
    if is_known_too_large(values, history, resolution=fidelity.resolution):
        return None
    left = history.remaining.seconds
    if left is None:
        return fidelity
    cost = _expected_seconds(fidelity, values, history)
    if cost is None:
        return replace(fidelity, seconds=left)
    return None if cost > left else replace(fidelity, seconds=min(_SLACK * cost, left))


def _expected_seconds(fidelity: Fidelity, values: Values, history: History) -> float | None:
    """Estimate a trial's cost from finished ones of the same net and policy; None if there are none.

    Those count whose work was most like it: the fewer the rows, the more of a trial's time is not training.
    """
    wanted = _work(values, fidelity, fidelity.epochs or 1.0)
    costs = []
    for trial in history.alike(values)[-_LATEST:]:
        if trial.result is not None:
            done = _work(trial.candidate.values, trial.fidelity, max(trial.result.epochs, 1e-3))
            costs.append((round(abs(math.log(wanted / done)), 1), trial.result.seconds * wanted / done))
    nearest = min((distance for distance, _ in costs), default=None)
    return None if nearest is None else median(cost for distance, cost in costs if distance == nearest)


def _work(values: Values, fidelity: Fidelity, epochs: float) -> float:
    """Return passes over all training rows, times pixels: convolutions cost in proportion to those."""
    side = float(values.get("resolution", 0) or 1) * fidelity.resolution
    return epochs * fidelity.subset * side**2


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


def belongs(space: Space, values: Values) -> bool:
    """Whether a point lies in a space; a run that is resumed may have lost an option, or a component."""
    try:
        space.validate(values)
    except (UsageError, UnknownName):
        return False
    return True


def point_of(trial: Trial) -> Point:
    """Return what trials have in common that train the same candidate."""
    return frozenset(trial.candidate.values.items())


def worth_of(trial: Trial, profile: Profile) -> float | None:
    """Return a number that is greater for a better trial; None where it has no score that could be compared."""
    score = trial.score
    return None if score is None or not math.isfinite(score) else profile.task.worth(score)


class Follower:
    """What is known of a history's draws and promotions, brought up to date without walking over all of it again.

    It follows from the history alone: one that is built anew comes to the same. Baselines, means of weights, and
    what the run's own end cut short, are passed over.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._next = 0
        self._open: dict[int, None] = {}

    def is_of(self, history: History) -> bool:
        """Whether it may go on with this history: it has followed it so far, and nothing was taken back."""
        return history is self._history and not any(history.trials[number].resumable for number in self._open)

    def learn(self) -> None:
        """Take in what has come to be since the last time."""
        for number in list(self._open):
            self._take(self._history.trials[number])
        for number in range(self._next, self._history.next_number):
            trial = self._history.trials.get(number)
            if trial is None or trial.role != "candidate" or trial.ingredients or trial.resumable:
                continue
            self._open[number] = None
            self.on_begin(trial)
            self._take(trial)
        self._next = self._history.next_number

    def _take(self, trial: Trial) -> None:
        self.on_news(trial)
        if trial.is_finished:
            del self._open[trial.number]
            self.on_end(trial)

    def on_begin(self, trial: Trial) -> None:
        """A trial has begun; called once for each, in the order of their numbers."""

    def on_news(self, trial: Trial) -> None:
        """A trial that had not ended the last time may have got further."""

    def on_end(self, trial: Trial) -> None:
        """A trial has ended; called once for each."""
