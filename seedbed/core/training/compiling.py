"""Compile a net's forward and backward pass where the time that saves within the trial is more than it takes.

Compiled is what training calls; looks call the net itself, whose batches have other sizes. What was compiled once on
this machine lies in the folder that `TORCHINDUCTOR_CACHE_DIR` names, one for all trials of a run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from seedbed.core.training.decisions import Decisions
from seedbed.core.training.devices import device_of
from seedbed.core.training.memory import Snapshot, is_out_of_memory

if TYPE_CHECKING:
    from seedbed.core.data.view import View
    from seedbed.core.training.assemble import Assembled
    from seedbed.core.training.context import Context
    from seedbed.core.training.train import Lesson

log = logging.getLogger(__name__)

COMPILED = "compiled"
"""The decision, in the journal only where it falls for compiling."""

_LEAST_GAIN = 0.1
"""Of the work, what compiling must save: forecasts of both sides go wrong."""

_TIMED_STEPS = 3

Forward = Callable[..., Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """What compiling a net took, in seconds, and how many times as fast a training step is then."""

    seconds: float
    speed_up: float


ASSUMED = Compilation(seconds=60.0, speed_up=1.3)
"""Of a net that has not been compiled yet on this desk: 20 to 120 s, for steps that are a quarter to a half faster."""

NEVER = Compilation(seconds=0.0, speed_up=0.0)
"""Of a net that cannot be compiled."""


def pays(found: Compilation, work_seconds: float) -> bool:
    """Whether so much work, in seconds without compiling, is done clearly sooner with it."""
    if found.speed_up <= 1.0:
        return False
    return found.seconds + work_seconds / found.speed_up < (1.0 - _LEAST_GAIN) * work_seconds


def may_compile(lesson: Lesson, *, has_cuts: bool, is_gradual: bool) -> bool:
    """Whether compiling may be thought of at all.

    Not in a trial with bars to clear, which may end it at any look; not where layers are set free one by one or rows
    are of unequal length: each new form of the work would be compiled anew.
    """
    return not has_cuts and not is_gradual and lesson.source.lengths() is None


def forward_for(
    context: Context, parts: Assembled, lesson: Lesson, max_steps: int, *, is_gradual: bool
) -> Forward | None:
    """Return what a trial's steps call in place of its model; without a clock that is the model: no run may differ."""
    has_cuts = bool(context.job.fidelity.cuts)
    if context.deadline is None or not may_compile(lesson, has_cuts=has_cuts, is_gradual=is_gradual):
        return None
    net = str({k: v for k, v in context.job.candidate.values.items() if k.startswith("architecture")})
    return compile_where_it_pays(
        parts,
        lesson,
        known=context.compilations,
        key=(net, lesson.phases, lesson.batch_size, lesson.accumulated, str(lesson.numerics), str(context.device)),
        decisions=context.decisions,
        seconds=context.deadline - context.clock(),
        max_steps=max_steps,
        note=context.notes.append,
    )


def compile_where_it_pays(
    parts: Assembled,
    lesson: Lesson,
    *,
    known: dict[Hashable, Compilation],
    key: Hashable,
    decisions: Decisions,
    seconds: float,
    max_steps: int,
    note: Callable[[str], None],
) -> Forward | None:
    """Return what to call in training in place of the model, or None: the model itself.

    Neither the model nor a random state is changed.

    Args:
        known: what came of compiling so far by `key`; asked first, and added to.
        seconds: how long training may take.
        max_steps: how many steps it may take.
        note: told of a net that cannot be compiled.
    """
    forward: list[Forward] = []

    def is_worth_it() -> bool:
        backend = device_of(lesson.source.device).compile_backend
        expected = known.get(key, ASSUMED)
        if backend is None or not pays(expected, seconds):  # dearer to find out than to leave
            return False
        began = lesson.clock()
        step_seconds = _timed(parts, lesson, parts.model)
        if not pays(expected, min(seconds - (lesson.clock() - began), max_steps * step_seconds)):
            return False
        try:
            compiled, found = _compiled(parts, lesson, backend, step_seconds)
        except Exception as error:  # the compiler's border: whatever it raises, the net itself still trains
            if is_out_of_memory(error):
                raise
            log.info("%s is not compiled.", type(parts.model).__name__, exc_info=True)
            note(f"It was trained without compiling: {_first_line(error)}")
            known[key] = NEVER
            return False
        known[key] = found
        forward.append(compiled)
        log.info("Compiled in %.1f s; a step is %.2f times as fast.", found.seconds, found.speed_up)
        return found.speed_up > 1.0

    if not decisions.has_happened(COMPILED, is_worth_it):
        return None
    if not forward:  # done again, as it was decided then
        backend = device_of(lesson.source.device).compile_backend
        if backend is None:
            note("It was compiled when it was recorded; this device has no compiler.")
            return None
        forward.append(_compiled(parts, lesson, backend, 1.0)[0])
    return forward[0]


def _compiled(parts: Assembled, lesson: Lesson, backend: str, step_seconds: float) -> tuple[Forward, Compilation]:
    """Compile for the batches of all phases; return the net to call and what that took and brought."""
    forward: Any = torch.compile(parts.model, backend=backend, dynamic=False)
    began = lesson.clock()
    for view in {phase.view for phase in lesson.phases}:
        with _unchanged(parts.model, lesson.source.device):
            _step(parts, lesson, forward, view)
    took = lesson.clock() - began
    return forward, Compilation(seconds=took, speed_up=step_seconds / max(_timed(parts, lesson, forward), 1e-9))


def _timed(parts: Assembled, lesson: Lesson, forward: Forward) -> float:
    """Return the shortest of a few steps' seconds, after one that pays for memory and kernel selection."""
    view = lesson.phases[-1].view
    times = list[float]()
    with _unchanged(parts.model, lesson.source.device):
        for _ in range(1 + _TIMED_STEPS):
            began = lesson.clock()
            _step(parts, lesson, forward, view)
            times.append(lesson.clock() - began)
    return min(times[1:])


def _step(parts: Assembled, lesson: Lesson, forward: Forward, view: View) -> None:
    """Do the forward and backward pass of as many rows as go through the net at once in training."""
    source, device = lesson.source, lesson.source.device
    count = -(-lesson.batch_size // lesson.accumulated)
    rows = lesson.rows[torch.arange(count) % len(lesson.rows)]
    inputs = lesson.numerics.lay_out(source.ready(source.gather(rows, view), view))
    targets = lesson.targets[rows.to(lesson.targets.device)].to(device)
    there = device_of(device)
    with there.hasty():
        with lesson.numerics.autocast(device):
            outputs = forward(*inputs)
        parts.loss(outputs.float(), targets).mean().backward()
    there.synchronize()


@contextmanager
def _unchanged(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Train for a while as if it had never been: buffers and random states come back, gradients go."""
    was_training, before = model.training, Snapshot(model, device)
    model.train()
    try:
        yield
    finally:
        before.restore()
        model.zero_grad(set_to_none=True)
        model.train(was_training)


def _first_line(error: Exception) -> str:
    words = str(error).strip()
    return f"{type(error).__name__}: {words.splitlines()[0] if words else 'no message'}"
