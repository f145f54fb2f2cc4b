"""Asynchronous successive halving (Li et al. 2020): draws at random, most of which end early.

Over epochs it is the stopping kind: a trial begins at full length, and at each rung it must have reached what the
best of every `eta` earlier trials had reached there; the bars are known when it begins, and it judges itself by
them. Compared are the best scores so far at the same share of schedules that are equally long, but for the last ones
of a time budget. One-cycle schedules come to their highest rate about a third of the way, where scores jump about:
the best so far is steadier than the last, and the bar is as rough for all. Before the first tenth nobody looks, so
there is no rung. A probe, which has no epochs, has no bars and sets none.

Over rows and resolutions it is the promoting kind: a draw begins at the lowest rung, and the best of every `eta`
there are trained again, anew, at the next, each annealed to its own end.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from seedbed.core.data.profile import Profile
from seedbed.core.search.candidate import Candidate, Cut, Fidelity, Proposal
from seedbed.core.search.events import EpochFinished
from seedbed.core.search.history import History, Trial
from seedbed.core.space import Space, Value, Values
from seedbed.plugins.strategies.fidelity import affordable
from seedbed.plugins.strategies.rungs import (
    Follower,
    Point,
    belongs,
    fidelity_at,
    in_time,
    point_of,
    shares,
    worth_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedbed.plugins.strategies import AshaOptions

_ATTEMPTS = 50

_FIRST_LOOK = 0.1
"""Of a training; looks come at every tenth, and where a bar asks for one."""

_STEP = 0.03
"""By how much a look may come late: it waits for the end of a step, and of small data a training has few."""

_CONSIDERED = 20
"""Promotions that are due are tried in turn, should the best be too dear; so many at most."""


class Asha:
    """A new draw, or where one has earned it the next rung of an old one."""

    def __init__(self, options: AshaOptions, space: Space, profile: Profile) -> None:
        self._options = options
        self._space = space
        self._profile = profile
        self._ladder = shares(options.resource, options.eta, options.rungs, profile)
        self._bars: Bars | None = None
        self._rungs: Rungs | None = None

    def propose(self, history: History, rng: random.Random) -> Proposal | None:
        """Return the promotion that is due, else a new draw; None where nothing new fits into the time."""
        if history.remaining.trials == 0:
            return None
        if self._options.resource == "epochs":
            bars = self._bars_of(history)
            return self._draw(history, rng, bars)
        rungs = self._rungs_of(history)
        found = self._promotion(history, rungs) or self._draw(history, rng, None)
        # A small space has nothing new to draw: somebody has to come to the top all the same.
        return found or (None if rungs.has_reached_the_top else self._promotion(history, rungs, anyway=True))

    def should_stop(self, trial: Trial, history: History) -> bool:
        """Never: a trial judges itself, by bars that were known when it began."""
        return False

    def _bars_of(self, history: History) -> Bars:
        if self._bars is None or not self._bars.is_of(history):
            ladder = [share for share in self._ladder[:-1] if share >= _FIRST_LOOK]
            self._bars = Bars(history, ladder, self._options.eta, self._profile)
        self._bars.learn()
        return self._bars

    def _rungs_of(self, history: History) -> Rungs:
        if self._rungs is None or not self._rungs.is_of(history):
            self._rungs = Rungs(history, self._ladder, self._options.resource, self._options.eta, self._profile)
        self._rungs.learn()
        return self._rungs

    def _draw(self, history: History, rng: random.Random, bars: Bars | None) -> Proposal | None:
        for attempt in range(_ATTEMPTS):
            values: dict[str, Value] = self._space.default() if attempt == 0 else self._space.sample(rng)
            if history.tried(values):
                continue
            fidelity = self._lowest(values, history) if bars is None else self._full(values, history, bars)
            if fidelity is not None:
                return Proposal(candidate=Candidate(values), fidelity=fidelity)
        return None

    def _lowest(self, values: Values, history: History) -> Fidelity | None:
        return in_time(fidelity_at(self._ladder[0], self._options.resource, values, self._profile), values, history)

    def _full(self, values: Values, history: History, bars: Bars) -> Fidelity | None:
        fidelity = affordable(values, self._profile, history)
        if fidelity is None or values.get("policy") == "probe":
            return fidelity
        return replace(fidelity, cuts=bars.cuts())

    def _promotion(self, history: History, rungs: Rungs, *, anyway: bool = False) -> Proposal | None:
        for rung in range(len(self._ladder) - 2, -1, -1):
            for trial in islice(rungs.promotable(rung, anyway=anyway), _CONSIDERED):
                values = dict(trial.candidate.values)
                if not belongs(self._space, values):
                    continue
                wanted = fidelity_at(self._ladder[rung + 1], self._options.resource, values, self._profile)
                fidelity = in_time(wanted, values, history)
                if fidelity is not None:
                    return Proposal(candidate=Candidate(values), fidelity=fidelity)
        return None


class Bars(Follower):
    """What trials had reached at the rungs of a full training, those that are under way included."""

    def __init__(self, history: History, ladder: Sequence[float], eta: int, profile: Profile) -> None:
        super().__init__(history)
        self._ladder, self._eta, self._profile = ladder, eta, profile
        self._reached: dict[float, list[tuple[float, float]]] = {share: [] for share in ladder}
        """By rung, (-worth, score), the best first."""
        self._ahead: dict[int, list[float]] = {}
        """By number, the rungs that a trial has not been seen at."""

    def on_begin(self, trial: Trial) -> None:
        """All rungs lie ahead of it."""
        self._ahead[trial.number] = list(self._ladder)

    def on_news(self, trial: Trial) -> None:
        """Take in the rungs that it has passed."""
        ahead = self._ahead[trial.number]
        while ahead and trial.curve and trial.curve[-1].progress >= ahead[0]:
            share = ahead.pop(0)
            score = reached(trial.curve, share, self._profile)
            if score is not None:
                insort(self._reached[share], (-self._profile.task.worth(score), score))

    def on_end(self, trial: Trial) -> None:
        """It passes no more rungs."""
        del self._ahead[trial.number]

    def cuts(self) -> tuple[Cut, ...]:
        """Return for each rung the score of the best 1/eta of those that were there, if they are eta at least."""
        return tuple(
            Cut(progress=share, score=scores[len(scores) // self._eta - 1][1])
            for share, scores in self._reached.items()
            if len(scores) >= self._eta
        )


def reached(curve: Sequence[EpochFinished], share: float, profile: Profile) -> float | None:
    """Return the best score at looks up to a share of the training; None where there was no look by then.

    A look that comes later says nothing of it: a tenth more of the training would raise the bar.
    """
    scores = [look.score for look in curve if look.progress <= share + _STEP and math.isfinite(look.score)]
    return max(scores, key=profile.task.worth, default=None)


class Rungs(Follower):
    """Who has ended at which rung, in order, and who has gone on."""

    def __init__(self, history: History, ladder: Sequence[float], resource: str, eta: int, profile: Profile) -> None:
        super().__init__(history)
        self._ladder, self._resource, self._eta, self._profile = ladder, resource, eta, profile
        self._ended: list[list[tuple[float, int]]] = [[] for _ in ladder]
        """By rung, (-worth, number), the best first; those without a score last."""
        self._waiting: list[list[tuple[float, int]]] = [[] for _ in ladder]
        """Those of them with a score that have not gone on."""
        self._last: dict[Point, tuple[int, tuple[float, int]]] = {}
        """By point, the rung that it has last ended at, and its entry there."""
        self._begun: dict[int, int] = {}
        """By number, the rung of a trial under way."""

    def on_begin(self, trial: Trial) -> None:
        """A point that is known has gone on to the next rung."""
        last = self._last.get(point_of(trial))
        self._begun[trial.number] = 0 if last is None else min(last[0] + 1, len(self._ladder) - 1)
        if last is not None:
            rung, entry = last
            place = bisect_left(self._waiting[rung], entry)
            if self._waiting[rung][place : place + 1] == [entry]:
                del self._waiting[rung][place]

    def on_end(self, trial: Trial) -> None:
        """Take it in at its rung, and at those above it where it would be the same again."""
        rung, worth = self._begun.pop(trial.number), worth_of(trial, self._profile)
        entry = (math.inf if worth is None else -worth, trial.number)
        insort(self._ended[rung], entry)
        while rung + 1 < len(self._ladder) and self._at(rung, trial) == self._at(rung + 1, trial):
            rung += 1
            insort(self._ended[rung], entry)
        self._last[point_of(trial)] = rung, entry
        if worth is not None:
            insort(self._waiting[rung], entry)

    @property
    def has_reached_the_top(self) -> bool:
        """Whether a trial is, or was, at the highest rung."""
        return bool(self._ended[-1]) or len(self._ladder) - 1 in self._begun.values()

    def promotable(self, rung: int, *, anyway: bool = False) -> Iterator[Trial]:
        """Yield those of the best 1/eta of a rung that have not gone on, the best first; `anyway` of all of it."""
        ended = self._ended[rung]
        for entry in self._waiting[rung]:
            if not anyway and bisect_left(ended, entry) >= len(ended) // self._eta:
                return
            yield self._history.trials[entry[1]]

    def _at(self, rung: int, trial: Trial) -> Fidelity:
        return fidelity_at(self._ladder[rung], self._resource, trial.candidate.values, self._profile)
