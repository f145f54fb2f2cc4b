"""The fully connected net of the dropout paper."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from seedbed.core.data.profile import Profile

if TYPE_CHECKING:
    from seedbed.plugins.architectures.images import MLPOptions


class MLP(nn.Module):
    """Pixels (N, C, H, W), flattened → rectified hidden layers → (N, F).

    With 1024-1024-2048 units it is the net in which Srivastava et al. (2014, Section 6.5) compare dropout with
    other regularizers. A unit of the input that is dropped is 0: the mean of the data, where the paper's was black.
    """

    def __init__(self, options: MLPOptions, profile: Profile) -> None:
        super().__init__()
        size = profile.channels * profile.height * profile.width
        parts: list[nn.Module] = [nn.Flatten(), *_dropout(options.input_dropout)]
        dropped = options.input_dropout
        for width in map(int, options.layers.split("-")):
            parts += [_linear(size, width, dropped), nn.ReLU(), *_dropout(options.hidden_dropout)]
            size, dropped = width, options.hidden_dropout
        self.body = nn.Sequential(*parts)
        self.num_features = size

    def forward(self, inputs: Tensor) -> Tensor:
        """Return features (N, F)."""
        features: Tensor = self.body(inputs)
        return features


def _linear(size: int, width: int, dropped: float) -> nn.Linear:
    """Return a layer whose outputs keep the scale of its inputs behind a rectifier (He et al. 2015).

    The units that dropout leaves are made larger by what it drops, and their squares by more: without a factor
    for that (Hendrycks & Gimpel 2016) three layers of it made training diverge at rates that suit the net without.
    """
    layer = nn.Linear(size, width)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    with torch.no_grad():
        layer.weight.mul_(math.sqrt(1 - dropped))
    nn.init.zeros_(layer.bias)
    return layer


def _dropout(rate: float) -> list[nn.Module]:
    return [nn.Dropout(rate)] if rate > 0 else []


def mlp(options: MLPOptions, profile: Profile) -> nn.Module:
    """Build the net."""
    return MLP(options, profile)
