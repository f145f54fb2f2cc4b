"""How far a trial has come: planned in steps, corrected while the clock runs, and written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from seedbed.core.training.decisions import Decisions

_AT_ONCE = 1.0
"""The rate, in progress a step, of a training that has no step left."""


@dataclass(slots=True, kw_only=True)
class Pace:
    """Progress from 0 to 1 over a trial's training.

    `max_steps` bounds the work; `deadline` (a reading of the trial's clock, in seconds) bounds the time,
    or is None, and then the pace is a pure function of the step count. Each `replan` looks at the clock
    and spreads what is left of the progress over the steps that still fit. What comes of it is noted in
    `decisions`; where those are given, the same learning-rate curve is repeated without a clock.
    """

    max_steps: int
    deadline: float | None = None
    progress: float = 0.0
    steps: int = 0
    decisions: Decisions = field(default_factory=Decisions)
    _rate: float = 0.0

    def __post_init__(self) -> None:
        self._rate = 1 / max(self.max_steps, 1)

    @property
    def is_over(self) -> bool:
        """Whether the planned training is done."""
        return self.progress >= 1.0

    def advance(self) -> None:
        """Count one step."""
        self.steps += 1
        self.progress = min(1.0, self.progress + self._rate)
        if self.progress > 1.0 - 1e-9:  # a sum of a thousand rates misses 1 by rounding
            self.progress = 1.0

    def follow(self) -> None:
        """Do what was noted at this step, where the decisions are given."""
        rate = self.decisions.given(f"rate@{self.steps}")
        if rate is not None:
            self._take(float(rate))

    def is_pressed(self, now: float, step_seconds: float) -> bool:
        """Whether so few such steps fit that they must be planned at once, however rough the measure is."""
        return self.deadline is not None and not self.decisions.are_given and self.deadline - now < 3 * step_seconds

    def replan(self, now: float, step_seconds: float, reserved: float) -> None:
        """Fit the rest of the training between `now` and the deadline.

        Args:
            now: the trial's clock, seconds.
            step_seconds: what a step takes at present.
            reserved: seconds to keep for the evaluations still to come.
        """
        if self.deadline is None or self.is_over or self.decisions.are_given:
            return
        left = self.deadline - now - reserved
        if left < step_seconds:
            self._note(_AT_ONCE)  # not one step fits: training ends here
            return
        fitting = left / max(step_seconds, 1e-9)
        allowed = max(self.max_steps - self.steps, 1)
        rate = (1.0 - self.progress) / max(min(fitting, allowed), 1.0)
        # Differences of a few per cent are noise; not recording them keeps the journal short.
        if abs(rate - self._rate) > 0.03 * self._rate:
            self._note(rate)

    def state(self) -> dict[str, float]:
        """Return where it stands."""
        return {"steps": self.steps, "progress": self.progress, "rate": self._rate}

    def restore(self, found: Mapping[str, float]) -> None:
        """Stand where another one stood."""
        self.steps, self.progress, self._rate = int(found["steps"]), found["progress"], found["rate"]

    def _note(self, rate: float) -> None:
        self.decisions.note(f"rate@{self.steps}", rate)
        self._take(rate)

    def _take(self, rate: float) -> None:
        self._rate = rate
        if rate >= _AT_ONCE:
            self.progress = 1.0
