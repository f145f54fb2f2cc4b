"""The state of a training loop: all that its next step depends on, to be kept and taken up again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from seedbed.core.training.devices import device_of

if TYPE_CHECKING:
    from seedbed.core.training.assemble import Assembled
    from seedbed.core.training.pace import Pace
    from seedbed.core.training.train import Lesson


REPLAN_SECONDS = 0.5
"""How long the time of a step is measured before the rest is planned by it."""


class Keeper(Protocol):
    """Keeps what a loop tells of itself.

    `found` is what was kept before, None where there is nothing, and `epoch` is that of the last look that was done.
    """

    found: dict[str, Any] | None
    epoch: float

    def keep(self, state: Callable[[], Mapping[str, Any]], *, at_once: bool = False) -> None:
        """Put down a state if it is time for that, or `at_once`."""
        ...


@dataclass(slots=True)
class Loop:
    """What a loop works with. The order of its batches is that of its generator at the beginning, so that is kept."""

    parts: Assembled
    lesson: Lesson
    pace: Pace
    scaler: torch.amp.GradScaler
    noise: torch.Generator
    order: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.order = self.lesson.generator.get_state()

    def state(self, counts: Mapping[str, Any]) -> dict[str, Any]:
        """Return all of it; `counts` are the loop's own."""
        parts, lesson = self.parts, self.lesson
        return {
            "counts": dict(counts),
            "pace": self.pace.state(),
            "lesson": {"accumulated": lesson.accumulated, "looks": lesson.looks},
            "random": {
                "order": self.order,
                "noise": self.noise.get_state(),
                "samples": lesson.samples.get_state(),
                "torch": torch.get_rng_state(),
                "device": device_of(lesson.source.device).random_state(),
            },
            "model": dict(parts.model.state_dict()),
            "optimizer": parts.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "regularizers": [dict(each.state()) for each in parts.regularizers],
        }

    def restore(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Bring all into the state that was kept, and return the loop's own counts."""
        parts, lesson, random = self.parts, self.lesson, found["random"]
        self.pace.restore(found["pace"])
        lesson.accumulated, lesson.looks = found["lesson"]["accumulated"], found["lesson"]["looks"]
        lesson.before_step(self.pace.progress)  # which layers learn is to be known before their optimizer's state is
        parts.model.load_state_dict(found["model"])
        parts.optimizer.load_state_dict(found["optimizer"])
        _lay_out_alike(parts.optimizer)
        self.scaler.load_state_dict(found["scaler"])
        for regularizer, state in zip(parts.regularizers, found["regularizers"], strict=True):
            regularizer.restore({name: each.to(lesson.source.device) for name, each in state.items()})
        self.order = random["order"]
        lesson.generator.set_state(self.order)
        lesson.samples.set_state(random["samples"])
        self.noise.set_state(random["noise"])
        torch.set_rng_state(random["torch"])
        if random["device"] is not None:
            device_of(lesson.source.device).set_random_state(random["device"])
        counts: dict[str, Any] = found["counts"]
        return counts


def _lay_out_alike(optimizer: torch.optim.Optimizer) -> None:
    """Give an optimizer's tensors the memory format of their parameters, which they had: another rounds otherwise."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of training in which the time of a step is measured: looks lie between, not within."""

    began: float
    steps: int

    def is_long(self, now: float) -> bool:
        """Whether it lasts long enough to plan by."""
        return now - self.began > REPLAN_SECONDS

    def step_seconds(self, now: float, steps: int) -> float:
        """Return the mean time of a step within it."""
        return (now - self.began) / max(steps - self.steps, 1)


@dataclass(slots=True)
class Since:
    """What has come since the last look, and when the next one is due."""

    total: Tensor
    window: Window
    cuts: list[float]
    steps: int = 0
    seen: int = 0
    next_look: int = 1
    is_due: bool = False

    def add(self, loss: Tensor, rows: int) -> None:
        """Count a step."""
        self.seen += rows
        # Summed on the device: .item() here would wait for it at every step.
        self.total, self.steps = self.total + loss.detach(), self.steps + 1

    def begin_anew(self, next_look: int, pace: Pace, now: float) -> None:
        """Begin to count again after a look; the rows that were seen go on."""
        self.total, self.steps, self.next_look, self.is_due = torch.zeros_like(self.total), 0, next_look, False
        self.window = Window(now, pace.steps)
        self.cuts = [each for each in self.cuts if each > pace.progress]

    def state(self, now: float) -> dict[str, Any]:
        """Return all of it; the window by its age, as clocks differ."""
        window = {"age": now - self.window.began, "steps": self.window.steps}
        names = ("total", "cuts", "steps", "seen", "next_look", "is_due")
        return {"window": window, **{name: getattr(self, name) for name in names}}

    def restore(self, found: dict[str, Any], now: float) -> None:
        """Count on from what was counted."""
        self.total = found["total"].to(self.total.device)
        self.window = Window(now - found["window"]["age"], found["window"]["steps"])
        self.cuts, self.steps, self.seen = found["cuts"], found["steps"], found["seen"]
        self.next_look, self.is_due = found["next_look"], found["is_due"]
