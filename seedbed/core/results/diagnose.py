"""Asks every rule about a trial's curve, and says what is wrong with what was kept."""

from __future__ import annotations

import logging
import math

from seedbed.core.data.profile import Finding
from seedbed.core.protocols import Lookup
from seedbed.core.search.history import Trial

log = logging.getLogger(__name__)


def diagnose(trial: Trial, lookup: Lookup) -> list[Finding]:
    """Return what the rules find in a trial, in the order of their names; a rule that fails is logged."""
    findings = []
    for spec in lookup.all("rule"):
        try:
            finding = lookup.load(spec)(spec.options())(trial)
        except Exception:  # a plugin's border: a broken rule costs its own advice, nothing else
            log.exception("The rule %s failed on trial %s.", spec.name, trial.number)
            continue
        if isinstance(finding, Finding):
            findings.append(finding)
        elif finding is not None:
            log.error("The rule %s gave a %s; a Finding or None is expected.", spec.name, type(finding).__name__)
    return findings


def too_slow(latency: float, most: float) -> Finding:
    """Say that what is kept takes `latency` seconds for a row, infinity where nobody knows, and not `most` or less."""
    asked = f"{1e3 * most:.3g} ms"
    kept = f"the fastest is kept, which takes {1e3 * latency:.3g} ms"
    if math.isinf(latency):
        kept = "what is kept was not measured, as its training was cut short"
    return Finding(
        check="latency",
        severity="warning",
        evidence=f"No model is known to predict a row in {asked}; {kept}.",
        remedy="Try smaller architectures or resolutions (--use, --set), or allow more with --max-latency.",
    )
