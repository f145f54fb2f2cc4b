"""Built-in export formats."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed import ExporterSpec, hookimpl


@hookimpl
def register_exporters() -> Iterator[ExporterSpec]:
    """Offer the formats."""
    yield ExporterSpec(
        name="torch",
        summary="A torch.export program (.pt2): inputs in [0, 1] of the bundle's form → probabilities.",
        build="seedbed.plugins.exporters.torch_program:exporter",
        suffix=".pt2",
    )
