"""Measured facts of a dataset and what its checks found."""

from __future__ import annotations

from dataclasses import dataclass

from seedbed.core.specs import Severity
from seedbed.core.task import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing a check or rule found: what was seen, where, and what to do about it.

    `rows` names the offending rows (file names or row numbers); `count` may exceed what it lists.
    """

    check: str
    severity: Severity
    evidence: str
    remedy: str = ""
    rows: tuple[str, ...] = ()
    count: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """What is known of the prepared data; plugins fit their components to it.

    Sizes are pixels of the prepared arrays; `mean` and `std` belong to the training part alone, one
    number a channel, for inputs scaled to [0, 1]. `class_counts` follows `task.classes`. `mirror_cost` is
    how many times a linear model's error grows if it is to know mirror images too (None: not measured).
    """

    task: Task
    examples: int
    train: int
    valid: int
    test: int
    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_counts: tuple[int, ...] = ()
    fingerprint: str = ""
    mirror_cost: float | None = None

    @property
    def size(self) -> int:
        """The shorter side of the prepared images, in pixels."""
        return min(self.height, self.width)

    @property
    def imbalance(self) -> float:
        """How many times more examples the largest class has than the smallest."""
        return max(self.class_counts) / max(min(self.class_counts), 1) if self.class_counts else 1.0
