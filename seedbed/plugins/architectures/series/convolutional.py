"""Convolutional nets for series: temporal convolutions, a fully convolutional net, InceptionTime."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from seedbed.core.data.profile import Profile
from seedbed.plugins.architectures.series.masked import Convolution, MaskedNorm, keep_of, pooled

if TYPE_CHECKING:
    from seedbed.plugins.architectures.series import FCNOptions, InceptionTimeOptions, TCNOptions


class Stack(nn.Module):
    """Blocks one after another, each (N, C, T) → (N, C', T), then pooling over the steps that are there → (N, F)."""

    def __init__(self, blocks: Iterable[nn.Module], width: int, pooling: str) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.pooling = pooling
        self.num_features = 2 * width if pooling == "both" else width

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Return features (N, F)."""
        keep = keep_of(values, mask, training=self.training)
        for block in self.blocks:
            values = block(values, keep)
        return pooled(values, mask, self.pooling)


class Residual(nn.Module):
    """ReLU(x + f(x)), where f is layers one after another; x goes through a 1×1 convolution where widths differ."""

    def __init__(self, channels: int, width: int, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.shortcut = None if channels == width else Convolution(channels, width, 1, is_active=False)

    def forward(self, inputs: Tensor, keep: Tensor | None) -> Tensor:
        """Return (N, width, T)."""
        found = inputs
        for layer in self.layers:
            found = layer(found, keep)
        return (found + (inputs if self.shortcut is None else self.shortcut(inputs, keep))).relu()


class Dropped(nn.Module):
    """A layer, and dropout of whole channels after it."""

    def __init__(self, layer: nn.Module, rate: float) -> None:
        super().__init__()
        self.layer, self.dropout = layer, nn.Dropout1d(rate)

    def forward(self, inputs: Tensor, keep: Tensor | None) -> Tensor:
        """Return what the layer gives, some of its channels 0 in training."""
        found: Tensor = self.dropout(self.layer(inputs, keep))
        return found


class Inception(nn.Module):
    """Convolutions of several lengths on a bottleneck, and one on the largest of three neighbours, side by side."""

    def __init__(self, channels: int, filters: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        # One channel has nothing to be narrowed.
        self.bottleneck = nn.Conv1d(channels, filters, 1, bias=False) if channels > 1 else nn.Identity()
        width = filters if channels > 1 else 1
        self.branches = nn.ModuleList(nn.Conv1d(width, filters, each, padding="same", bias=False) for each in kernels)
        self.largest = nn.MaxPool1d(3, stride=1, padding=1)
        self.beside = nn.Conv1d(channels, filters, 1, bias=False)
        self.norm = MaskedNorm(filters * (len(kernels) + 1))

    def forward(self, inputs: Tensor, keep: Tensor | None) -> Tensor:
        """Return (N, filters · (branches + 1), T)."""
        narrow = self.bottleneck(inputs)
        largest = self.largest(inputs if keep is None else _lowered(inputs, keep))
        beside = self.beside(largest if keep is None else largest * keep.to(inputs.dtype))
        found: Tensor = self.norm(torch.cat([*(branch(narrow) for branch in self.branches), beside], 1), keep)
        return found.relu()


def _lowered(inputs: Tensor, keep: Tensor) -> Tensor:
    """Put padded steps below all others, so that none is the largest of its neighbours; finite, to become 0 again."""
    return inputs.masked_fill(keep == 0, torch.finfo(inputs.dtype).min)


def tcn(options: TCNOptions, profile: Profile) -> nn.Module:
    """Build residual blocks of dilated convolutions (Bai, Kolter & Koltun 2018), which look both ways."""
    width, kernel = options.width, options.kernel
    furthest = max((_longest(profile) - 1) // (kernel // 2), 1)  # taps further out would never meet a step
    blocks, channels = [], profile.channels
    for level in range(options.levels):
        dilation = min(2**level, furthest)
        layers = [
            Dropped(Convolution(before, width, kernel, dilation=dilation), options.dropout)
            for before in (channels, width)
        ]
        blocks.append(Residual(channels, width, layers))
        channels = width
    return Stack(blocks, width, options.pooling)


def fcn(options: FCNOptions, profile: Profile) -> nn.Module:
    """Build three convolutions of falling length (Wang, Yan & Oates 2017)."""
    width = options.width
    blocks = [
        Convolution(profile.channels, width, options.kernel),
        Convolution(width, 2 * width, 5),
        Convolution(2 * width, width, 3),
    ]
    return Stack(blocks, width, options.pooling)


def inception_time(options: InceptionTimeOptions, profile: Profile) -> nn.Module:
    """Build residual blocks of three inception modules each (Ismail Fawaz et al. 2020)."""
    kernel = min(options.kernel, max(2 * _longest(profile) - 1, 1))  # wider ones would only multiply zeros
    kernels = (kernel, kernel // 2 | 1, kernel // 4 | 1)
    width = options.filters * (len(kernels) + 1)
    blocks, channels = [], profile.channels
    for _ in range(options.blocks):
        layers = [Inception(before, options.filters, kernels) for before in (channels, width, width)]
        blocks.append(Residual(channels, width, layers))
        channels = width
    return Stack(blocks, width, options.pooling)


def _longest(profile: Profile) -> int:
    """Return the steps of the longest training row; where nobody has measured, no bound."""
    return 2**16 if profile.lengths is None else profile.lengths.longest
