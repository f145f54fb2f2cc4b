"""A study handed over to a service that draws points itself and begins the trials: what is asked, what is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.flat import Range
from seedbed.core.space import Space

Search = Literal["Bayesian", "Random", "Grid", "Hyperband"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningRequest:
    """A study to be handed over: what may be drawn, for how many jobs, and how far each is trained.

    `seconds` is the time left for all of it, None without a limit; `seed` that of the draws.
    """

    space: Space
    ranges: tuple[Range, ...]
    fidelity: Fidelity
    trials: int
    direction: Literal["max", "min"]
    seed: int
    search: Search = "Bayesian"
    stops_early: bool = False
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A training job that the service began, and the texts that it drew for it."""

    name: str
    drawn: Mapping[str, str]


class Tuning(Protocol):
    """A tuning job under way."""

    def children(self) -> tuple[Child, ...]:
        """Return the jobs that were begun so far, the oldest first; what was known when it was last looked."""
        ...

    def is_over(self) -> bool:
        """Whether no further job will begin."""
        ...


class Tunes(Protocol):
    """What a backend offers to whom a study can be handed over."""

    def tune(self, request: TuningRequest) -> Tuning:
        """Begin a tuning job whose jobs are like the last trial that was submitted, or join the one that was begun.

        Raises:
            UsageError: the service cannot do what is asked.
        """
        ...
