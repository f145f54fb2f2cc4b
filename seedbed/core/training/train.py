"""The training loop: an iterator that stops to look at the model now and then."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, pairwise
from typing import Any, cast

import torch
from torch import Tensor

from seedbed.core.data.feeding.source import Inputs, Source, epochs
from seedbed.core.data.view import View
from seedbed.core.errors import Diverged
from seedbed.core.training.assemble import Assembled
from seedbed.core.training.devices import device_of
from seedbed.core.training.evaluate import Stop, Stopped
from seedbed.core.training.loop import Keeper, Loop, Since, Window
from seedbed.core.training.memory import Snapshot, give_back, is_out_of_memory, least_rows, more_parts, too_large
from seedbed.core.training.numerics import Numerics
from seedbed.core.training.pace import Pace
from seedbed.core.training.parallel import Ring

log = logging.getLogger(__name__)

_WARM_UP_STEPS = 3  # the first ones pay for memory and kernel selection, and would foretell too few


@dataclass(frozen=True, slots=True)
class Phase:
    """Train with this view (its resolution) while progress is below `until`."""

    until: float
    view: View


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Where training stands when the loop pauses: passes over the data, mean loss since the last look."""

    epoch: float
    train_loss: float
    lr: float


@dataclass(slots=True, kw_only=True)
class Lesson:
    """What to train with and how: everything but the model's own parts."""

    source: Source
    rows: Tensor
    """Training rows (N,) int64, on the CPU."""
    targets: Tensor
    """Targets of all rows of the dataset, in the form that the loss takes, where batches are made."""
    phases: Sequence[Phase]
    batch_size: int
    numerics: Numerics
    generator: torch.Generator
    looks: int = 10
    cuts: Sequence[float] = ()
    """Where, in progress, to look besides."""
    before_step: Callable[[float], None] = lambda progress: None
    """Called with the progress before each step."""
    accumulated: int = 1
    """In how many parts a batch goes through the model; raised, in place, where memory runs out."""
    clock: Callable[[], float] = time.monotonic
    forward: Callable[..., Tensor] | None = None
    """What is called in steps in place of the model: the model compiled, or with the gradients of other processes."""
    samples: torch.Generator = field(default_factory=torch.Generator)
    """What changes of single images are drawn with. The order of the batches, which is drawn from `generator` alone, is
    the same in all processes of a trial, and can be found again."""
    ring: Ring | None = None
    """The processes that this training is shared with."""
    keeper: Keeper | None = None
    """Keeps up the state of a resumable trial."""


def train(
    parts: Assembled, lesson: Lesson, pace: Pace, *, reserve: Callable[[], float], should_stop: Stop
) -> Iterator[Look]:
    """Train as `_train` does; the other processes of a trial are told when it ends, one way or another."""
    try:
        yield from _train(parts, lesson, pace, reserve=reserve, should_stop=should_stop)
    finally:
        if lesson.ring is not None and lesson.ring.leads:
            lesson.ring.rest()


def _train(
    parts: Assembled, lesson: Lesson, pace: Pace, *, reserve: Callable[[], float], should_stop: Stop
) -> Iterator[Look]:
    """Train in place until the pace is over, yielding about `lesson.looks` times, the last time at the end.

    Args:
        reserve: seconds to keep free for the evaluations still to come; asked at each re-planning.

    Raises:
        Diverged: the mean loss between two looks is not finite.
        Stopped: `should_stop` said so.
        TooLarge: memory ran out with the smallest parts of a batch.
    """
    device = lesson.source.device
    before = Snapshot(parts.model, device)
    scaler = torch.amp.GradScaler(device.type, enabled=lesson.numerics.needs_scaling())
    there = device_of(device)
    seed = int(torch.randint(2**62, (), generator=lesson.generator))
    seed += lesson.ring.rank if lesson.ring else 0
    noise = torch.Generator(there.feeds_from).manual_seed(seed)
    lesson.samples.manual_seed(seed)
    since = Since(torch.zeros((), device=device), Window(lesson.clock(), 0), [*lesson.cuts, math.inf])
    loop = Loop(parts, lesson, pace, scaler, noise)
    if lesson.keeper is not None and lesson.keeper.found is not None:
        since.restore(loop.restore(lesson.keeper.found), lesson.clock())

    def keep(*, at_once: bool) -> None:
        if lesson.keeper is not None:
            lesson.keeper.keep(lambda: loop.state(since.state(lesson.clock())), at_once=at_once)

    def look() -> Iterator[Look]:
        since.is_due, mean, epoch = True, float(since.total) / since.steps, since.seen / len(lesson.rows)
        if not math.isfinite(mean):
            raise Diverged(
                f"The training loss is {mean} after {epoch:.1f} epochs; lower optimizer.*.lr or try another optimizer."
            )
        try:
            yield Look(epoch=epoch, train_loss=mean, lr=max(g["lr"] for g in parts.optimizer.param_groups))
        except GeneratorExit:  # the trial was ended, perhaps in the middle of this look
            keep(at_once=lesson.keeper is not None and lesson.keeper.epoch < epoch)
            raise
        parts.model.train()  # the caller evaluated
        since.begin_anew(int(pace.progress * lesson.looks) + 1, pace, lesson.clock())
        keep(at_once=pace.is_over)

    parts.model.train()
    if since.is_due:
        yield from look()
    if pace.is_over:
        return
    for rows in islice(epochs(lesson.source, lesson.rows, lesson.batch_size, lesson.generator), pace.steps, None):
        if should_stop():
            keep(at_once=True)
            raise Stopped
        if lesson.ring is not None and not lesson.ring.may_step(pace):
            return
        lesson.before_step(pace.progress)
        factor = parts.schedule(pace.progress)
        for group in parts.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        with there.hasty():
            loss = _step(parts, lesson, rows, pace, scaler, noise, before)
        there.mark_step()
        pace.advance()
        for regularizer in parts.regularizers:
            regularizer.after_step(parts.model, pace.progress)
        since.add(loss, len(rows))

        now = lesson.clock()
        looks = pace.is_over or pace.progress * lesson.looks >= since.next_look or pace.progress >= since.cuts[0]
        is_pressed = pace.is_pressed(now, since.window.step_seconds(now, pace.steps))
        is_warm = pace.steps > _WARM_UP_STEPS
        if pace.steps == _WARM_UP_STEPS and not is_pressed:
            since.window = Window(now, pace.steps)
        elif is_pressed or (is_warm and (looks or since.window.is_long(now) or pace.steps == 2 * _WARM_UP_STEPS)):
            pace.replan(now, since.window.step_seconds(now, pace.steps), reserve())
            since.window = Window(now, pace.steps)
        pace.follow()
        if looks or pace.is_over:
            yield from look()
        if pace.is_over:
            return


def _step(
    parts: Assembled,
    lesson: Lesson,
    rows: Tensor,
    pace: Pace,
    scaler: torch.amp.GradScaler,
    noise: torch.Generator,
    before: Snapshot,
) -> Tensor:
    """Do one optimizer step and return its loss, still on the device."""
    view = next((phase.view for phase in lesson.phases if pace.progress < phase.until), lesson.phases[-1].view)
    own = rows if lesson.ring is None else lesson.ring.share(rows)
    inputs, targets = _batch(parts, lesson, own, view, noise)
    loss = _backward(parts, lesson, inputs, targets, pace, scaler, before, weight=_weight(lesson, len(own), len(rows)))
    if lesson.ring is not None:
        loss = lesson.ring.mean(loss)
    scaler.unscale_(parts.optimizer)
    for regularizer in parts.regularizers:
        regularizer.on_gradients(parts.model)
    scaler.step(parts.optimizer)
    scaler.update()
    return loss


def _backward(
    parts: Assembled,
    lesson: Lesson,
    inputs: Inputs,
    targets: Tensor,
    pace: Pace,
    scaler: torch.amp.GradScaler,
    before: Snapshot,
    *,
    weight: float = 1.0,
) -> Tensor:
    """Leave the gradients of a batch's mean loss in the model and return that loss.

    Where memory runs out the batch is begun again in twice as many parts, and so are those after it. That is noted
    at the step, so that a replay goes the same way.
    """
    event = f"parts@{pace.steps}"
    given = pace.decisions.given(event)
    lesson.accumulated = lesson.accumulated if given is None else int(given)
    planned = lesson.accumulated
    before.take()
    while True:
        parts.optimizer.zero_grad(set_to_none=True)
        try:
            loss = _accumulate(parts, lesson, inputs, targets, scaler, weight)
            break
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or lesson.ring is not None:  # the others are in the middle of this step
                raise
            lesson.accumulated = _more(lesson, least_rows(parts.model), len(targets), error)
        # Not until here: the error's traceback held all that the attempt had allocated.
        before.restore()
        give_back(lesson.source.device)
    if lesson.accumulated != planned:
        pace.decisions.note(event, lesson.accumulated)
    return loss


def _more(lesson: Lesson, least: int, rows: int, error: Exception) -> int:
    """Return in how many parts to take batches from now on.

    Raises:
        TooLarge: this batch of so many rows went in the smallest parts already.
    """
    found = more_parts(lesson.accumulated, lesson.batch_size, least)
    if found is None or more_parts(_count(lesson, least, rows), rows, least) is None:
        raise too_large(f"a training step with {'one row' if least == 1 else f'{least} rows'} at a time", error)
    log.info("Memory ran out in a training step; batches are taken in %d parts from here on.", found)
    return found


def _count(lesson: Lesson, least: int, rows: int) -> int:
    """Return in how many parts to take a batch of so many rows: batches of unequal rows may be short."""
    return min(lesson.accumulated, max(rows // least, 1))


def _accumulate(
    parts: Assembled, lesson: Lesson, inputs: Inputs, targets: Tensor, scaler: torch.amp.GradScaler, weight: float
) -> Tensor:
    """Add up the gradients of a batch's parts, each weighted by its rows; return the loss of the whole, times `weight`.

    Batch normalisation is the one thing that sees a difference: its statistics are those of a part.
    """
    losses = list[Tensor]()
    for few, wanted in _pieces(lesson, least_rows(parts.model), inputs, targets):
        with lesson.numerics.autocast(lesson.source.device):
            outputs = (lesson.forward or parts.model)(*few)
        loss = parts.loss(outputs.float(), wanted).mean()
        if (share := weight * len(wanted) / len(targets)) != 1.0:
            loss = loss * share
        scaler.scale(loss).backward()
        losses.append(loss.detach())
    return losses[0] if len(losses) == 1 else torch.stack(losses).sum()


def _weight(lesson: Lesson, own: int, batch: int) -> float:
    """Return what the rows that go through the net here count for, beside those of other processes."""
    return 1.0 if lesson.ring is None else lesson.ring.weight(own, batch)


def _pieces(lesson: Lesson, least: int, inputs: Inputs, targets: Tensor) -> Iterator[tuple[Inputs, Tensor]]:
    """Yield a batch in parts that differ by one row at most."""
    count = _count(lesson, least, len(targets))
    if count == 1:
        yield inputs, targets
        return
    for begin, end in pairwise(len(targets) * each // count for each in range(count + 1)):
        yield tuple(each[begin:end] for each in inputs), targets[begin:end]


def _batch(parts: Assembled, lesson: Lesson, rows: Tensor, view: View, noise: torch.Generator) -> tuple[Inputs, Tensor]:
    """Return augmented inputs, as the model takes them, and their targets, as the loss does."""
    change = None if parts.samples is None else partial(parts.samples, generator=lesson.samples)
    inputs = lesson.source.gather(rows, view, change)
    targets = lesson.targets[rows.to(lesson.targets.device)]
    for augment in parts.augmenters:
        found = cast(Callable[..., Any], augment)(*inputs, noise)  # a batch of images, or inputs and mask
        inputs = found if isinstance(found, tuple) else (found,)
    if isinstance(inputs[0], Tensor) and inputs[0].is_floating_point():
        first = inputs[0]
        for regularizer in parts.regularizers:
            first, targets = regularizer.on_batch(first, targets, noise)
        inputs = (first, *inputs[1:])
    return lesson.numerics.lay_out(lesson.source.ready(inputs, view)), targets.to(lesson.source.device)
