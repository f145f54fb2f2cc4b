"""Built-in architectures: the declarations; nets live in siblings, timm is imported when one is built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from seedbed import ArchitectureSpec, Choice, Float, Int, Requires, hookimpl


@dataclass(frozen=True, slots=True)
class PixelsOptions:
    """`size` is the side to which images are averaged before they are flattened."""

    size: int = 16


@dataclass(frozen=True, slots=True)
class SmallResNetOptions:
    """`width` is the number of channels of the stem; it doubles with each of the `stages`."""

    width: Annotated[int, Choice(8, 16, 24, 32)] = 16
    stages: Annotated[int, Int(2, 4)] = 3
    activation: Annotated[str, Choice("relu", "gelu", "silu")] = "relu"
    pooling: Annotated[str, Choice("max", "average")] = "max"


@dataclass(frozen=True, slots=True)
class TimmOptions:
    """`drop_path` is the rate of stochastic depth, where the family has it."""

    drop_path: Annotated[float, Float(0.0, 0.3)] = 0.0


@dataclass(frozen=True, slots=True)
class _Row:
    """A curated timm model: its backbone's parameters and its pretrained weights, the preferred first."""

    name: str
    parameters: int
    summary: str
    weights: tuple[str, ...]


# Parameters are those of the backbone (num_classes=0) with three channels; a test counts them again.
TIMM = (
    _Row("tf_efficientnet_lite0", 3_371_008, "EfficientNet-Lite0, depthwise, 3.4 M parameters (Tan & Le 2019).",
         ("efficientnet_lite0", "tf_efficientnet_lite0_in1k")),
    _Row("resnet18", 11_176_512, "ResNet-18, 11 M parameters (He et al. 2016).", ("resnet18_a1_in1k",)),
    _Row("resnet50", 23_508_032, "ResNet-50, 24 M parameters (He et al. 2016).", ("resnet50_a1_in1k",)),
    _Row("regnety_008", 5_494_168, "RegNetY-0.8GF, 5.5 M parameters (Radosavovic et al. 2020).",
         ("regnety_008_pycls_in1k",)),
    _Row("mobilenetv3_large_100", 4_202_032, "MobileNetV3-Large, 4.2 M parameters (Howard et al. 2019).",
         ("mobilenetv3_large_100_ra_in1k",)),
    _Row("convnext_atto", 3_374_520, "ConvNeXt-Atto, 3.4 M parameters (Liu et al. 2022).",
         ("convnext_atto_d2_in1k",)),
    _Row("convnext_tiny", 27_820_128, "ConvNeXt-Tiny, 28 M parameters (Liu et al. 2022).",
         ("convnext_tiny_in12k_ft_in1k",)),
)  # fmt: skip


@hookimpl
def register_architectures() -> Iterator[ArchitectureSpec]:
    """Offer the architectures."""
    yield ArchitectureSpec(
        name="pixels",
        summary="The pixels themselves, averaged to 16 by 16: with a linear head, the yardstick for every net.",
        build="seedbed.plugins.architectures.images.pixels:pixels",
        options=PixelsOptions,
        features_only=True,
        is_baseline=True,
    )
    yield ArchitectureSpec(
        name="small_resnet",
        summary="A small residual net for small images: fast to train from scratch (after Page 2018, 'DAWNBench').",
        build="seedbed.plugins.architectures.images.small_resnet:small_resnet",
        options=SmallResNetOptions,
        parameters=411_664,
        requires=Requires(min_size=8),
    )
    for row in TIMM:
        yield ArchitectureSpec(
            name=row.name,
            summary=row.summary,
            # `named.resnet18` is a builder: the one function behind all timm models, told its model's name.
            build=f"seedbed.plugins.architectures.images.timm_models:named.{row.name}",
            options=TimmOptions,
            weights=row.weights,
            parameters=row.parameters,
            requires=Requires(modules=("timm",)),
        )
