"""A flat study handed over to the Automatic Model Tuning of Amazon SageMaker; its jobs come home as trials.

The service knows neither conditions nor less than a whole training, and begins a training job for each point, which
takes minutes: what Seedbed searches itself costs less. It is for those whose quota or whose habit it is.
"""

from __future__ import annotations

import random
from typing import cast, get_args

from seedbed.core.data.profile import Profile
from seedbed.core.errors import UnknownName, UsageError
from seedbed.core.protocols import Backend
from seedbed.core.search.candidate import Candidate, Fidelity, Proposal
from seedbed.core.search.flat import flatten, point
from seedbed.core.search.handover import Search, Tunes, Tuning, TuningRequest
from seedbed.core.search.history import History, Trial
from seedbed.core.space import Space
from seedbed.plugins.strategies import SagemakerTuningOptions
from seedbed.plugins.strategies.fidelity import affordable


class SagemakerTuning:
    """The all-defaults candidate first, as a job of ours; then whatever the service begins."""

    def __init__(self, options: SagemakerTuningOptions, space: Space, profile: Profile) -> None:
        """Lay the space flat.

        Raises:
            UsageError: it cannot be laid flat, and what to settle.
            UnknownName: there is no such search.
        """
        if options.search not in get_args(Search):
            raise UnknownName("search", options.search, get_args(Search))
        self._options = options
        self._space = space
        self._profile = profile
        self._ranges = flatten(space, tuple(options.parameters.split()))
        self._backend: Tunes | None = None
        self._tuning: Tuning | None = None
        self._fidelity: Fidelity | None = None
        self._seen: set[str] = set()

    def meet(self, backend: Backend) -> None:
        """Take the backend that the study is handed over to.

        Raises:
            UsageError: it has nobody to hand it over to.
        """
        if not callable(getattr(backend, "tune", None)):
            raise UsageError(
                "The strategy sagemaker_tuning hands the study over to Amazon SageMaker, and this backend cannot; "
                "give --backend sagemaker (--rehearse tries it on this machine), or another --strategy."
            )
        self._backend = cast(Tunes, backend)

    def propose(self, history: History, rng: random.Random) -> Proposal | None:
        """Return the next job that the service has begun; None while there is none."""
        defaults = self._space.default()
        if history.remaining.trials == 0:
            return None
        if not history.tried(defaults):
            fidelity = affordable(defaults, self._profile, history)
            return None if fidelity is None else Proposal(candidate=Candidate(defaults), fidelity=fidelity)
        if self._tuning is None and self._backend is not None:
            self._tuning = self._begin(self._backend, history, rng)
        if self._tuning is None or self._fidelity is None:
            return None
        known = {trial.place for trial in history} | self._seen
        child = next((each for each in self._tuning.children() if each.name not in known), None)
        if child is None:
            return None
        self._seen.add(child.name)
        values = point(self._space, child.drawn)
        return Proposal(candidate=Candidate(values), fidelity=self._fidelity, place=child.name)

    def _begin(self, backend: Tunes, history: History, rng: random.Random) -> Tuning | None:
        """Hand the study over; each job is given what an ordinary candidate would be. None where the time is over."""
        self._fidelity = affordable(self._space.default(), self._profile, history)
        if self._fidelity is None:
            return None
        left = history.remaining
        return backend.tune(
            TuningRequest(
                space=self._space,
                ranges=self._ranges,
                fidelity=self._fidelity,
                trials=self._options.jobs if left.trials is None else left.trials,
                direction=self._profile.task.direction,
                seed=rng.randrange(2**31),
                search=cast(Search, self._options.search),
                stops_early=self._options.stops_early,
                seconds=left.seconds,
            )
        )

    def waits(self) -> bool:
        """Whether the service may begin another job, or has begun one that is not proposed yet."""
        if self._tuning is None:
            return False
        return not self._tuning.is_over() or any(each.name not in self._seen for each in self._tuning.children())

    def should_stop(self, trial: Trial, history: History) -> bool:
        """Never: the service stops its jobs itself."""
        return False
