"""A small residual net for small images.

The form is that of the nets that train CIFAR-10 in seconds (Page 2018, "How to train your ResNet";
Jordan 2024, "94% on CIFAR-10 in 3.29 seconds"): plain 3×3 convolutions, few and wide enough, halving
the image between stages, and global max pooling before the head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from seedbed.core.data.profile import Profile

if TYPE_CHECKING:
    from seedbed.plugins.architectures.images import SmallResNetOptions

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


class Residual(nn.Module):
    """x + f(x) of two convolutions, (N, C, H, W) → the same."""

    def __init__(self, channels: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(channels, channels, activation), *convolution(channels, channels, activation)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the sum of the inputs and what was learnt about them."""
        learnt: Tensor = self.body(inputs)
        return inputs + learnt


class SmallResNet(nn.Module):
    """Stem, stages that double the channels and halve the image, global pooling → (N, F)."""

    def __init__(self, options: SmallResNetOptions, profile: Profile) -> None:
        super().__init__()
        activation = _ACTIVATIONS[options.activation]
        width = options.width
        stem = convolution(profile.channels, width, activation)
        layers: list[nn.Module] = [nn.Sequential(*stem)]
        size = profile.size
        for stage in range(options.stages):
            parts = [*convolution(width, 2 * width, activation)]
            width *= 2
            if size >= 4:
                parts.append(nn.MaxPool2d(2))
                size //= 2
            if stage != 1:  # residual blocks at the first and the later stages: the middle one pays least
                parts.append(Residual(width, activation))
            layers.append(nn.Sequential(*parts))
        self.body = nn.Sequential(*layers)
        self.pool = nn.AdaptiveMaxPool2d(1) if options.pooling == "max" else nn.AdaptiveAvgPool2d(1)
        self.num_features = width

    def forward(self, inputs: Tensor) -> Tensor:
        """Return features (N, F)."""
        pooled: Tensor = self.pool(self.body(inputs))
        return pooled.flatten(1)


def convolution(channels: int, width: int, activation: type[nn.Module]) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Return a 3×3 convolution, batch normalisation and the activation."""
    return (
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        activation(),
    )


def small_resnet(options: SmallResNetOptions, profile: Profile) -> nn.Module:
    """Build the net."""
    return SmallResNet(options, profile)
