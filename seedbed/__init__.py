"""Seedbed: a plugin-based deep AutoML engine.

The public names, sorted. Importing the package is cheap: each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOMES = {
    "ArchitectureSpec": "seedbed.core.specs",
    "AugmenterSpec": "seedbed.core.specs",
    "AutoML": "seedbed.api",
    "BackendSpec": "seedbed.core.specs",
    "Candidate": "seedbed.core.search.candidate",
    "CheckInput": "seedbed.core.protocols",
    "CheckSpec": "seedbed.core.specs",
    "Choice": "seedbed.core.space",
    "Dataset": "seedbed.core.data.dataset",
    "DeployerSpec": "seedbed.core.specs",
    "Deployment": "seedbed.core.deployment",
    "ExitCode": "seedbed.core.errors",
    "ExporterSpec": "seedbed.core.specs",
    "Fidelity": "seedbed.core.search.candidate",
    "Finding": "seedbed.core.data.profile",
    "Float": "seedbed.core.space",
    "Inspection": "seedbed.inspection",
    "Int": "seedbed.core.space",
    "MetricSpec": "seedbed.core.specs",
    "Model": "seedbed.core.results.predict",
    "MonitorSpec": "seedbed.core.specs",
    "NoOptions": "seedbed.core.specs",
    "OptimizerSpec": "seedbed.core.specs",
    "Profile": "seedbed.core.data.profile",
    "Proposal": "seedbed.core.search.candidate",
    "ReadContext": "seedbed.core.data.dataset",
    "ReaderSpec": "seedbed.core.specs",
    "Regularizer": "seedbed.core.protocols",
    "RegularizerSpec": "seedbed.core.specs",
    "Repair": "seedbed.core.data.repair",
    "Requires": "seedbed.core.specs",
    "RuleSpec": "seedbed.core.specs",
    "Run": "seedbed.runs",
    "ScheduleSpec": "seedbed.core.specs",
    "Schema": "seedbed.core.data.schema",
    "SeedbedError": "seedbed.core.errors",
    "StrategySpec": "seedbed.core.specs",
    "Table": "seedbed.core.data.dataset",
    "WeightsSpec": "seedbed.core.specs",
    "fit": "seedbed.api",
    "hookimpl": "seedbed.registry.hookspecs",
    "inspect": "seedbed.api",
    "load": "seedbed.api",
    "start": "seedbed.api",
}

if TYPE_CHECKING:
    from seedbed.api import AutoML, fit, inspect, load, start
    from seedbed.core.data.dataset import Dataset, ReadContext, Table
    from seedbed.core.data.profile import Finding, Profile
    from seedbed.core.data.repair import Repair
    from seedbed.core.data.schema import Schema
    from seedbed.core.deployment import Deployment
    from seedbed.core.errors import ExitCode, SeedbedError
    from seedbed.core.protocols import CheckInput, Regularizer
    from seedbed.core.results.predict import Model
    from seedbed.core.search.candidate import Candidate, Fidelity, Proposal
    from seedbed.core.space import Choice, Float, Int
    from seedbed.core.specs import (
        ArchitectureSpec,
        AugmenterSpec,
        BackendSpec,
        CheckSpec,
        DeployerSpec,
        ExporterSpec,
        MetricSpec,
        MonitorSpec,
        NoOptions,
        OptimizerSpec,
        ReaderSpec,
        RegularizerSpec,
        Requires,
        RuleSpec,
        ScheduleSpec,
        StrategySpec,
        WeightsSpec,
    )
    from seedbed.inspection import Inspection
    from seedbed.registry.hookspecs import hookimpl
    from seedbed.runs import Run

__all__ = [
    "ArchitectureSpec",
    "AugmenterSpec",
    "AutoML",
    "BackendSpec",
    "Candidate",
    "CheckInput",
    "CheckSpec",
    "Choice",
    "Dataset",
    "DeployerSpec",
    "Deployment",
    "ExitCode",
    "ExporterSpec",
    "Fidelity",
    "Finding",
    "Float",
    "Inspection",
    "Int",
    "MetricSpec",
    "Model",
    "MonitorSpec",
    "NoOptions",
    "OptimizerSpec",
    "Profile",
    "Proposal",
    "ReadContext",
    "ReaderSpec",
    "Regularizer",
    "RegularizerSpec",
    "Repair",
    "Requires",
    "RuleSpec",
    "Run",
    "ScheduleSpec",
    "Schema",
    "SeedbedError",
    "StrategySpec",
    "Table",
    "WeightsSpec",
    "fit",
    "hookimpl",
    "inspect",
    "load",
    "start",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'seedbed' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
