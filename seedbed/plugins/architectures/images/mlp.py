"""The fully connected net of the dropout paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        for width in map(int, options.layers.split("-")):
            parts += [_linear(size, width), nn.ReLU(), *_dropout(options.hidden_dropout)]
            size = width
        self.body = nn.Sequential(*parts)
        self.num_features = size

    def forward(self, inputs: Tensor) -> Tensor:
        """Return features (N, F)."""
        features: Tensor = self.body(inputs)
        return features


def _linear(size: int, width: int) -> nn.Linear:
    """Return a layer whose outputs keep the scale of its inputs behind a rectifier (He et al. 2015)."""
    layer = nn.Linear(size, width)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


def _dropout(rate: float) -> list[nn.Module]:
    return [nn.Dropout(rate)] if rate > 0 else []


def mlp(options: MLPOptions, profile: Profile) -> nn.Module:
    """Build the net."""
    return MLP(options, profile)
