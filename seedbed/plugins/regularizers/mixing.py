"""Regularizers that mix the examples of a batch, inputs and targets alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from seedbed.core.data.profile import Profile
from seedbed.core.protocols import Regularizer

if TYPE_CHECKING:
    from seedbed.plugins.regularizers import CutmixOptions, MixupOptions


class Mixup(Regularizer):
    """Replaces each example by the weighted mean of itself and another of its batch (Zhang et al. 2018).

    An example keeps the greater share of itself. The paper draws either way, but a pair is met in both
    orders equally often, so this changes nothing but that a series keeps to its own length: where a row has
    ended (all channels 0 to the end), nothing of the other comes in.
    """

    def __init__(self, alpha: float, outputs: int) -> None:
        self.alpha, self.outputs = alpha, outputs

    def on_batch(self, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return mixed inputs (N, ...) and targets, probabilities (N, K)."""
        rows = len(inputs)
        share = draw_beta(self.alpha, rows, generator)
        share = torch.maximum(share, 1 - share)
        partners = torch.randperm(rows, generator=generator, device=generator.device)
        weight = share.view(-1, *(1 for _ in inputs.shape[1:]))
        mixed = torch.lerp(inputs[partners], inputs, weight.to(inputs.dtype))
        if inputs.ndim == 3:
            mixed = mixed * _goes_on(inputs)
        return mixed, mix_targets(targets, partners, share, self.outputs)


class Cutmix(Regularizer):
    """Pastes a patch of another image of the batch into each, at the same place (Yun et al. 2019).

    The target is mixed by the pixels that are seen of each image.
    """

    def __init__(self, probability: float, alpha: float, outputs: int) -> None:
        self.probability, self.alpha, self.outputs = probability, alpha, outputs

    def on_batch(self, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return inputs (N, C, H, W) with patches, and targets, probabilities (N, K)."""
        rows, _, height, width = inputs.shape
        side = (1 - draw_beta(self.alpha, rows, generator)).sqrt()
        drawn = torch.rand(3, rows, generator=generator, device=generator.device)
        side = torch.where(drawn[0] < self.probability, side, 0.0)
        inside_rows = _covered(drawn[1], side, height)
        inside_columns = _covered(drawn[2], side, width)
        patch = inside_rows[:, :, None] & inside_columns[:, None, :]
        partners = torch.randperm(rows, generator=generator, device=generator.device)
        mixed = torch.where(patch[:, None], inputs[partners], inputs)
        share = 1 - patch.float().mean((1, 2))
        return mixed, mix_targets(targets, partners, share, self.outputs)


def draw_beta(alpha: float, n: int, generator: torch.Generator) -> Tensor:
    """Draw from Beta(alpha, alpha), float32 (n,), on the generator's device."""
    # What torch.distributions.Beta does; it takes no generator, and plain gamma draws underflow at small alpha.
    pairs = torch.full((n, 2), alpha, device=generator.device)
    return torch._sample_dirichlet(pairs, generator=generator)[:, 0]


def mix_targets(targets: Tensor, partners: Tensor, share: Tensor, outputs: int) -> Tensor:
    """Return the mean of one's own targets, weighing `share` (N,), and those of the partners: float32 (N, K).

    `targets` are class indices (N,), or what was mixed before, or the labels of a multi-label task (N, K).
    """
    if not targets.is_floating_point():
        # Not one_hot: it looks at the values, for which the GPU would have to be waited for.
        targets = (targets[:, None] == torch.arange(outputs, device=targets.device)).float()
    return torch.lerp(targets[partners], targets, share[:, None].to(targets.dtype))


def _covered(centre: Tensor, side: Tensor, length: int) -> Tensor:
    """Return which of `length` pixels are within half a `side` of the centre, both shares of it: bool (N, length)."""
    places = (torch.arange(length, device=centre.device) + 0.5) / length
    return (places - centre[:, None]).abs() < side[:, None] / 2


def _goes_on(series: Tensor) -> Tensor:
    """Return 1 up to the last step of each series (N, C, T) that is not 0 in every channel, then 0: (N, 1, T)."""
    present = (series != 0).any(1, keepdim=True)
    return present.flip(-1).cummax(-1).values.flip(-1).to(series.dtype)


def mixup(options: MixupOptions, profile: Profile) -> Regularizer:
    """Build mixup."""
    return Mixup(options.alpha, profile.task.outputs)


def cutmix(options: CutmixOptions, profile: Profile) -> Regularizer:
    """Build cutmix."""
    return Cutmix(options.probability, options.alpha, profile.task.outputs)
