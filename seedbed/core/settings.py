"""The user's choices, checked once and handed on unchanged."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import get_args

from seedbed.core.errors import UnknownName, UsageError
from seedbed.core.space import Value
from seedbed.core.task import Modality, TaskKind

REPAIRS = ("none", "safe", "all")

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)(ms|[smhd]))+")


def parse_duration(text: str) -> float:
    """Return the seconds of `90s`, `10m`, `1h30m`, `5ms`, or of a bare number of seconds.

    Raises:
        UsageError: the text is no duration, or it is not positive.
    """
    text = text.strip().lower()
    try:
        seconds = float(text)
    except ValueError:
        if not _DURATION.fullmatch(text):
            raise UsageError(f"{text!r} is no duration; write 90s, 10m, 2h or 1h30m.") from None
        seconds = sum(float(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd])", text))
    if not 0 < seconds < float("inf"):
        raise UsageError(f"A duration must be positive, but {text!r} was given; write 90s, 10m or 2h.")
    return seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a run was asked to do.

    `seconds` is the whole budget in wall-clock time, `trials` the number of candidates; with neither,
    ten are tried. `use` and `without` name components as "kind:name"; `fixed` pins parameters
    of the space (`{"optimizer": "sgd"}`). `target`, `inputs`, `group`, `order` and `part` name columns of
    tables; `target_score` and `patience` (trials in a row without a better one) end the search early, `max_latency`
    is the time in seconds that predicting one row may take, `experience` whether earlier runs on this machine may
    be learnt from; `repair` says which repairs of the data are applied: none, safe or all. `threads` and `workers`
    of 0 leave the choice to the engine.
    """

    source: str
    target: str | None = None
    test: str | None = None
    task: str | None = None
    modality: str | None = None
    inputs: tuple[str, ...] = ()
    group: str | None = None
    order: str | None = None
    part: str | None = None
    repair: str = "safe"
    metric: str | None = None
    seconds: float | None = None
    trials: int | None = None
    target_score: float | None = None
    patience: int | None = None
    max_latency: float | None = None
    experience: bool = True
    strategy: str = "auto"
    backend: str = "local"
    device: str = "auto"
    workers: int = 0
    threads: int = 0
    use: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    fixed: dict[str, Value] = field(default_factory=dict)
    seed: int = 0
    offline: bool = False

    def __post_init__(self) -> None:
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            raise UsageError(f"The time budget must be positive, but {self.seconds} s was given; try time='10m'.")
        if self.trials is not None and self.trials < 1:
            raise UsageError(f"trials={self.trials} leaves nothing to do; give 1 or more.")
        if self.max_latency is not None and not 0 < self.max_latency < float("inf"):
            raise UsageError(f"max_latency={self.max_latency}: the time for one row must be positive; try 10ms.")
        for name in ("workers", "threads"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name}={getattr(self, name)}; give 1 or more, or 0 to leave the choice to Seedbed.")
        for name, given, known in (
            ("task", self.task, get_args(TaskKind)),
            ("modality", self.modality, get_args(Modality)),
            ("repair", self.repair, REPAIRS),
        ):
            if given is not None and given not in known:
                raise UnknownName(name, given, known)
        for each in (*self.use, *self.without):
            if each.count(":") != 1 or each.startswith(":") or each.endswith(":"):
                raise UsageError(f"{each!r} names no component; write KIND:NAME, as in optimizer:sgd.")
