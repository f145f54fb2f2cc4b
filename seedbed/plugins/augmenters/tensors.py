"""What batched augmenters share: draws for each image, and reading images through an affine map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def uniform(low: float, high: float, inputs: Tensor, generator: Generator) -> Tensor:
    """Draw a number for each of the inputs, (N,)."""
    return torch.rand(len(inputs), generator=generator, device=inputs.device) * (high - low) + low


def spread(values: Tensor) -> Tensor:
    """Shape a number for each image, (N,), so that it meets all its pixels: (N, 1, 1, 1)."""
    return values[:, None, None, None]


def resample(inputs: Tensor, *, x: tuple[Tensor, Tensor, Tensor], y: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Read images (N, C, H, W) through an affine map of each; what comes in at the border is a reflection.

    `x` and `y` say where a pixel is read: factor of its own x, of its y, and what is added, (N,) each. Both
    run from -1 to 1 over an image, whatever its proportions.
    """
    matrices = torch.stack([torch.stack(x, 1), torch.stack(y, 1)], 1)
    grid = F.affine_grid(matrices, list(inputs.shape), align_corners=False)
    return F.grid_sample(inputs, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
