"""`inspect`: what a run would know of the data before it trains, as a value to look at, print and keep."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seedbed.core.data.checking.plain import LEAST_SIZE, plain_features
from seedbed.core.data.dataset import Dataset, Table
from seedbed.core.data.features import Features
from seedbed.core.data.prepared import PreparedImages
from seedbed.core.data.profile import Finding, Profile
from seedbed.core.intake import Examined, Intake
from seedbed.core.network import Network
from seedbed.core.protocols import CheckInput
from seedbed.core.session import Narrowed
from seedbed.core.settings import Settings
from seedbed.registry.registry import Registry


@dataclass(frozen=True, slots=True)
class Inspection:
    """The profile of the data and what its checks found."""

    examined: Examined
    seconds: float

    @property
    def profile(self) -> Profile:
        """What components would fit themselves to."""
        return self.examined.profile

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found, the gravest first."""
        return self.examined.findings

    def summary(self) -> dict[str, Any]:
        """Return what `seedbed inspect --json` prints."""
        import msgspec

        dataset = self.examined.dataset
        return {
            "source": dataset.source,
            "seconds": round(self.seconds, 3),
            "rows": len(dataset),
            "schema": msgspec.to_builtins(dataset.schema),
            "profile": msgspec.to_builtins(self.profile),
            "findings": [msgspec.to_builtins(finding) for finding in self.findings],
        }

    def to_html(self) -> str:
        """Return a page that shows the profile and the findings, with pictures of the offending rows."""
        from seedbed.page import page

        return page(self.examined)


def examine(
    settings: Settings,
    registry: Registry,
    data: Table | Dataset | None,
    cache: Path,
    report: Callable[[str, str], None],
) -> Inspection:
    """Read, prepare, check, split and describe the data; `settings.seconds` bounds the features alone.

    Raises:
        SeedbedError: the data cannot be used, and why.
    """
    began = time.monotonic()
    lookup = Narrowed(registry, frozenset(settings.without))
    network = Network(offline=True)  # looking at data fetches no weights

    def features(given: CheckInput) -> Features | None:
        report("checking", "features")
        if not isinstance(given.prepared, PreparedImages) or given.prepared.form.shorter < LEAST_SIZE:
            rows = np.flatnonzero(given.prepared.usable() & given.targets.known())
            return plain_features(given.dataset, given.prepared, rows, settings.seed)
        from seedbed.core.training.frozen import checking_features  # and with it torch

        return checking_features(
            given, lookup, can_load=network.can_load(lookup), seconds=settings.seconds, settings=settings
        )

    intake = Intake(settings=settings, lookup=lookup, cache=cache, data=data, report=report, features=features)
    return Inspection(intake.examine(), time.monotonic() - began)
