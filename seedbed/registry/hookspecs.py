"""The hooks a plugin may implement, in the order in which a run meets what they offer.

Each is called once, when its kind is first asked for, and yields frozen, torch-free specs; it does nothing
else. docs/hooks.md tells what each spec holds and what its `build` must give.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from seedbed.core.specs import (
        ArchitectureSpec,
        AugmenterSpec,
        BackendSpec,
        CheckSpec,
        DeployerSpec,
        ExporterSpec,
        MetricSpec,
        MonitorSpec,
        OptimizerSpec,
        ReaderSpec,
        RegularizerSpec,
        RuleSpec,
        ScheduleSpec,
        StrategySpec,
        WeightsSpec,
    )

NAMESPACE = "seedbed"
"""The name of the markers, of the plugin manager and of the entry-point group alike."""

hookspec = pluggy.HookspecMarker(NAMESPACE)
hookimpl = pluggy.HookimplMarker(NAMESPACE)


@hookspec
def register_readers() -> Iterable[ReaderSpec]:
    """Offer ways to read a path or an address into a dataset."""
    return ()


@hookspec
def register_checks() -> Iterable[CheckSpec]:
    """Offer looks at a dataset that find what is wrong with it."""
    return ()


@hookspec
def register_metrics() -> Iterable[MetricSpec]:
    """Offer scores of predictions against targets."""
    return ()


@hookspec
def register_architectures() -> Iterable[ArchitectureSpec]:
    """Offer backbones: inputs to features, from scratch or pretrained."""
    return ()


@hookspec
def register_weights() -> Iterable[WeightsSpec]:
    """Offer pretrained weights for an architecture."""
    return ()


@hookspec
def register_augmenters() -> Iterable[AugmenterSpec]:
    """Offer random transforms of training inputs."""
    return ()


@hookspec
def register_optimizers() -> Iterable[OptimizerSpec]:
    """Offer torch optimizers, built from parameter groups."""
    return ()


@hookspec
def register_schedules() -> Iterable[ScheduleSpec]:
    """Offer learning-rate factors as functions of progress."""
    return ()


@hookspec
def register_regularizers() -> Iterable[RegularizerSpec]:
    """Offer changes to model, loss or weights that fight overfitting."""
    return ()


@hookspec
def register_strategies() -> Iterable[StrategySpec]:
    """Offer ways to choose what to try next and what to stop."""
    return ()


@hookspec
def register_backends() -> Iterable[BackendSpec]:
    """Offer places where trials run."""
    return ()


@hookspec
def register_rules() -> Iterable[RuleSpec]:
    """Offer diagnoses of a trial's curve, each with its remedy."""
    return ()


@hookspec
def register_monitors() -> Iterable[MonitorSpec]:
    """Offer watchers of a run's events."""
    return ()


@hookspec
def register_exporters() -> Iterable[ExporterSpec]:
    """Offer file formats for the winner."""
    return ()


@hookspec
def register_deployers() -> Iterable[DeployerSpec]:
    """Offer places where the winner is served."""
    return ()


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add commands to the command line, as in `cli.add_command(my_command)`."""


HOOKS = {
    "reader": "register_readers",
    "check": "register_checks",
    "metric": "register_metrics",
    "architecture": "register_architectures",
    "weights": "register_weights",
    "augmenter": "register_augmenters",
    "optimizer": "register_optimizers",
    "schedule": "register_schedules",
    "regularizer": "register_regularizers",
    "strategy": "register_strategies",
    "backend": "register_backends",
    "rule": "register_rules",
    "monitor": "register_monitors",
    "exporter": "register_exporters",
    "deployer": "register_deployers",
}
"""Kind → the hook that offers it; in the order of `seedbed.core.specs.KINDS`."""
