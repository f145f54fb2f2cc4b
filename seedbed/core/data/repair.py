"""What could be done about a finding, as data: applied to a run's view of the rows, never to the user's files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from seedbed.core.data.profile import Finding
from seedbed.core.data.targets import Targets

Policy = Literal["none", "safe", "all"]
"""Which repairs are applied: none, those that cannot do harm, or all that are proposed."""

NO_ROWS = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Repair:
    """A finding that comes with its repair; a check yields it in place of the bare finding.

    `is_safe` repairs are applied unless the user forbids it, others only on request. Any of:

    - `drop`: row numbers (n,) int64 that are left out of every part;
    - `drop_from_training`: row numbers that are left out of training alone;
    - `together`: int64 (N,) over all rows; rows of equal number stay on one side of every split, -1 are free;
    - `rename`: class name → class name;
    - `relabel`: row numbers, and `labels` the class for each.

    `action` says in the imperative what is done ("leave these rows out").
    """

    finding: Finding
    action: str
    is_safe: bool = False
    drop: np.ndarray = field(default_factory=lambda: NO_ROWS)
    drop_from_training: np.ndarray = field(default_factory=lambda: NO_ROWS)
    together: np.ndarray | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    relabel: np.ndarray = field(default_factory=lambda: NO_ROWS)
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Checked:
    """The data as a run is to see it after the checks and the repairs that were applied.

    `usable` (N,) marks rows that may be in a part, `trainable` (N,) those that may be in training;
    `groups` int64 (N,): rows of equal number are kept on one side, -1 are free. `duplicates` is the
    same for what the checks alone found, whether or not it was applied: it tells which test rows are
    known from training. `spellings` maps class names of the data to the class they were merged into.
    """

    findings: tuple[Finding, ...]
    targets: Targets
    usable: np.ndarray
    trainable: np.ndarray
    groups: np.ndarray
    duplicates: np.ndarray
    spellings: Mapping[str, str] = field(default_factory=dict)


def repaired(
    found: Iterable[Finding | Repair],
    targets: Targets,
    usable: np.ndarray,
    policy: Policy,
    groups: np.ndarray | None = None,
) -> Checked:
    """Apply the repairs that the policy allows; each finding then says what was done, or what could be.

    `groups` (N,) are those the user asked for; they hold under every policy.
    """
    usable, trainable = usable.copy(), np.ones(len(usable), dtype=bool)
    told: list[Finding] = []
    applied = [] if groups is None else [groups]
    known = []
    names: dict[str, str] = {}  # what classes were called, and what they are now
    for each in found:
        if isinstance(each, Finding):
            told.append(each)
            continue
        does = policy == "all" or (policy == "safe" and each.is_safe)
        told.append(replace(each.finding, repair=f"{'done' if does else 'proposed'}: {each.action}"))
        if each.together is not None:
            known.append(each.together)
        if not does:
            continue
        usable[each.drop] = False
        trainable[each.drop_from_training] = False
        if each.together is not None:
            applied.append(each.together)
        targets = targets.renamed(dict(each.rename))
        names = {old: each.rename.get(new, new) for old, new in names.items()} | dict(each.rename)
        if len(each.relabel):
            targets = targets.relabelled(each.relabel, tuple(names.get(name, name) for name in each.labels))
    return Checked(
        findings=tuple(told),
        targets=targets,
        usable=usable,
        trainable=trainable,
        groups=joined(applied, len(usable)),
        duplicates=joined(known, len(usable)),
        spellings=names,
    )


def joined(groupings: Iterable[np.ndarray], rows: int) -> np.ndarray:
    """Merge groupings (N,): rows that any of them puts together share a number; -1 for rows alone."""
    together = [each for each in groupings if (each >= 0).any()]
    if not together:
        return np.full(rows, -1, dtype=np.int64)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    tails, heads = [], []
    for each in together:
        members = np.flatnonzero(each >= 0)
        _, first, inverse = np.unique(each[members], return_index=True, return_inverse=True)
        tails.append(members)
        heads.append(members[first][inverse])
    one, other = np.concatenate(tails), np.concatenate(heads)
    graph = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(rows, rows))
    _, labels = connected_components(graph, directed=False)
    sizes = np.bincount(labels)
    return np.where(sizes[labels] > 1, labels, -1).astype(np.int64)
