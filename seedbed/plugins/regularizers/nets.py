"""Regularizers that change the net itself: parts of it left out at random while it is trained."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from seedbed.core.data.profile import Profile
from seedbed.core.protocols import Regularizer

if TYPE_CHECKING:
    from seedbed.plugins.regularizers import DropoutOptions, StochasticDepthOptions

log = logging.getLogger(__name__)

_PLACE = re.compile(r"drop_path\d*")


class Dropout(Regularizer):
    """Turns on the dropout that every assembled model has before its head."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def on_model(self, model: nn.Module) -> None:
        """Set the rate, in place."""
        cast(nn.Dropout, model.dropout).p = self.rate


class DropPath(nn.Module):
    """Sets the branch of a residual block to zero for some examples, in training; it has no state."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.drop_prob = rate

    def forward(self, inputs: Tensor) -> Tensor:
        """Return inputs (N, ...), those that stay scaled so that the mean is kept."""
        if not self.training or self.drop_prob == 0:
            return inputs
        keep = 1 - self.drop_prob
        shape = (len(inputs), *(1 for _ in inputs.shape[1:]))
        return inputs * torch.empty(shape, dtype=inputs.dtype, device=inputs.device).bernoulli_(keep).div_(keep)


class StochasticDepth(Regularizer):
    """Sets the rates of a backbone's residual blocks, rising in a line with depth (Huang et al. 2016, section 3).

    Places for it are found by their names, as timm's and our own nets have them: a sub-module `drop_path`,
    `drop_path1` …, there or left empty (None, Identity) because the net was built with a rate of 0; or a
    number `drop_path`, which is set. A net without such places stays as it is.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def on_model(self, model: nn.Module) -> None:
        """Set the rates, in place; parameters and state stay the same."""
        backbone = cast(nn.Module, model.backbone)
        blocks = [(block, names) for block in backbone.modules() if (names := list(_places(block)))]
        if not blocks:
            log.info("%s has no residual blocks to leave out; stochastic depth does nothing.", type(backbone).__name__)
        for depth, (block, names) in enumerate(blocks, start=1):
            rate = self.rate * depth / len(blocks)
            for name in names:
                is_number = isinstance(getattr(block, name), float)
                setattr(block, name, rate if is_number else DropPath(rate))


def _places(block: nn.Module) -> Iterator[str]:
    """Yield the names of the attributes of a module that hold, or could hold, a drop path."""
    own = {**vars(block), **block._modules}
    for name, value in own.items():
        if _PLACE.fullmatch(name):
            is_layer = (
                value is None or type(value) is nn.Identity or isinstance(getattr(value, "drop_prob", None), float)
            )
            if is_layer or isinstance(value, float):
                yield name


def dropout(options: DropoutOptions, profile: Profile) -> Regularizer:
    """Build dropout."""
    return Dropout(options.rate)


def stochastic_depth(options: StochasticDepthOptions, profile: Profile) -> Regularizer:
    """Build stochastic depth."""
    return StochasticDepth(options.rate)
