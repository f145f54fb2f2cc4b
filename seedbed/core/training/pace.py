"""How far a trial has come: planned in steps, corrected while the clock runs, and written down."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Pace:
    """Progress from 0 to 1 over a trial's training.

    `max_steps` bounds the work; `deadline` (a reading of the trial's clock, in seconds) bounds the time,
    or is None, and then the pace is a pure function of the step count. Each `replan` looks at the clock
    and spreads what is left of the progress over the steps that still fit. `taken` is the record: with
    it the same learning-rate curve can be repeated without a clock.
    """

    max_steps: int
    deadline: float | None = None
    progress: float = 0.0
    steps: int = 0
    taken: list[tuple[int, float]] = field(default_factory=list)
    _rate: float = 0.0

    def __post_init__(self) -> None:
        self._set_rate(1 / max(self.max_steps, 1))

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

    def is_pressed(self, now: float, step_seconds: float) -> bool:
        """Whether so few such steps fit that they must be planned at once, however rough the measure is."""
        return self.deadline is not None and self.deadline - now < 3 * step_seconds

    def replan(self, now: float, step_seconds: float, reserved: float) -> None:
        """Fit the rest of the training between `now` and the deadline.

        Args:
            now: the trial's clock, seconds.
            step_seconds: what a step takes at present.
            reserved: seconds to keep for the evaluations still to come.
        """
        if self.deadline is None or self.is_over:
            return
        left = self.deadline - now - reserved
        if left < step_seconds:
            self.progress = 1.0  # not one step fits: training ends here
            return
        fitting = left / max(step_seconds, 1e-9)
        allowed = max(self.max_steps - self.steps, 1)
        self._set_rate((1.0 - self.progress) / max(min(fitting, allowed), 1.0))

    def _set_rate(self, rate: float) -> None:
        # Differences of a few per cent are noise; not recording them keeps the journal short.
        if abs(rate - self._rate) > 0.03 * self._rate:
            self._rate = rate
            self.taken.append((self.steps, rate))
