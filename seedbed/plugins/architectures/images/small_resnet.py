"""A small residual net for small images.

The form is that of the nets that train CIFAR-10 in seconds (Page 2018, "How to train your ResNet";
Jordan 2024, "94% on CIFAR-10 in 3.29 seconds"): plain 3×3 convolutions, few and wide enough, halving
the image between stages, and global max pooling before the head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from seedbed.core.data.profile import Profile

if TYPE_CHECKING:
    from seedbed.plugins.architectures.images import SmallResNetOptions

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}
_LEAST = 4  # pixels: what is smaller is not halved


class Residual(nn.Module):
    """x + f(x) of two convolutions, (N, C, H, W) → the same (He et al. 2016)."""

    def __init__(self, channels: int, options: SmallResNetOptions) -> None:
        super().__init__()
        self.body = nn.Sequential(*convolution(channels, channels, options), *convolution(channels, channels, options))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the sum of the inputs and what was learnt about them."""
        learnt: Tensor = self.body(inputs)
        return inputs + learnt


class Dense(nn.Module):
    """Two convolutions, each fed all that came before, and a third of 1×1 that sums up (Huang et al. 2017).

    (N, C, H, W) → the same; each convolution adds half as many channels as came in.
    """

    def __init__(self, channels: int, options: SmallResNetOptions) -> None:
        super().__init__()
        growth = channels // 2
        self.first = nn.Sequential(*convolution(channels, growth, options))
        self.second = nn.Sequential(*convolution(channels + growth, growth, options))
        self.transition = nn.Sequential(*convolution(2 * channels, channels, options, kernel=1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the summary of the inputs and what was learnt about them."""
        known = torch.cat([inputs, self.first(inputs)], 1)
        summary: Tensor = self.transition(torch.cat([known, self.second(known)], 1))
        return summary


class Plain(nn.Sequential):
    """f(x) of two convolutions, (N, C, H, W) → the same."""

    def __init__(self, channels: int, options: SmallResNetOptions) -> None:
        super().__init__(*convolution(channels, channels, options), *convolution(channels, channels, options))


_BLOCKS: dict[str, type[Residual | Dense | Plain]] = {"residual": Residual, "dense": Dense, "plain": Plain}


class SmallResNet(nn.Module):
    """Stem, stages that double the channels and halve the image, global pooling → (N, F)."""

    def __init__(self, options: SmallResNetOptions, profile: Profile) -> None:
        super().__init__()
        width, size = options.width, -(-profile.size // options.stem_stride)
        stem = convolution(profile.channels, width, options, stride=options.stem_stride)
        layers: list[nn.Module] = [nn.Sequential(*stem)]
        for number in range(options.stages):
            # The middle one of three stages pays least for another block, and has one fewer.
            blocks = options.depth - (number == 1)
            layers.append(_stage(width, blocks, options, halves=size >= _LEAST))
            width, size = 2 * width, size // 2 if size >= _LEAST else size
        self.body = nn.Sequential(*layers)
        self.pool = nn.AdaptiveMaxPool2d(1) if options.global_pooling == "max" else nn.AdaptiveAvgPool2d(1)
        self.num_features = width

    def forward(self, inputs: Tensor) -> Tensor:
        """Return features (N, F)."""
        pooled: Tensor = self.pool(self.body(inputs))
        return pooled.flatten(1)


def _stage(width: int, blocks: int, options: SmallResNetOptions, *, halves: bool) -> nn.Sequential:
    """Return a convolution to twice the channels, the halving of the image, and blocks."""
    strides = halves and options.pooling == "stride"
    parts: list[nn.Module] = [*convolution(width, 2 * width, options, stride=2 if strides else 1)]
    if halves and not strides:
        parts.append(nn.MaxPool2d(2) if options.pooling == "max" else nn.AvgPool2d(2))
    block = _BLOCKS[options.connectivity]
    return nn.Sequential(*parts, *(block(2 * width, options) for _ in range(blocks)))


def convolution(
    channels: int, width: int, options: SmallResNetOptions, *, stride: int = 1, kernel: int = 0
) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Return a convolution, by default with the kernel of the options, batch normalisation and the activation."""
    kernel = kernel or options.kernel
    return (
        nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(width),
        _ACTIVATIONS[options.activation](),
    )


def small_resnet(options: SmallResNetOptions, profile: Profile) -> nn.Module:
    """Build the net."""
    return SmallResNet(options, profile)
