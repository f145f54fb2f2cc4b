"""The fine-tune policies: from random weights, a frozen backbone, the head first and then all, or all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from seedbed.core.data.feeding.source import Inputs
from seedbed.core.data.view import View
from seedbed.core.search.events import TrialPlanned
from seedbed.core.search.policies import POLICIES, TuneOptions
from seedbed.core.space import options_from
from seedbed.core.training.assemble import (
    Assembled,
    Net,
    assemble,
    build_augmenters,
    build_model,
    load_pretrained,
)
from seedbed.core.training.compiling import forward_for
from seedbed.core.training.context import PLAIN, Context, Result
from seedbed.core.training.devices import device_of
from seedbed.core.training.folds import over_folds
from seedbed.core.training.keeping import Keeper
from seedbed.core.training.lap import (
    LEAST_LAP,
    SINCE,
    adopt,
    has_lap,
    lap_of,
    may_be_kept,
    may_learn_more,
    time_for_lap,
    unharmed,
)
from seedbed.core.training.member import CHECKPOINT
from seedbed.core.training.memory import Demand, least_rows, measure, parts_here
from seedbed.core.training.numerics import Numerics, calibrate, choices, default
from seedbed.core.training.pace import Pace
from seedbed.core.training.probing import fit_probe
from seedbed.core.training.sharing import share_with, since_then
from seedbed.core.training.train import Lesson, Phase, train
from seedbed.core.training.unfreezing import Unfreezing

_SCRATCH = TuneOptions(layer_decay=1.0, start_size=1.0, freeze_norm=False)
"""Nothing has been learnt yet that could be kept: neither rates that fall with the depth nor statistics."""

HEAD_SHARE = 0.2
"""Of a trial's time, what may go into the head before the whole net is trained."""


def run_policy(context: Context) -> Result:
    """Train the context's candidate by its policy, once or over folds."""
    policy = context.job.candidate.component("policy")
    train = _RUNNERS[policy]
    if not context.job.profile.folds:
        return train(context)
    if POLICIES[policy].trains and context.deadline is not None:
        _warm_up(context)
    return over_folds(context, train)


def _warm_up(context: Context) -> None:
    """Import, build and measure once, before the time is shared out: the first fold would have little left of it."""
    options = _tune_options(context)
    policy = context.job.candidate.component("policy")
    model = _fresh_model(context, pretrained=POLICIES[policy].pretrained)
    _measure_training(context, model, _batch_size(context), _phases(context, options))


def _batch_size(context: Context) -> int:
    return min(int(context.job.candidate.values["batch_size"]), max(len(context.train_rows) // 2, 2))


def probe(context: Context) -> Result:
    """Fit a linear head on the features of a frozen backbone; once it is judged, on the validation part as well."""
    began = context.clock()
    score = _probe(context)
    # Notes tell that time or memory was short before.
    took = context.clock() - began
    is_of_use = may_learn_more(context) and may_be_kept(context, score) and not context.notes
    if is_of_use and context.has_time_for("learn more", lambda: 2.0 * took):
        _learn_more(context)
    return Result(score=score, epochs=1.0, steps=0)


def _learn_more(context: Context) -> None:
    """Fit a probe on all rows, in place of the one that was judged."""
    with unharmed(context):
        more = lap_of(context, 1.0)
        model = _fresh_model(more, pretrained=True)
        fit_probe(more, model, share=1.0)
        if not more.notes:  # with fewer rows than before it would be no gain
            more.look(model, default(context.device), epoch=1.0, progress=1.0)
            more.finish(model, ())
            adopt(context, more, "its head was fitted anew")


def _probe(context: Context) -> float:
    model = _fresh_model(context, pretrained=True)
    fit_probe(context, model, share=0.8)
    context.look(model, default(context.device), epoch=1.0, progress=1.0)
    return context.finish(model, ())


def scratch(context: Context) -> Result:
    """Train everything from random weights."""
    return _train_all(context, _fresh_model(context, pretrained=False), _SCRATCH)


def head_then_all(context: Context) -> Result:
    """Fit the head on frozen features (closed to optimal in seconds), then train everything from there."""
    model = _fresh_model(context, pretrained=True)
    numerics = fit_probe(context, model, share=HEAD_SHARE)
    # Against negative transfer: what training makes worse is not kept.
    context.look(model, numerics, epoch=0.0, progress=0.0)
    return _train_all(context, model, _tune_options(context))


def full(context: Context) -> Result:
    """Train everything from pretrained weights, the head from zero."""
    return _train_all(context, _fresh_model(context, pretrained=True), _tune_options(context))


_RUNNERS: dict[str, Callable[[Context], Result]] = {
    "scratch": scratch,
    "probe": probe,
    "head_then_all": head_then_all,
    "full": full,
}


def _tune_options(context: Context) -> TuneOptions:
    name = context.job.candidate.component("policy")
    if not POLICIES[name].pretrained:
        return _SCRATCH
    options: TuneOptions = options_from(POLICIES[name].options, f"policy.{name}", context.job.candidate.values)
    return options


def _fresh_model(context: Context, *, pretrained: bool) -> Net:
    # Of a trial every model begins alike: features that one has stored are read for another.
    torch.manual_seed(context.job.seed)
    model = build_model(context.job.candidate, context.job.profile, context.view, context.lookup)
    if pretrained:
        load_pretrained(model, context.job.candidate, context.lookup)
    return model.to(context.device)


def _train_all(context: Context, model: Net, options: TuneOptions) -> Result:
    """Train and judge; then go on with all rows, where those it was judged by are a good part of them."""
    if not has_lap(context):
        return _train(context, model, options)
    learning = [each for each in model.parameters() if each.requires_grad]
    with time_for_lap(context):
        result = _train(context, model, options)
    if not may_be_kept(context, result.score):
        return result
    with unharmed(context):
        lap = lap_of(context, result.epochs)
        if lap.has_time_for("lap", lambda: 1.0 + lap.finish_seconds((), PLAIN)):
            model.load_state_dict(load_file(context.folder / CHECKPOINT))
            for each in learning:  # training may have ended before all layers were set free
                each.requires_grad_(True)
            more = _train(lap, model, replace(options, start_size=1.0, unfreeze_share=0.0), since=SINCE)
            if more.epochs >= LEAST_LAP * SINCE * result.epochs:
                adopt(context, lap, "it was trained on")
    return result


def _train(context: Context, model: Net, options: TuneOptions, *, since: float = 0.0) -> Result:
    """Train from where the model stands; the learning rate follows its schedule from `since` on."""
    candidate, profile = context.job.candidate, context.job.profile
    model.norm_is_frozen = options.freeze_norm
    model.train()  # which norms count their rows decides how small the parts of a batch may be
    parts = assemble(
        model,
        candidate,
        profile,
        context.view,
        context.lookup,
        layer_decay=options.layer_decay,
        is_gradual=options.unfreeze_share > 0,
    )
    parts = since_then(parts, since)
    batch_size = _batch_size(context)
    phases = _phases(context, options)
    demand = _demand(context, model, phases[-1].view)
    accumulated = context.decisions.decide(
        "parts", lambda: 1 if demand is None else parts_here(demand, batch_size, context.device, least_rows(model))
    )
    numerics = _measure_training(context, model, -(-batch_size // accumulated), phases)
    numerics.lay_out_model(model)
    lesson = Lesson(
        source=context.source,
        rows=context.train_rows,
        targets=context.targets.to(device_of(context.device).feeds_from),
        phases=phases,
        batch_size=batch_size,
        numerics=numerics,
        generator=context.generator,
        looks=context.affordable_looks(),
        cuts=[each.progress for each in context.job.fidelity.cuts] if context.looks > 1 else (),
        before_step=Unfreezing(model, options.unfreeze_share) if options.unfreeze_share else _keep_all,
        accumulated=accumulated,
        clock=context.clock,
    )
    keeper = Keeper(context) if context.job.resumable and context.ring is None else None
    lesson.keeper = keeper
    pace = _plan(context, lesson, demand)
    if context.ring is not None:
        share_with(context.ring, model, lesson, options, since)
    else:
        lesson.forward = forward_for(context, parts, lesson, pace.max_steps, is_gradual=options.unfreeze_share > 0)
    result = _follow(context, parts, lesson, pace, keeper)
    if lesson.accumulated > 1:
        context.notes.append(
            f"Batches of {batch_size} went in {lesson.accumulated} parts: more did not fit into memory."
        )
    return result


def _demand(context: Context, model: Net, view: View) -> Demand | None:
    """Measure what training takes with the longest of the rows; None where the answer to that is given."""
    if context.decisions.are_given:
        return None
    rows, lengths = context.train_rows, context.source.lengths()
    longest = rows[:1] if lengths is None else rows[int(np.argmax(lengths[rows.numpy()]))].view(1)
    device = context.device
    # A GPU says no when it is full, and then there are more parts; a CPU's system kills: its measure is the dearest.
    is_plain = context.deadline is None or device.type == "cpu"
    numerics = default(device) if is_plain else choices(device)[0]

    def inputs_of(count: int) -> Inputs:
        return context.source.ready(context.source.gather(longest.expand(count), view), view)

    return measure(model, inputs_of, numerics, device)


def _follow(context: Context, parts: Assembled, lesson: Lesson, pace: Pace, keeper: Keeper | None) -> Result:
    views = build_augmenters(context.job.candidate, context.job.profile, context.view, context.lookup)

    def reserve() -> float:
        looks = (1.0 - pace.progress) * lesson.looks
        return looks * (context.look_seconds or 0.0) + context.finish_seconds(views, lesson.numerics)

    epoch, scores = (0.0, list[float]()) if keeper is None else (keeper.epoch, keeper.scores)
    for look in train(parts, lesson, pace, reserve=reserve, should_stop=context.should_stop):
        epoch = look.epoch
        score = context.look(
            parts.model,
            lesson.numerics,
            epoch=look.epoch,
            progress=pace.progress,
            train_loss=look.train_loss,
            lr=look.lr,
            state=_averaged(parts),
        )
        lesson.looks = context.affordable_looks()
        if score is not None:
            scores.append(context.job.profile.task.worth(score))
        if keeper is not None:
            keeper.note(epoch, scores)
        if scores and not pace.is_over and any(each.is_done(scores) for each in parts.regularizers):
            context.notes.append(f"Training ended after {epoch:.1f} epochs: its score had stopped rising.")
            if context.keeps_last:  # and this, it turns out, was the last
                context.look(parts.model, lesson.numerics, epoch=epoch, progress=1.0, state=_averaged(parts))
            break
    score = context.finish(parts.model, views)
    return Result(score=score, epochs=epoch, steps=pace.steps)


def _keep_all(progress: float) -> None:
    """Leave every layer as it is."""


def _averaged(parts: Assembled) -> Mapping[str, Tensor] | None:
    """Return the weights to judge in place of the model's own, of the first regularizer that has any."""
    states = (each.averaged(parts.model) for each in parts.regularizers)
    return next((state for state in states if state is not None), None)


def _phases(context: Context, options: TuneOptions) -> tuple[Phase, ...]:
    smaller = round(options.start_size * context.view.resolution / 16) * 16
    if options.start_size >= 1.0 or options.start_share <= 0.0 or smaller < 32:  # other data has no size: 0
        return (Phase(1.0, context.view),)
    return (Phase(options.start_share, context.view.at(smaller)), Phase(1.0, context.view))


def _measure_training(context: Context, model: Net, batch_size: int, phases: tuple[Phase, ...]) -> Numerics:
    if context.deadline is None:
        return default(context.device)
    return context.measured(lambda most: _calibrated(context, model, batch_size, phases[-1].view, most))


def _calibrated(context: Context, model: Net, batch_size: int, view: View, most_seconds: float) -> Numerics:
    rows = context.train_rows[torch.arange(batch_size) % len(context.train_rows)]
    values = context.job.candidate.values
    key = ("train", str({k: v for k, v in values.items() if k.startswith("architecture")}), view, batch_size)
    return calibrate(
        model,
        context.source.ready(context.source.gather(rows, view), view),
        device=context.device,
        train=True,
        known=context.calibrations,
        key=(*key, str(context.device), context.job.threads),
        clock=context.clock,
        most_seconds=most_seconds,
    )


def _plan(context: Context, lesson: Lesson, demand: Demand | None) -> Pace:
    """Plan the steps that the fidelity allows and tell the journal."""
    epochs = context.job.fidelity.epochs
    steps_an_epoch = max(len(lesson.rows) / lesson.batch_size, 1.0)
    # Without a bound on the work the clock alone ends the training; the pace then only needs a start.
    max_steps = 10**9 if epochs is None else max(round(epochs * steps_an_epoch), 1)
    pace = Pace(max_steps=max_steps, deadline=context.deadline, decisions=context.decisions)
    if context.tells:
        context.emit(
            TrialPlanned(
                trial=context.job.trial,
                device=str(context.device),
                precision=lesson.numerics.name,
                memory_format=lesson.numerics.memory_format,
                batch_size=lesson.batch_size,
                steps=None if epochs is None else max_steps,
                accumulated=lesson.accumulated,
                memory_bytes=0 if demand is None else demand.of(lesson.batch_size, lesson.accumulated),
            )
        )
    return pace
