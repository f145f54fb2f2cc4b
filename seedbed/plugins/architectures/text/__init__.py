"""Built-in architectures for text: the declarations; the nets live in siblings."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed import ArchitectureSpec, hookimpl


@hookimpl
def register_architectures() -> Iterator[ArchitectureSpec]:
    """Offer the architectures."""
    yield from ()
