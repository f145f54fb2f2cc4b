"""The fixed transform behind the linear baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from seedbed.core.data.profile import Profile

if TYPE_CHECKING:
    from seedbed.plugins.architectures.images import PixelsOptions


class Pixels(nn.Module):
    """Inputs (N, C, H, W) → their averages over a grid of at most `size` × `size` cells, flattened."""

    def __init__(self, size: int, profile: Profile) -> None:
        super().__init__()
        grid = (min(size, profile.height), min(size, profile.width))
        self.pool = nn.AdaptiveAvgPool2d(grid)
        self.num_features = grid[0] * grid[1] * profile.channels

    def forward(self, inputs: Tensor) -> Tensor:
        """Return features (N, C · cells)."""
        pooled: Tensor = self.pool(inputs)
        return pooled.flatten(1)


def pixels(options: PixelsOptions, profile: Profile) -> nn.Module:
    """Build the transform."""
    return Pixels(options.size, profile)
