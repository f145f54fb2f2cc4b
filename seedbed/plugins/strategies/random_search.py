"""Random search: the baseline that every other strategy has to beat."""

from __future__ import annotations

import random

from seedbed.core.data.profile import Profile
from seedbed.core.search.candidate import Candidate, Proposal
from seedbed.core.search.history import History, Trial
from seedbed.core.space import Space
from seedbed.core.specs import NoOptions
from seedbed.plugins.strategies.fidelity import affordable

_ATTEMPTS = 50


class RandomSearch:
    """The all-defaults candidate first, then independent draws."""

    def __init__(self, options: NoOptions, space: Space, profile: Profile) -> None:
        self._space = space
        self._profile = profile

    def propose(self, history: History, rng: random.Random) -> Proposal | None:
        """Return the next draw that is new; None where nothing new or nothing affordable is found."""
        if history.remaining.trials == 0:
            return None
        for attempt in range(_ATTEMPTS):
            values = self._space.default() if attempt == 0 else self._space.sample(rng)
            if history.tried(values):
                continue
            fidelity = affordable(values, self._profile, history)
            if fidelity is not None:
                return Proposal(candidate=Candidate(values), fidelity=fidelity)
        return None

    def should_stop(self, trial: Trial, history: History) -> bool:
        """Never: each draw runs to its end."""
        return False
