"""The fixed transform behind the linear baseline for series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from seedbed.core.data.profile import Profile

if TYPE_CHECKING:
    from seedbed.plugins.architectures.series import StepsOptions


class Steps(nn.Module):
    """Series (N, C, T) → their values at evenly spaced points from first step to last, flattened (N, C · points).

    Between two steps a point lies on the line that joins them. Rows of one length that is no greater than `most`
    are taken as they are.
    """

    def __init__(self, most: int, profile: Profile) -> None:
        super().__init__()
        longest = most if profile.lengths is None else profile.lengths.longest
        self.points = max(min(most, longest), 1)
        self.num_features = self.points * profile.channels

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Return features (N, F)."""
        last = mask.sum(1, keepdim=True) - 1
        # Whole numbers up to the division: a point that falls on a step must be that step.
        scaled = torch.arange(self.points, device=values.device) * last
        before = scaled // max(self.points - 1, 1)
        share = (scaled - before * (self.points - 1)) / max(self.points - 1, 1)
        after = torch.minimum(before + 1, last)
        found = torch.lerp(_taken(values, before), _taken(values, after), share.to(values.dtype)[:, None])
        return found.flatten(1)


def _taken(values: Tensor, places: Tensor) -> Tensor:
    """Return the values (N, C, P) of each row at its own places (N, P)."""
    return values.gather(2, places[:, None].expand(-1, values.shape[1], -1))


def steps(options: StepsOptions, profile: Profile) -> nn.Module:
    """Build the transform."""
    return Steps(options.points, profile)
