"""Run every check that fits the data; a check that breaks becomes a finding."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator

from seedbed.core.data.dataset import Dataset
from seedbed.core.data.prepare import Prepared
from seedbed.core.data.profile import Finding
from seedbed.core.protocols import Check, Lookup
from seedbed.core.specs import Spec

log = logging.getLogger(__name__)

_ORDER = ("error", "warning", "info")


def run_checks(dataset: Dataset, prepared: Prepared, lookup: Lookup) -> list[Finding]:
    """Return what the checks and the preparation found, the gravest first.

    What the reader found is in `dataset.findings`, what the split found in `splits.findings`.
    """
    findings = [Finding(check="prepare", severity="info", evidence=note) for note in prepared.notes]
    for spec in lookup.all("check"):
        modalities = spec.requires.modalities
        if not modalities or dataset.modality in modalities:
            findings += _run(spec, dataset, prepared, lookup)
    return sorted(findings, key=lambda finding: _ORDER.index(finding.severity))


def _run(spec: Spec, dataset: Dataset, prepared: Prepared, lookup: Lookup) -> Iterator[Finding]:
    try:
        check: Check = lookup.load(spec)(spec.options())
        yield from check(dataset, prepared)
    except Exception as error:  # the border to a plugin
        log.warning("check %s failed:\n%s", spec.name, traceback.format_exc())
        owner = lookup.owner("check", spec.name)
        yield Finding(
            check=spec.name,
            severity="warning",
            evidence=f"This check of {owner.name} {owner.version} failed: {type(error).__name__}: {error}.",
            remedy=f"Leave it out with --without check:{spec.name}, or report it to its author.",
        )
