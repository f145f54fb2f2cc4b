"""What is wrong: with a trial, as the rules see it, and with what was kept in the end."""

from __future__ import annotations

import logging
import math

from seedbed.core.data.profile import Finding
from seedbed.core.protocols import Lookup
from seedbed.core.results.leaderboard import Leaderboard
from seedbed.core.search.events import BundleEvaluated
from seedbed.core.search.history import Trial
from seedbed.core.task import written

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


def judge_test(board: Leaderboard, kept: float, test: BundleEvaluated) -> Finding | None:
    """Say so where the test part is harder than the validation part, by more than both parts' noise together.

    What is kept scored `kept` on the validation rows. Their noise is the reach of the best row's 95 % interval towards
    the worse, and that of the test part the same for as many rows. By bad luck alone a test comes so low once in forty.
    """
    best, now = board.best, test.metrics.get(board.metric)
    if test.part != "test" or best is None or now is None or None in (best.score, best.low, best.high):
        return None
    sign = 1.0 if board.direction == "max" else -1.0
    bounds = (best.score or 0.0) - (best.low or 0.0), (best.high or 0.0) - (best.score or 0.0)
    reach = bounds[0] if sign > 0 else bounds[1]
    noise = reach * math.sqrt(1.0 + board.examples / max(test.examples, 1))
    if reach <= 0 or sign * (kept - now) <= noise:
        return None
    return Finding(
        check="harder_test",
        severity="warning",
        evidence=(
            f"{board.metric} is {written(now)} on {test.examples:,} test rows and was {written(kept)} on "
            f"{board.examples:,} validation rows: chance alone parts them so far once in forty runs."
        ),
        remedy=(
            "The test rows seem to be of another sort, or validation rows to have near copies in training: keep what "
            "belongs together on one side (--group), or validate on rows like those to come (a valid/ part). "
            "Intervals, and what `predict --abstain` promises, hold for rows like the validation rows."
        ),
    )
