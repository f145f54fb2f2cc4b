"""What the convolutional nets for series share: layers that do not see how far a row is padded."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MaskedNorm(nn.BatchNorm1d):
    """Batch normalisation of (N, C, T) over the steps that are there; all others are 0 afterwards."""

    def forward(self, inputs: Tensor, keep: Tensor | None = None) -> Tensor:
        """Return normalised inputs; `keep` (N, 1, T) is 1 where a row has a step and else 0, None: 1 everywhere."""
        if self.training and keep is not None:
            found = self._over_what_is_there(inputs, keep)
        elif self.training and inputs.shape[0] * inputs.shape[2] == 1:
            found = nn.functional.batch_norm(  # one step has no variance
                inputs, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        else:
            found = super().forward(inputs)
        return found if keep is None else found * keep.to(found.dtype)

    def _over_what_is_there(self, inputs: Tensor, keep: Tensor) -> Tensor:
        """Normalise by the mean and variance (C,) of those steps, and remember these."""
        exact, keep = inputs.float(), keep.float()
        count = keep.sum()
        mean = (exact * keep).sum((0, 2)) / count
        variance = ((exact - mean[:, None]) * keep).square().sum((0, 2)) / count
        if self.running_mean is not None and self.running_var is not None and self.momentum is not None:
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance * count / (count - 1).clamp_min(1.0), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (exact * scale[:, None] + (self.bias - mean * scale)[:, None]).to(inputs.dtype)


class Convolution(nn.Module):
    """A convolution that keeps the length, masked normalisation, and ReLU unless told otherwise.

    Padded steps are 0 before and after it, just as the zeros that stand beyond the ends of the longest row.
    """

    def __init__(self, channels: int, width: int, kernel: int, *, dilation: int = 1, is_active: bool = True) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(channels, width, kernel, padding="same", dilation=dilation, bias=False)
        self.norm = MaskedNorm(width)
        self.is_active = is_active

    def forward(self, inputs: Tensor, keep: Tensor | None) -> Tensor:
        """Return (N, width, T)."""
        found: Tensor = self.norm(self.convolution(inputs), keep)
        return found.relu() if self.is_active else found


def keep_of(values: Tensor, mask: Tensor, *, training: bool) -> Tensor | None:
    """Return the mask as a factor (N, 1, T), or None in a training step in which no row is padded.

    None lets the normalisation take its fused form, which is several times as fast. In evaluation there is one
    form alone, and no branch on data: such a net can be exported.
    """
    if training and bool(mask.all()):  # the one place where a step waits for its device
        return None
    return mask[:, None].to(values.dtype)


def pooled(found: Tensor, mask: Tensor, how: str) -> Tensor:
    """Bring (N, C, T), 0 where nothing is, to features: `mean` or `max` of the steps there, or `both` (N, 2C)."""
    mean = found.sum(2) / mask.sum(1, keepdim=True)
    if how == "mean":
        return mean
    most = found.masked_fill(~mask[:, None], -torch.inf).amax(2)
    return most if how == "max" else torch.cat([mean, most], 1)
