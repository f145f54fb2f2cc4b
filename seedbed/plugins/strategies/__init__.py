"""Built-in search strategies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from seedbed import Requires, StrategySpec, hookimpl


@dataclass(frozen=True, slots=True)
class AutoOptions:
    """`explore` is the chance of a draw from the whole space, `change` that a choice is drawn anew.

    From `enough` trained candidates on a model of their scores says what to try. With a time limit and `longer`, the
    best candidate is trained again with more passes where its curve promises more of that than further draws do.
    """

    explore: float = 0.2
    change: float = 0.15
    enough: int = 6
    longer: bool = True


@dataclass(frozen=True, slots=True)
class BayesianOptions:
    """After `initial` trials a model chooses: `surrogate` is a Gaussian process ("gp") or trees
    ("forest"); "auto" takes the former while there are few trials of few parameters, and the latter beyond."""

    initial: int = 5
    surrogate: str = "auto"


@dataclass(frozen=True, slots=True)
class AshaOptions:
    """One of `eta` goes on from a rung to the next, of which there are `rungs` below the full `resource`.

    `resource` is "epochs", "subset" (of the training rows) or "resolution" (of images).
    """

    resource: str = "epochs"
    eta: int = 3
    rungs: int = 2


@dataclass(frozen=True, slots=True)
class HyperbandOptions:
    """As of `asha`; there is a bracket for each number of rungs down to none."""

    resource: str = "epochs"
    eta: int = 3
    rungs: int = 3


@dataclass(frozen=True, slots=True)
class GridOptions:
    """`points` values of each number; of choices the grid has all."""

    points: int = 3


@dataclass(frozen=True, slots=True)
class SagemakerTuningOptions:
    """`search` is Bayesian, Random, Grid or Hyperband; `parameters` are patterns of what is tuned, the rest stays at
    its defaults. Without `--trials` the service begins `jobs` training jobs. `stops_early` lets it end those that lag.
    """

    search: str = "Bayesian"
    parameters: str = "batch_size optimizer optimizer.* architecture.* policy.*"
    jobs: int = 20
    stops_early: bool = False


@dataclass(frozen=True, slots=True)
class TpeOptions:
    """The first `initial` trials are random draws."""

    initial: int = 8


@hookimpl
def register_strategies() -> Iterator[StrategySpec]:
    """Offer the strategies."""
    yield StrategySpec(
        name="asha",
        summary="Random draws that end early where they lag behind (asynchronous successive halving, Li et al. 2020).",
        build="seedbed.plugins.strategies.asha:Asha",
        options=AshaOptions,
    )
    yield StrategySpec(
        name="auto",
        summary="Strong defaults for the data first, then Bayesian search around what worked best.",
        build="seedbed.plugins.strategies.auto:Auto",
        options=AutoOptions,
    )
    yield StrategySpec(
        name="bayesian",
        summary="What a model of the scores so far promises most of, by the second (scikit-optimize).",
        build="seedbed.plugins.strategies.bayesian:Bayesian",
        options=BayesianOptions,
    )
    yield StrategySpec(
        name="grid",
        summary="All combinations of a few values of each parameter, evenly spread from the first trial on.",
        build="seedbed.plugins.strategies.grid:Grid",
        options=GridOptions,
    )
    yield StrategySpec(
        name="hyperband",
        summary="Brackets of random draws, from many short trials to few long ones (Li et al. 2018).",
        build="seedbed.plugins.strategies.hyperband:Hyperband",
        options=HyperbandOptions,
    )
    yield StrategySpec(
        name="random",
        summary="Independent random draws from the whole space (Bergstra & Bengio 2012), the defaults first.",
        build="seedbed.plugins.strategies.random_search:RandomSearch",
    )
    yield StrategySpec(
        name="sagemaker_tuning",
        summary="Hands a flat study over to the Automatic Model Tuning of Amazon SageMaker, and brings its jobs home.",
        build="seedbed.plugins.strategies.sagemaker_tuning:SagemakerTuning",
        options=SagemakerTuningOptions,
        requires=Requires(modules=("sagemaker",)),
    )
    yield StrategySpec(
        name="tpe",
        summary="Draws from where the better trials lie denser (Bergstra et al. 2011), through Optuna.",
        build="seedbed.plugins.strategies.tpe:Tpe",
        options=TpeOptions,
        requires=Requires(modules=("optuna",)),
    )
