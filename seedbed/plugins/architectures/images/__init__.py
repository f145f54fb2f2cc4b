"""Built-in architectures: the declarations; nets live in siblings, timm is imported when one is built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from seedbed import ArchitectureSpec, Choice, Float, Int, Requires, hookimpl
from seedbed.plugins.architectures.images.table import TIMM


@dataclass(frozen=True, slots=True)
class PixelsOptions:
    """`size` is the side to which images are averaged before they are flattened."""

    size: int = 16


@dataclass(frozen=True, slots=True)
class SmallResNetOptions:
    """`width` is the number of channels of the stem; it doubles with each of the `stages`.

    `depth` is the number of blocks in a stage; the second stage has one fewer. `stem_stride` 2 halves the image
    at once: a quarter of the work. `kernel` is the side of every convolution, `connectivity` how a block joins
    what it has learnt to what came in. `pooling` says how a stage halves the image (`stride`: by its
    convolution), `global_pooling` what is left of each channel in the end.
    """

    width: Annotated[int, Choice(8, 16, 24, 32)] = 16
    stages: Annotated[int, Int(2, 4)] = 3
    depth: Annotated[int, Int(1, 3)] = 1
    stem_stride: Annotated[int, Choice(1, 2)] = 1
    kernel: Annotated[int, Choice(3, 5)] = 3
    activation: Annotated[str, Choice("relu", "gelu", "silu")] = "relu"
    connectivity: Annotated[str, Choice("residual", "dense", "plain")] = "residual"
    pooling: Annotated[str, Choice("max", "average", "stride")] = "max"
    global_pooling: Annotated[str, Choice("max", "average")] = "max"


@dataclass(frozen=True, slots=True)
class MLPOptions:
    """`layers` are the units of the hidden layers; dropout of 0 is none.

    `hidden_dropout` follows every hidden layer, the last one too: the head needs no dropout of its own then.
    """

    layers: Annotated[
        str, Choice("256-256", "512-512", "1024-1024", "1024-1024-1024", "1024-1024-2048", "2048-2048-2048")
    ] = "1024-1024-2048"
    input_dropout: Annotated[float, Float(0.0, 0.3)] = 0.0
    hidden_dropout: Annotated[float, Float(0.0, 0.6)] = 0.0


@dataclass(frozen=True, slots=True)
class TimmOptions:
    """`drop_path` is the rate of stochastic depth, where the family has it."""

    drop_path: Annotated[float, Float(0.0, 0.3)] = 0.0


@dataclass(frozen=True, slots=True)
class AnyTimmOptions:
    """`model` is a name that `timm.list_models()` knows, with the tag of its weights or without.

    It is set, not searched: `architecture=timm:NAME` sets it too. `drop_path` is the rate of stochastic depth.
    """

    model: str = "resnet18"
    drop_path: Annotated[float, Float(0.0, 0.3)] = 0.0


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
        version=2,
    )
    yield ArchitectureSpec(
        name="mlp",
        summary="A fully connected ReLU net on the pixels, for comparisons (Srivastava et al. 2014, Sec. 6.5).",
        build="seedbed.plugins.architectures.images.mlp:mlp",
        options=MLPOptions,
        # Of 32×32 pixels in colour. With the 0 of those whose number depends on the data it would pass for the
        # smallest net of all.
        parameters=6_295_552,
        requires=Requires(max_size=64),
    )
    yield from _timm()


def _timm() -> Iterator[ArchitectureSpec]:
    needs = Requires(modules=("timm",))
    for row in TIMM:
        yield ArchitectureSpec(
            name=row.name,
            summary=row.summary,
            # `named.resnet18` is a builder: the one function behind all timm models, told its model's name.
            build=f"seedbed.plugins.architectures.images.timm_models:named.{row.name}",
            options=TimmOptions,
            training_only=("drop_path",),
            weights=row.weights,
            parameters=row.parameters,
            requires=needs,
        )
    yield ArchitectureSpec(
        name="timm",
        summary="Any model of timm by its name, as in --set architecture=timm:resnet18.",
        build="seedbed.plugins.architectures.images.timm_models:by_name",
        options=AnyTimmOptions,
        training_only=("drop_path",),
        weights=("timm_default",),
        parameters=11_176_512,
        requires=needs,
        on_request=True,
    )
