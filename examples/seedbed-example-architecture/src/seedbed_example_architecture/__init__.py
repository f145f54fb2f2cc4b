"""The declaration: what the search may know of the network before anything of it is imported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from seedbed import ArchitectureSpec, Float, Int, Requires, hookimpl


@dataclass(frozen=True, slots=True)
class ConvNetOptions:
    """What the search may vary; the defaults make the first trial.

    `width` is the number of channels of the first stage, doubled in each of the next two; `dropout` the
    share of the channels that is dropped between stages.
    """

    width: Annotated[int, Int(8, 48, step=8)] = 24
    dropout: Annotated[float, Float(0.0, 0.4)] = 0.1


@hookimpl
def register_architectures() -> Iterator[ArchitectureSpec]:
    """Offer the network."""
    yield ArchitectureSpec(
        name="example_convnet",
        summary="A plain network of three convolutions, an example of a plugin.",
        build="seedbed_example_architecture.network:convnet",
        options=ConvNetOptions,
        requires=Requires(min_size=8),
        parameters=52_824,
    )
