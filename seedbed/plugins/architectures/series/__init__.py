"""Built-in architectures for series, the recurrent ones for texts too: the declarations; nets live in siblings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from seedbed import ArchitectureSpec, Choice, Float, Int, hookimpl

_FOLDER = "seedbed.plugins.architectures.series"


@dataclass(frozen=True, slots=True)
class StepsOptions:
    """`points` is the most that a series is brought to before it is flattened."""

    points: int = 128


@dataclass(frozen=True, slots=True)
class MiniRocketOptions:
    """`features` is about how many there are; with `differences` half of them see what changes step by step."""

    features: Annotated[int, Choice(4_998, 9_996, 19_992)] = 9_996
    differences: Annotated[bool, Choice(False, True)] = True


@dataclass(frozen=True, slots=True)
class RecurrentOptions:
    """`width` counts the units of a direction; `dropout` acts on tokens and between layers, `embedding` on texts."""

    layers: Annotated[int, Int(1, 3)] = 1
    width: Annotated[int, Choice(32, 64, 128, 256)] = 128
    bidirectional: Annotated[bool, Choice(False, True)] = True
    pooling: Annotated[str, Choice("attention", "last", "mean")] = "attention"
    dropout: Annotated[float, Float(0.0, 0.5)] = 0.2
    embedding: Annotated[int, Choice(64, 128, 256)] = 128


@dataclass(frozen=True, slots=True)
class TCNOptions:
    """`levels` is the number of blocks; each looks twice as far as the one before."""

    width: Annotated[int, Choice(32, 64, 128)] = 64
    levels: Annotated[int, Int(2, 8)] = 5
    kernel: Annotated[int, Choice(3, 5, 7)] = 5
    dropout: Annotated[float, Float(0.0, 0.5)] = 0.1
    pooling: Annotated[str, Choice("mean", "max", "both")] = "mean"


@dataclass(frozen=True, slots=True)
class FCNOptions:
    """`width` is the number of channels at the ends, `kernel` the length of the first convolution."""

    width: Annotated[int, Choice(32, 64, 128)] = 128
    kernel: Annotated[int, Choice(5, 7, 11, 15)] = 7
    pooling: Annotated[str, Choice("mean", "max", "both")] = "mean"


@dataclass(frozen=True, slots=True)
class InceptionTimeOptions:
    """`blocks` hold three modules each, a module `filters` of each length; `kernel` is the longest."""

    blocks: Annotated[int, Int(1, 3)] = 2
    filters: Annotated[int, Choice(16, 32, 48)] = 32
    kernel: Annotated[int, Choice(19, 39, 79)] = 39
    pooling: Annotated[str, Choice("mean", "max", "both")] = "mean"


@hookimpl
def register_architectures() -> Iterator[ArchitectureSpec]:
    """Offer the architectures; all but the fixed transforms train from scratch."""
    yield ArchitectureSpec(
        name="steps",
        summary="The values themselves at evenly spaced steps: with a linear head, the yardstick for every net.",
        build=f"{_FOLDER}.steps:steps",
        options=StepsOptions,
        modalities=("series",),
        features_only=True,
        is_baseline=True,
        head="ridge",
    )
    yield ArchitectureSpec(
        name="minirocket",
        summary="10,000 random-convolution features, ready in seconds (MiniRocket, Dempster et al. 2021).",
        build=f"{_FOLDER}.minirocket:minirocket",
        options=MiniRocketOptions,
        modalities=("series",),
        features_only=True,
        head="ridge",
    )
    yield ArchitectureSpec(
        name="lstm",
        summary="Long short-term memory with attention pooling (Hochreiter & Schmidhuber 1997).",
        build=f"{_FOLDER}.recurrent:lstm",
        options=RecurrentOptions,
        modalities=("series", "text"),
    )
    yield ArchitectureSpec(
        name="gru",
        summary="Gated recurrent units with attention pooling (Cho et al. 2014).",
        build=f"{_FOLDER}.recurrent:gru",
        options=RecurrentOptions,
        modalities=("series", "text"),
    )
    yield ArchitectureSpec(
        name="tcn",
        summary="Residual blocks of dilated temporal convolutions (Bai et al. 2018).",
        build=f"{_FOLDER}.convolutional:tcn",
        options=TCNOptions,
        modalities=("series",),
    )
    yield ArchitectureSpec(
        name="fcn",
        summary="Three convolutions and global pooling (Wang et al. 2017).",
        build=f"{_FOLDER}.convolutional:fcn",
        options=FCNOptions,
        modalities=("series",),
    )
    yield ArchitectureSpec(
        name="inception_time",
        summary="Residual blocks of convolutions of several lengths, side by side (Ismail Fawaz et al. 2020).",
        build=f"{_FOLDER}.convolutional:inception_time",
        options=InceptionTimeOptions,
        modalities=("series",),
    )
