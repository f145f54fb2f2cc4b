"""Built-in pretrained weights of text encoders: the declarations; the code that loads them lies in siblings."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed import WeightsSpec, hookimpl


@hookimpl
def register_weights() -> Iterator[WeightsSpec]:
    """Offer the weights."""
    yield from ()
