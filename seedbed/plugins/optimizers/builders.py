"""Torch optimizers from parameter groups and typed options; what a group says of itself wins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch

from seedbed.core.errors import UnknownName
from seedbed.core.protocols import ParamGroups
from seedbed.core.training.devices import device_of
from seedbed.plugins.optimizers.updates import Lion, RMSprop

if TYPE_CHECKING:
    from seedbed.plugins.optimizers import AdamWOptions, LionOptions, RmspropOptions, SgdOptions, TimmOptions


def fused(groups: ParamGroups) -> bool | None:
    """Whether every weight lies where torch has a kernel that does one pass over the weights instead of five.

    None, not False, where it has none: torch then takes its next best, a few kernels for all weights together.
    """
    weights = [each for group in groups for each in group["params"]]
    return all(each.is_floating_point() and device_of(each.device).has_fused_optimizers for each in weights) or None


def sgd(groups: ParamGroups, options: SgdOptions) -> torch.optim.Optimizer:
    """Build SGD."""
    return torch.optim.SGD(
        groups,
        lr=options.lr,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
        nesterov=options.nesterov and options.momentum > 0,
        fused=fused(groups),
    )


def adamw(groups: ParamGroups, options: AdamWOptions) -> torch.optim.Optimizer:
    """Build AdamW."""
    return torch.optim.AdamW(
        groups,
        lr=options.lr,
        betas=(options.beta1, options.beta2),
        weight_decay=options.weight_decay,
        fused=fused(groups),
    )


def rmsprop(groups: ParamGroups, options: RmspropOptions) -> torch.optim.Optimizer:
    """Build RMSprop with decoupled weight decay."""
    return RMSprop(
        groups,
        lr=options.lr,
        alpha=options.alpha,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
    )


def lion(groups: ParamGroups, options: LionOptions) -> torch.optim.Optimizer:
    """Build Lion."""
    return Lion(
        groups,
        lr=options.lr,
        betas=(options.beta1, options.beta2),
        weight_decay=options.weight_decay,
    )


def from_timm(groups: ParamGroups, options: TimmOptions) -> torch.optim.Optimizer:
    """Build an optimizer of timm.

    Raises:
        UnknownName: the timm that is installed has none of this name.
    """
    import timm
    import timm.optim

    factory: Any = timm.optim
    known = factory.list_optimizers()
    if options.name not in known:
        hint = f"This is timm {timm.__version__}; another version may have it."
        raise UnknownName("timm optimizer", options.name, known, hint=hint)
    made = factory.create_optimizer_v2(groups, opt=options.name, lr=options.lr, weight_decay=options.weight_decay)
    return cast(torch.optim.Optimizer, made)
