"""The network itself; torch is imported here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from seedbed import Profile
    from seedbed_example_architecture import ConvNetOptions


class ConvNet(nn.Module):
    """Inputs (N, C, H, W) of 8 pixels or more → features (N, num_features)."""

    def __init__(self, channels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.num_features = 4 * width
        self.stages = nn.Sequential(
            stage(channels, width),
            nn.MaxPool2d(2),
            nn.Dropout2d(dropout),
            stage(width, 2 * width),
            nn.MaxPool2d(2),
            nn.Dropout2d(dropout),
            stage(2 * width, 4 * width),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the mean of each channel of the last stage."""
        features: Tensor = self.stages(inputs).mean(dim=(2, 3))
        return features


def stage(channels: int, width: int) -> nn.Module:
    """Return one convolution with its norm and activation."""
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
    )


def convnet(options: ConvNetOptions, profile: Profile) -> ConvNet:
    """Build the network for the data at hand."""
    return ConvNet(profile.channels, options.width, options.dropout)
