"""A plugin for comparing strategies: what a built-in one proposes, trained for fewer epochs, up to an amount of work.

seedbed --plugin benchmarks/shortened.py fit demo:digits --trials 9 \\
    --strategy shortened --set strategy.shortened.of=asha
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from seedbed import NoOptions, StrategySpec, hookimpl
from seedbed.core.data.profile import Profile
from seedbed.core.errors import UsageError
from seedbed.core.protocols import Strategy
from seedbed.core.search.candidate import Fidelity, Proposal
from seedbed.core.search.history import History, Trial
from seedbed.core.space import Space, Value
from seedbed.plugins.strategies import AshaOptions, BayesianOptions, HyperbandOptions
from seedbed.plugins.strategies.asha import Asha
from seedbed.plugins.strategies.bayesian import Bayesian
from seedbed.plugins.strategies.fidelity import full_epochs
from seedbed.plugins.strategies.hyperband import Hyperband
from seedbed.plugins.strategies.random_search import RandomSearch


@dataclass(frozen=True, kw_only=True, slots=True)
class ShortenedOptions:
    """Proposals of the strategy `of`, whose full trainings are of so many `epochs`; none beyond `work` epochs, if > 0.

    `resource`, `eta` and `rungs` are those of ASHA and hyperband. The built-in strategies all begin with the defaults;
    with `first` >= 0 they begin with the draw of that seed in their stead.
    """

    of: str = "random"
    epochs: float = 6.0
    work: float = 0.0
    first: int = -1
    resource: str = "epochs"
    eta: int = 3
    rungs: int = 2


@hookimpl
def register_strategies() -> Iterator[StrategySpec]:
    """Offer the strategy that the runs are made with."""
    yield StrategySpec(
        name="shortened",
        summary="Another strategy's proposals, trained for fewer epochs.",
        build=f"{__name__}:Shortened",
        options=ShortenedOptions,
    )


@dataclass(frozen=True, slots=True)
class Drawn(Space):
    """A space that takes a draw for its defaults, so that how good the defaults are decides nothing."""

    seed: int

    def default(self) -> dict[str, Value]:
        """Return the draw: the same for every strategy that begins with it."""
        return self.sample(random.Random(self.seed))


class Shortened:
    """Asks a built-in strategy, and has all of what it proposes trained by the same factor shorter."""

    def __init__(self, options: ShortenedOptions, space: Space, profile: Profile) -> None:
        self._options, self._profile = options, profile
        self._inner = _built_in(options, space if options.first < 0 else Drawn(space.params, options.first), profile)

    def propose(self, history: History, rng: random.Random) -> Proposal | None:
        """Return the inner strategy's proposal, shorter; None once the work is done."""
        if 0 < self._options.work <= sum(spent(trial) for trial in history if trial.role == "candidate"):
            return None
        proposal = self._inner.propose(history, rng)
        if proposal is None or proposal.fidelity.epochs is None:
            return proposal
        full = full_epochs(proposal.candidate.values, self._profile)
        epochs = proposal.fidelity.epochs * self._options.epochs / full
        return replace(proposal, fidelity=replace(proposal.fidelity, epochs=epochs))

    def should_stop(self, trial: Trial, history: History) -> bool:
        """As the inner strategy says."""
        return self._inner.should_stop(trial, history)


def _built_in(options: ShortenedOptions, space: Space, profile: Profile) -> Strategy:
    makers: dict[str, Callable[[], Strategy]] = {
        "random": lambda: RandomSearch(NoOptions(), space, profile),
        "bayesian": lambda: Bayesian(BayesianOptions(), space, profile),
        "asha": lambda: Asha(AshaOptions(options.resource, options.eta, options.rungs), space, profile),
        "hyperband": lambda: Hyperband(HyperbandOptions(options.resource, options.eta, options.rungs), space, profile),
    }
    if options.of not in makers:
        raise UsageError(f"of={options.of!r}: there are {', '.join(makers)}.")
    return makers[options.of]()


def cost_of_an_epoch(fidelity: Fidelity) -> float:
    """Return what a pass costs, in passes over all rows at full resolution."""
    return fidelity.subset * fidelity.resolution**2


def spent(trial: Trial) -> float:
    """Return the epochs that a trial took; of one under way those that it may take."""
    if not trial.is_finished:
        epochs = trial.fidelity.epochs or 0.0
    else:
        epochs = trial.curve[-1].epoch if trial.curve else 0.0
    return epochs * cost_of_an_epoch(trial.fidelity)
