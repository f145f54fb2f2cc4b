"""Built-in search strategies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from seedbed import StrategySpec, hookimpl


@dataclass(frozen=True, slots=True)
class AutoOptions:
    """`explore` is the chance of a draw from the whole space, `change` that a choice is drawn anew."""

    explore: float = 0.2
    change: float = 0.15


@hookimpl
def register_strategies() -> Iterator[StrategySpec]:
    """Offer the strategies."""
    yield StrategySpec(
        name="auto",
        summary="Strong defaults for the data first, then random draws around what worked best.",
        build="seedbed.plugins.strategies.auto:Auto",
        options=AutoOptions,
    )
    yield StrategySpec(
        name="random",
        summary="Independent random draws from the whole space (Bergstra & Bengio 2012), the defaults first.",
        build="seedbed.plugins.strategies.random_search:RandomSearch",
    )
