"""A study handed over: to a service that draws points itself and begins the trials, or whole to a machine elsewhere.

What is asked in either case, and what is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from seedbed.core.data.schema import Schema
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import Event, StudyPlaced, StudyReturned
from seedbed.core.search.flat import Range
from seedbed.core.settings import Settings
from seedbed.core.space import Space
from seedbed.core.task import Modality

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


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOrder:
    """The rest of a study whose data is understood: what is to be done, and the folders that it needs.

    `run` is the run's folder, whose journal tells of the data; `data` and `tokens` what all trials read. `settings` are
    for there; `asked` is what was asked here, for the run's papers. `began` is the Unix time from which the budget
    counts, were the run not interrupted meanwhile.
    """

    settings: Settings
    asked: Settings
    schema: Schema
    modality: Modality
    began: float
    run: str
    data: str
    tokens: str = ""


class Hosted(Protocol):
    """A whole study that goes on elsewhere."""

    def poll(self, timeout: float) -> list[Event]:
        """Return what was told since the last call, waiting up to `timeout` seconds; `StudyPlaced` is journalled here.

        Raises:
            SeedbedError: it cannot be followed any further.
        """
        ...

    def stop(self) -> None:
        """Ask it to end soon; what it has reached is kept."""
        ...

    def is_over(self) -> bool:
        """Whether it has ended and all was told."""
        ...

    def bring(self, target: Path) -> bool:
        """Put the run's folder as it is there into a folder of its own here; False: there is nothing.

        Folders there that belong to this machine alone are left out.
        """
        ...

    def returned(self) -> tuple[StudyReturned, ...]:
        """Return every place that it has been at in this session, and what is paid for it."""
        ...

    def failure(self) -> str:
        """Say why it came to nothing, "" where it did not fail."""
        ...


class Hosts(Protocol):
    """What a backend offers to which a whole study can be handed over, where its `hosts` is true."""

    def host(self, order: StudyOrder, away: StudyPlaced | None, attempts: int) -> Hosted:
        """Begin the study, or join it where it is `away`; `attempts` is how many places it has been at by now.

        Raises:
            UsageError: it cannot be done there.
            PluginError: the service refuses.
        """
        ...
