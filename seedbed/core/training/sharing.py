"""The two sides of a training that several processes share: handing it out, and helping with it."""

from __future__ import annotations

from dataclasses import replace

import torch

from seedbed.core.data.feeding.source import Source
from seedbed.core.search.candidate import TrialJob
from seedbed.core.search.policies import TuneOptions
from seedbed.core.training.assemble import Assembled, Net, assemble, build_model
from seedbed.core.training.desk import Desk
from seedbed.core.training.devices import device_of
from seedbed.core.training.evaluate import never
from seedbed.core.training.numerics import Numerics
from seedbed.core.training.outputs import loss_targets
from seedbed.core.training.pace import Pace
from seedbed.core.training.parallel import Plan, Ring
from seedbed.core.training.train import Lesson, train
from seedbed.core.training.unfreezing import Unfreezing

_NEVER_OVER = 10**15
"""Steps of a training whose end another process decides."""


def share_with(ring: Ring, model: Net, lesson: Lesson, options: TuneOptions, since: float) -> None:
    """Have the other processes of a trial do this lesson with us."""
    ring.hand_out(
        Plan(
            options=options,
            since=since,
            rows=lesson.rows,
            phases=lesson.phases,
            batch_size=lesson.batch_size,
            accumulated=lesson.accumulated,
            numerics=str(lesson.numerics),
            order=lesson.generator.get_state(),
        )
    )
    lesson.forward, lesson.ring = ring.wrap(model, is_gradual=options.unfreeze_share > 0), ring


def since_then(parts: Assembled, since: float) -> Assembled:
    """Return parts whose learning rate follows its schedule from `since` on."""
    if not since:
        return parts
    whole = parts.schedule
    return replace(parts, schedule=lambda progress: whole(since + (1.0 - since) * progress))


def help_out(job: TrialJob, desk: Desk, ring: Ring, device: torch.device) -> None:
    """Do the steps of a trial with the process that leads it, stretch after stretch, until there are no more."""
    torch.manual_seed(job.seed)
    source = desk.open_source(job.profile.task.modality, job.data, job.tokens, device)
    targets = loss_targets(desk.open_splits(job.splits).targets, job.profile)
    while (plan := ring.receive()) is not None:
        _help(job, desk, ring, plan, source, targets.to(device_of(device).feeds_from))


def _help(job: TrialJob, desk: Desk, ring: Ring, plan: Plan, source: Source, targets: torch.Tensor) -> None:
    view = plan.phases[-1].view
    model = build_model(job.candidate, job.profile, view, desk.lookup).to(source.device)
    model.norm_is_frozen = plan.options.freeze_norm
    model.train()
    parts = assemble(
        model,
        job.candidate,
        job.profile,
        view,
        desk.lookup,
        layer_decay=plan.options.layer_decay,
        is_gradual=plan.options.unfreeze_share > 0,
    )
    numerics = Numerics.parse(plan.numerics)
    numerics.lay_out_model(model)
    generator = torch.Generator()
    generator.set_state(plan.order)
    lesson = Lesson(
        source=source,
        rows=plan.rows,
        targets=targets,
        phases=plan.phases,
        batch_size=plan.batch_size,
        numerics=numerics,
        generator=generator,
        looks=0,
        accumulated=plan.accumulated,
        ring=ring,
    )
    if plan.options.unfreeze_share > 0:
        lesson.before_step = Unfreezing(model, plan.options.unfreeze_share)
    lesson.forward = ring.wrap(model, is_gradual=plan.options.unfreeze_share > 0)
    for _ in train(
        since_then(parts, plan.since), lesson, Pace(max_steps=_NEVER_OVER), reserve=float, should_stop=never
    ):
        pass
