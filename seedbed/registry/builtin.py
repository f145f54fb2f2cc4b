"""What ships with the engine, by kind: declaration modules, imported when their kind is first asked for."""

from __future__ import annotations

BUILTIN: dict[str, tuple[str, ...]] = {
    "reader": ("seedbed.plugins.readers",),
    "check": ("seedbed.plugins.checks",),
    "metric": ("seedbed.plugins.metrics",),
    "architecture": (
        "seedbed.plugins.architectures.images",
        "seedbed.plugins.architectures.series",
        "seedbed.plugins.architectures.text",
    ),
    "weights": ("seedbed.plugins.weights.images", "seedbed.plugins.weights.text"),
    "augmenter": ("seedbed.plugins.augmenters",),
    "optimizer": ("seedbed.plugins.optimizers",),
    "schedule": ("seedbed.plugins.schedules",),
    "regularizer": ("seedbed.plugins.regularizers",),
    "strategy": ("seedbed.plugins.strategies",),
    "backend": ("seedbed.plugins.backends",),
    "rule": ("seedbed.plugins.rules",),
    "monitor": ("seedbed.plugins.monitors",),
    "exporter": ("seedbed.plugins.exporters",),
    "deployer": ("seedbed.plugins.deployers",),
}
