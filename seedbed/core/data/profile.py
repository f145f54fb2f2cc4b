"""Measured facts of a dataset and what its checks found."""

from __future__ import annotations

from dataclasses import dataclass, field

from seedbed.core.specs import Severity
from seedbed.core.task import Task

MOST_NAMED = 10_000
"""The most rows that a finding lists: enough to act on, and not so many that a journal drowns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing a check or rule found: what was seen, where, and what to do about it.

    `rows` names the offending rows (file names or row numbers), at most `MOST_NAMED`; `count` may exceed
    what it lists. `repair` says what was done about it, or what could be.
    """

    check: str
    severity: Severity
    evidence: str
    remedy: str = ""
    rows: tuple[str, ...] = ()
    count: int = 0
    repair: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lengths:
    """How long the rows are, in steps or tokens: `usual` is the median, `most` the 95th percentile."""

    least: int
    usual: int
    most: int
    longest: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """What is known of the prepared data; plugins fit their components to it.

    Of images, sizes are pixels of the prepared arrays, and `mean` and `std` one number a channel for
    inputs scaled to [0, 1]; `mirror_cost` is how many times a linear model's error grows if it is to know
    mirror images too (None: not measured). Of series, `channels` is their number, `mean` and `std` are
    those of the values. `lengths` counts the steps of series; of texts the tokens where a vocabulary has
    been learnt (`vocabulary` > 0), and else the words: runs between white space, each Chinese or Japanese
    character one. `mean`, `std` and `lengths` belong to the training part alone. `class_counts` follows
    `task.classes`; of values to be predicted, `target_mean` and `target_std` are those of training.
    `folds` is over how many folds trials are judged, 0 where a validation part serves; `has_own_valid` says that
    its owner chose that part, which is then never trained on. `spellings` maps class names as the data has them
    to the class they were merged into.
    """

    task: Task
    examples: int
    train: int
    valid: int
    test: int
    height: int = 0
    width: int = 0
    channels: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    class_counts: tuple[int, ...] = ()
    fingerprint: str = ""
    mirror_cost: float | None = None
    lengths: Lengths | None = None
    vocabulary: int = 0
    target_mean: float = 0.0
    target_std: float = 1.0
    folds: int = 0
    has_own_valid: bool = False
    spellings: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The shorter side of the prepared images, in pixels."""
        return min(self.height, self.width)

    @property
    def imbalance(self) -> float:
        """How many times more examples the largest class has than the smallest."""
        return max(self.class_counts) / max(min(self.class_counts), 1) if self.class_counts else 1.0
