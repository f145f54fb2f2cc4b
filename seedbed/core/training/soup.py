"""A soup: the mean of the weights of several fine-tuned nets, taken greedily (Wortsman et al. 2022, Recipe 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from seedbed.core.errors import Diverged, NothingGained, TrialError
from seedbed.core.training.assemble import build_augmenters, build_model
from seedbed.core.training.context import PLAIN, Context, Result
from seedbed.core.training.member import CHECKPOINT


def blend_weights(context: Context) -> Result:
    """Average the checkpoints of the job's ingredients, the best first; one that makes the mean worse is left out.

    The score is that of the mean on the validation rows, which none of them has learnt from. Running statistics of
    batch norm are averaged with the weights; of nets that were fine-tuned with them frozen they are the same.

    Raises:
        TrialError: the checkpoints are of different nets.
        NothingGained: no mean is as good as the best alone.
    """
    folders = [Path(each) for each in context.job.ingredients]
    model = build_model(context.job.candidate, context.job.profile, context.view, context.lookup).to(context.device)
    PLAIN.lay_out_model(model)
    taken = [load_file(folders[0] / CHECKPOINT)]
    model.load_state_dict(taken[0])
    worth = context.job.profile.task.worth
    best = worth(context.look(model, PLAIN, epoch=0.0, progress=1 / len(folders)))
    for place, folder in enumerate(folders[1:], start=2):
        state = load_file(folder / CHECKPOINT)
        mean = averaged([*taken, state])
        model.load_state_dict(mean)
        try:
            found = worth(context.look(model, PLAIN, epoch=0.0, progress=place / len(folders)))
        except Diverged:  # what is averaged may be no net any more
            continue
        if found >= best:
            best, taken = found, [*taken, state]
    if len(taken) == 1:
        raise NothingGained("No mean of these weights is as good as the best of them alone.")
    model.load_state_dict(averaged(taken))
    context.keep(model)
    views = build_augmenters(context.job.candidate, context.job.profile, context.view, context.lookup)
    final = context.finish(model, views)
    context.notes.append(f"The mean of the weights of {len(taken)} of {len(folders)} trials.")
    return Result(score=final, epochs=0.0, steps=0)


def averaged(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of states with the same names and shapes; whole numbers are those of the first.

    Raises:
        TrialError: they are of different nets.
    """
    first = states[0]
    if any(
        each.keys() != first.keys() or any(each[name].shape != first[name].shape for name in first) for each in states
    ):
        raise TrialError("These checkpoints are of different nets; their weights cannot be averaged.")
    return {
        name: torch.stack([each[name].double() for each in states]).mean(0).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in first.items()
    }
