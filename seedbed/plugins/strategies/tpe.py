"""The tree-structured Parzen estimator (Bergstra et al. 2011), as Optuna has it."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from seedbed.core.data.profile import Profile
from seedbed.core.search.candidate import Candidate, Proposal
from seedbed.core.search.history import History, Trial
from seedbed.core.space import Choice, Domain, Int, Space, Value
from seedbed.plugins.strategies.bayesian import observed
from seedbed.plugins.strategies.fidelity import affordable

if TYPE_CHECKING:
    from seedbed.plugins.strategies import TpeOptions

_ATTEMPTS = 20


class Tpe:
    """The defaults and some random draws, then draws from where the better trials lie denser than the others."""

    def __init__(self, options: TpeOptions, space: Space, profile: Profile) -> None:
        self._options = options
        self._space = space
        self._profile = profile
        # Of two parameters with one name, in different branches, each has its own for Optuna.
        self._names = {id(param): f"{param.name}#{number}" for number, param in enumerate(space.params)}

    def propose(self, history: History, rng: random.Random) -> Proposal | None:
        """Return the next point; None where nothing new or nothing affordable is found."""
        if history.remaining.trials == 0:
            return None
        if (found := self._affordable(self._space.default(), history)) is not None:
            return found
        study = self._study(history, rng)
        for attempt in range(2 * _ATTEMPTS):
            values = self._ask(study) if attempt < _ATTEMPTS else self._space.sample(rng)
            if (found := self._affordable(values, history)) is not None:
                return found
        return None

    def should_stop(self, trial: Trial, history: History) -> bool:
        """Never: each draw runs to its end."""
        return False

    def _affordable(self, values: dict[str, Value], history: History) -> Proposal | None:
        if history.tried(values):
            return None
        fidelity = affordable(values, self._profile, history)
        return None if fidelity is None else Proposal(candidate=Candidate(values), fidelity=fidelity)

    def _study(self, history: History, rng: random.Random) -> Any:  # noqa: ANN401 - Optuna's
        """Return a study in memory that knows what the history tells."""
        import optuna

        with warnings.catch_warnings(), _quiet(optuna):
            warnings.simplefilter("ignore")  # that some arguments are experimental
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=self._options.initial,
                multivariate=True,
                group=True,
                constant_liar=True,
                seed=rng.randrange(2**31),
            )
            study = optuna.create_study(direction="maximize", sampler=sampler)
            study.add_trials(self._told(history, optuna))
        return study

    def _told(self, history: History, optuna: Any) -> list[Any]:  # noqa: ANN401 - Optuna's module and trials
        worth = self._profile.task.worth
        known = observed(history, self._profile)
        worst = min((worth(trial.score) for trial in known if trial.score is not None), default=None)
        if worst is None:
            return []
        state = optuna.trial.TrialState
        told = []
        for trial in (*known, *(each for each in history.running if each.role == "candidate")):
            values = trial.candidate.values
            active = {self._names[id(param)]: param for param in self._space.active(values) if param.name in values}
            value = {"value": worst if trial.score is None else worth(trial.score)} if trial.is_finished else {}
            told.append(
                optuna.trial.create_trial(
                    state=state.COMPLETE if trial.is_finished else state.RUNNING,
                    params={name: values[param.name] for name, param in active.items()},
                    distributions={name: _distribution(param.domain, optuna) for name, param in active.items()},
                    **value,
                )
            )
        return told

    def _ask(self, study: Any) -> dict[str, Value]:  # noqa: ANN401 - Optuna's
        import optuna

        values: dict[str, Value] = {}
        with warnings.catch_warnings(), _quiet(optuna):
            warnings.simplefilter("ignore")
            trial = study.ask()
            for param in self._space.active(values):
                values[param.name] = _suggest(trial, self._names[id(param)], param.domain)
        return values


def _suggest(trial: Any, name: str, domain: Domain) -> Value:  # noqa: ANN401 - Optuna's
    found: Value
    if isinstance(domain, Choice):
        found = trial.suggest_categorical(name, domain.options)
    elif isinstance(domain, Int):
        found = trial.suggest_int(name, domain.low, domain.high, log=domain.log, step=domain.step)
    else:
        found = trial.suggest_float(name, domain.low, domain.high, log=domain.log)
    return found


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:  # noqa: ANN401 - the module
    """Keep Optuna from telling of a study that is no user's, and leave its logging as it was."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _distribution(domain: Domain, optuna: Any) -> Any:  # noqa: ANN401 - Optuna's module and its distribution
    if isinstance(domain, Choice):
        return optuna.distributions.CategoricalDistribution(domain.options)
    if isinstance(domain, Int):
        return optuna.distributions.IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
    return optuna.distributions.FloatDistribution(domain.low, domain.high, log=domain.log)
