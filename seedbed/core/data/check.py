"""Run every check that fits the data, and carry out the repairs that the user allows."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from seedbed.core.data.columns import parts_of
from seedbed.core.data.dataset import Dataset
from seedbed.core.data.features import Features
from seedbed.core.data.prepared import Prepared
from seedbed.core.data.profile import Finding
from seedbed.core.data.repair import Checked, Policy, Repair, repaired
from seedbed.core.data.targets import targets_of
from seedbed.core.protocols import Check, CheckInput, Lookup
from seedbed.core.specs import CheckSpec

log = logging.getLogger(__name__)

_ORDER = ("error", "warning", "info")

FeatureSource = Callable[[CheckInput], Features | None]
"""Where checks get features from; None where they cannot be had in the time there is."""


def no_features(given: CheckInput) -> Features | None:
    """There are no features."""
    return None


def run_checks(
    dataset: Dataset,
    prepared: Prepared,
    lookup: Lookup,
    *,
    policy: Policy = "safe",
    groups: np.ndarray | None = None,
    features: FeatureSource = no_features,
) -> Checked:
    """Look at the data with every check, and apply the repairs that the policy allows.

    `groups` (N,) are rows that the user wants on one side of each split. The findings are those of the
    reader and of the preparation too, the gravest first.
    """
    given = input_of(dataset, prepared)
    found: list[Finding | Repair] = [*dataset.findings]
    found += [Finding(check="prepare", severity="info", evidence=note) for note in prepared.notes]
    specs = [each for each in cast(Sequence[CheckSpec], lookup.all("check")) if _fits(each, dataset)]
    usable = prepared.usable() & given.targets.known()
    for spec in specs:
        if not spec.features:
            found += _run(spec, given, lookup)
    finer = [each for each in specs if each.features]
    seen = features(given) if finer else None
    # They see the targets as repaired: two spellings of a class would confuse a probe.
    closer = replace(given, targets=repaired(found, given.targets, usable, policy).targets, features=seen)
    if seen is not None:
        for spec in finer:
            found += _run(spec, closer, lookup)
    elif finer:
        found.append(_not_run(finer))
    checked = repaired(found, given.targets, usable, policy, groups)
    return replace(checked, findings=by_severity(checked.findings))


def input_of(dataset: Dataset, prepared: Prepared) -> CheckInput:
    """Return what checks may look at, without features."""
    return CheckInput(dataset=dataset, prepared=prepared, targets=targets_of(dataset), parts=parts_of(dataset))


def by_severity(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings with the gravest first, otherwise in the order they came."""
    return tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.severity)))


def _fits(spec: CheckSpec, dataset: Dataset) -> bool:
    requires = spec.requires
    return (not requires.modalities or dataset.modality in requires.modalities) and (
        not requires.kinds or dataset.kind in requires.kinds
    )


def _not_run(left_out: Sequence[CheckSpec]) -> Finding:
    names = " and ".join(spec.name for spec in left_out)
    return Finding(
        check=left_out[0].name if len(left_out) == 1 else "intake",
        severity="info",
        evidence=f"Left out: {names}, as the features for it cannot be had here, or not in the time there is.",
        remedy="`seedbed inspect` takes the time.",
    )


def _run(spec: CheckSpec, given: CheckInput, lookup: Lookup) -> Iterator[Finding | Repair]:
    try:
        check: Check = lookup.load(spec)(spec.options())
        for found in check(given):
            _try(found, given)
            yield found
    except Exception as error:  # the border to a plugin
        log.warning("check %s failed:\n%s", spec.name, traceback.format_exc())
        owner = lookup.owner("check", spec.name)
        yield Finding(
            check=spec.name,
            severity="warning",
            evidence=f"This check of {owner.name} {owner.version} failed: {type(error).__name__}: {error}.",
            remedy=f"Leave it out with --without check:{spec.name}, or report it to its author.",
        )


def _try(found: Finding | Repair, given: CheckInput) -> None:
    """Use what a check found, so that what does not fit shows where its author is known."""
    if isinstance(found, Repair):
        repaired([found], given.targets, given.prepared.usable(), "all")
    severity = (found.finding if isinstance(found, Repair) else found).severity
    if severity not in _ORDER:
        raise ValueError(f"a finding is of severity {severity!r}; expected is one of {', '.join(_ORDER)}")
