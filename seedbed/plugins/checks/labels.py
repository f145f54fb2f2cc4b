"""The check for labels that are likely wrong, by what a probe that was never shown a row says of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from seedbed import Finding, NoOptions, Repair
from seedbed.core.data.checking.confident import FEWEST_ROWS, LabelErrors, find_label_errors
from seedbed.core.data.checking.probe import out_of_fold
from seedbed.core.data.columns import row_names
from seedbed.core.data.profile import MOST_NAMED
from seedbed.core.data.splitting.folds import choose_folds, make_folds
from seedbed.core.protocols import Check, CheckInput

_MANY = 20_000  # rows; with more, a second division takes seconds and changes nothing
_SHOWN = 5


def label_errors(options: NoOptions) -> Check:
    """Build the check."""
    return _find_label_errors


def _find_label_errors(given: CheckInput) -> Iterator[Finding | Repair]:
    features = given.features
    if features is None or given.targets.kind != "classification":
        return
    known = (given.prepared.usable() & given.targets.known())[features.rows]
    rows, values = features.rows[known], features.values[known]
    names, codes = np.unique(given.targets.values[rows], return_inverse=True)
    if len(rows) < FEWEST_ROWS or len(names) < 2:
        return
    found = find_label_errors(_opinions(values, codes), codes)
    if not found.is_able:
        yield Finding(
            check="label_errors",
            severity="info",
            evidence=f"Whether labels are wrong cannot be told: a probe on {features.source} agrees with them in "
            f"{found.accuracy:.0%} of {len(rows):,} rows, too few to doubt the others.",
        )
    elif len(found.rows):
        yield _finding(given, found, rows, names, features.source)


def _opinions(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return held-out probabilities (n, K); of fewer rows they are the mean of two divisions into folds."""
    rng = np.random.default_rng(0)
    alone = np.full(len(codes), -1, dtype=np.int64)
    divisions = 2 if len(codes) < _MANY else 1
    folds = np.stack([make_folds(codes, alone, min(choose_folds(len(codes)), 5), rng) for _ in range(divisions)])
    return out_of_fold(values, codes, folds, 0)


def _finding(given: CheckInput, found: LabelErrors, looked_at: np.ndarray, names: np.ndarray, source: str) -> Repair:
    rows = looked_at[found.rows]
    called = [given.targets.classes[code] for code in given.targets.values[rows]]
    likelier = tuple(given.targets.classes[names[code]] for code in found.suggestions)
    shown = row_names(given.dataset, rows[:_SHOWN])
    listed = "; ".join(
        f"{name} is labelled {own!r}, looks like {other!r}"
        for name, own, other in zip(shown, called, likelier, strict=False)
    )
    sampled = f" of {len(looked_at):,} looked at" if len(looked_at) < given.prepared.usable().sum() else ""
    return Repair(
        finding=Finding(
            check="label_errors",
            severity="warning",
            evidence=f"{len(rows):,} labels{sampled} are likely wrong, by a probe on {source} that agrees with "
            f"{found.accuracy:.0%} of all: {listed}" + (" …" if len(rows) > _SHOWN else "."),
            remedy="Look at them, the most suspicious first: of such a list about half or more are wrong. "
            "`seedbed inspect … --html FILE` shows them.",
            rows=row_names(given.dataset, rows[:MOST_NAMED]),
            count=len(rows),
        ),
        action="give them the label they look like",
        relabel=rows,
        labels=likelier,
    )
