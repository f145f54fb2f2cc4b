"""What the rest of the time is better spent on: more passes for the best candidate, or more draws.

Both are forecast by the same power laws, from what the run has shown so far: the one from the looks of the best trial,
the other from how the best score rose from trial to trial. Search gets the time as long as it promises more of it.
A curve promises too much, as a rate that anneals lets any training end well. So a score is not believed where the loss
on the validation rows says less, and more passes are at most twice as many, and more again only where those paid.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seedbed.core.data.profile import Profile
from seedbed.core.results.forecast import UNRIPE, falls_of
from seedbed.core.results.power_laws import ErrorScale, go_on, steady
from seedbed.core.results.progress import Progress
from seedbed.core.search.candidate import Candidate, Fidelity, Proposal
from seedbed.core.search.history import History, Trial

_LEAST, _MOST = 1.5, 2.0
"""How many times as many passes are worth beginning, and how far a curve is trusted."""

_LATE = 0.8
"""A training whose best look, or least loss, came before this share of it has nothing to gain from more."""

_EARLY = 0.25
"""Looks before this share of a training tell of the first steps, and nothing of what more would bring."""

_REST = 0.5
"""Of the cost of the best trial, what is too little for another one after a longer training."""

_HEAVY_STEP = 0.02
"""Seconds of a training step from which all GPUs share it: to bring gradients together takes some thousandths."""

_DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Outlook:
    """What equal `seconds` are expected to take off the error: of its logarithm, in the mean."""

    seconds: float
    longer: float
    search: float


def go_longer(known: Sequence[Trial], profile: Profile, history: History, rng: random.Random) -> Proposal | None:
    """Return the best candidate again with more passes, None where further draws promise as much of the time.

    None, too, without a time limit, where less than half as many passes again could be paid, or where the best has
    been given more before, or ended its training without need of them. `known` are the candidates that have ended.
    """
    left, best = history.remaining.seconds, _best(known, profile)
    if left is None or best is None or best.result is None or _had_more(best, history):
        return None
    cost = max(best.result.seconds, 1e-3)
    reach = min(left / cost, _MOST)
    if reach < _LEAST:
        return None
    found = outlook(best, known, profile, reach, rng)
    if found is None or found.longer <= found.search:
        return None
    is_all = left - reach * cost < _REST * cost
    fidelity = Fidelity(epochs=reach * best.result.epochs, seconds=left if is_all else min(1.2 * reach * cost, left))
    return Proposal(candidate=Candidate(best.candidate.values), fidelity=fidelity, wide=_is_heavy(best))


def outlook(best: Trial, known: Sequence[Trial], profile: Profile, reach: float, rng: random.Random) -> Outlook | None:
    """Forecast what `reach` times the best trial's passes would bring, and as many seconds of further draws.

    None where there is nothing left to gain, or no curve that was still getting better.
    """
    looks = [look for look in best.curve if look.progress >= _EARLY]
    scores = [(look.progress, look.score) for look in looks]
    losses = [(look.progress, look.valid_loss) for look in looks if look.valid_loss is not None]
    direction = profile.task.direction
    own = [_within(scores, direction), *([_within(losses, "min")] if losses else [])]
    curves = [curve for curve in own if curve is not None]
    draws = _from_trial_to_trial(known, direction)
    if len(curves) < len(own) or draws is None:
        return None
    generator = np.random.default_rng(rng.randrange(2**31))
    seconds = reach * best.seconds
    return Outlook(
        seconds=seconds,
        longer=min(float(np.mean([curve.expected(reach, generator, each) for each in UNRIPE])) for curve in curves),
        search=draws.expected(1.0 + seconds / draws.progress.budget, generator),
    )


@dataclass(frozen=True, slots=True)
class _Curve:
    progress: Progress
    scale: ErrorScale

    def expected(self, end: float, rng: np.random.Generator, unripe: float = 0.0) -> float:
        """Return by how much the error's logarithm falls, in the mean, from the curve's end to `end` times as far."""
        laws = steady(falls_of(self.progress, self.scale, unripe))
        return float(go_on(laws, np.array([end]), rng, _DRAWS).mean())


def _best(known: Sequence[Trial], profile: Profile) -> Trial | None:
    """Return the best candidate, None where it was not trained to its end, on all that there was to learn from."""
    best = max(known, key=lambda trial: (profile.task.worth(trial.score), -trial.number), default=None)
    if best is None or not best.fidelity.is_full or best.candidate.values.get("policy") == "probe":
        return None
    return best


def _is_heavy(best: Trial) -> bool:
    """Whether a step takes so long that sharing it gains more than it costs to bring the gradients together."""
    return best.result is not None and best.result.seconds > _HEAVY_STEP * max(best.result.steps, 1)


def _had_more(best: Trial, history: History) -> bool:
    """Whether the same candidate was begun again after its best training; what a run's end cut short is no chance."""
    return any(
        trial.candidate.values == best.candidate.values
        and trial.number > best.number
        and not trial.ingredients
        and not trial.resumable
        for trial in history
    )


def _within(looks: Iterable[tuple[float, float]], direction: Literal["max", "min"]) -> _Curve | None:
    """Return how (progress, score) got better from look to look; None where the best came long before the end."""
    return _records(looks, direction, late=_LATE, end=1.0)


def _from_trial_to_trial(known: Sequence[Trial], direction: Literal["max", "min"]) -> _Curve | None:
    """Return how the best score got better with the seconds that the trials took together."""
    points, seconds = [], 0.0
    for trial in sorted(known, key=lambda each: each.number):
        seconds += trial.seconds
        if trial.score is not None and seconds > 0:
            points.append((seconds, trial.score))
    return _records(points, direction)


def _records(
    points: Iterable[tuple[float, float]], direction: Literal["max", "min"], *, late: float = 0.0, end: float = 0.0
) -> _Curve | None:
    """Return the best score by every place, the places ascending; None where the last record came before `late`.

    None as well where there are no points, or where the best is as good as can be. With an `end` it is told how far
    before it each record was.
    """
    best: dict[float, tuple[float, float]] = {}
    record: tuple[float, float] | None = None
    for place, score in points:
        if record is None or (score > record[1] if direction == "max" else score < record[1]):
            record = (place, score)
        best[place] = record
    if record is None or record[0] < late:
        return None
    scores = tuple(score for _, score in best.values())
    scale = ErrorScale.of(direction, scores)
    if float(scale.error(np.array(record[1]))) <= 0.0:
        return None
    to_come = tuple(max(end - place, 0.0) for place, _ in best.values())
    progress = Progress(unit="seconds", spent=tuple(best), best=scores, to_come=to_come, budget=max(best))
    return _Curve(progress, scale)
