"""The check for rows that are there more than once: within a part, across parts, and under different labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from seedbed import Finding, NoOptions, Repair
from seedbed.core.data.checking.duplicates import Copies, find_copies
from seedbed.core.data.columns import row_names
from seedbed.core.data.parts import PARTS, TEST, TRAIN, VALID
from seedbed.core.data.profile import MOST_NAMED
from seedbed.core.protocols import Check, CheckInput

_SHOWN = 4


def duplicates(options: NoOptions) -> Check:
    """Build the check."""
    return _find_duplicates


def _find_duplicates(given: CheckInput) -> Iterator[Finding | Repair]:
    copies = find_copies(given.dataset, given.prepared)
    yield from _copies(given, copies)
    for part in (VALID, TEST):
        yield from _across(given, copies, part)
    yield from _contradictions(given, copies)
    if copies.note:
        yield Finding(check="duplicates", severity="info", evidence=copies.note)


@dataclass(frozen=True, slots=True)
class _Sets:
    """Rows in sets: `rows` (n,) and the set (n,) of each, sorted by set."""

    rows: np.ndarray
    numbers: np.ndarray

    @classmethod
    def of(cls, groups: np.ndarray, wanted: np.ndarray) -> _Sets:
        """Take the groups (N,) that have a wanted row (N,)."""
        chosen = np.unique(groups[wanted & (groups >= 0)])
        rows = np.flatnonzero(np.isin(groups, chosen) & (groups >= 0))
        rows = rows[np.argsort(groups[rows], kind="stable")]
        return cls(rows, groups[rows])

    def __len__(self) -> int:
        return len(np.unique(self.numbers))

    def shown(self, given: CheckInput) -> str:
        """Name the first few sets, "a.png = b.png; c.png = d.png"."""
        first = np.unique(self.numbers)[:_SHOWN]
        sets = [" = ".join(row_names(given.dataset, self.rows[self.numbers == each][:3])) for each in first]
        return "; ".join(sets) + (" …" if len(self) > _SHOWN else ".")


def _copies(given: CheckInput, copies: Copies) -> Iterator[Repair]:
    """Yield the exact and the near copies, to be kept on one side of every split."""
    is_exact = copies.exact >= 0
    for groups, wanted, what in (
        (copies.exact, is_exact, "the same as another"),
        (copies.likely, (copies.likely >= 0) & ~is_exact, copies.likeness),
    ):
        sets = _Sets.of(groups, wanted)
        if not len(sets.rows):
            continue
        crossing = _crossing(given, sets)
        beyond = f", {crossing:,} of them across the parts that were given" if crossing else ""
        yield Repair(
            finding=Finding(
                check="duplicates",
                severity="warning" if crossing else "info",
                evidence=f"{len(sets.rows):,} rows are {what} ({_some(len(sets), 'set', 'sets')}{beyond}): "
                f"{sets.shown(given)}",
                remedy="Delete the copies, unless they are meant: they count more than once, "
                "and a score on rows that training has seen flatters.",
                rows=row_names(given.dataset, sets.rows[:MOST_NAMED]),
                count=len(sets.rows),
            ),
            action="keep the copies of a row on one side of every split",
            is_safe=True,
            together=groups,
        )


def _some(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _crossing(given: CheckInput, sets: _Sets) -> int:
    """Count the sets with rows in more than one of the parts that were given."""
    parts = given.parts[sets.rows]
    pairs = np.unique(np.stack([sets.numbers[parts > 0], parts[parts > 0]], axis=1), axis=0)
    return int((np.unique(pairs[:, 0], return_counts=True)[1] > 1).sum())


def _across(given: CheckInput, copies: Copies, part: int) -> Iterator[Repair]:
    """Yield the rows of training that a given part has too."""
    held = np.unique(copies.likely[(given.parts == part) & (copies.likely >= 0)])
    known = np.isin(copies.likely, held) & (given.parts <= TRAIN) & (copies.likely >= 0)
    rows = np.flatnonzero(known)
    if not len(rows):
        return
    leaked = (given.parts == part) & np.isin(copies.likely, copies.likely[rows])
    is_valid = part == VALID
    name = "validation" if is_valid else PARTS[part - 1]
    yield Repair(
        finding=Finding(
            check="duplicates",
            severity="warning",
            evidence=f"{int(leaked.sum()):,} rows of the {name} part have a copy among the rows to train on: "
            + _Sets.of(copies.likely, leaked).shown(given),
            remedy="Models are chosen by rows they have seen."
            if is_valid
            else "The test score is told with and without them; --repair all leaves the copies out of training.",
            rows=row_names(given.dataset, np.flatnonzero(leaked)[:MOST_NAMED]),
            count=int(leaked.sum()),
        ),
        action=f"leave the {len(rows):,} copies out of training",
        is_safe=is_valid,
        drop_from_training=rows,
    )


def _contradictions(given: CheckInput, copies: Copies) -> Iterator[Repair]:
    """Yield the exact copies that have different targets."""
    targets = given.targets
    if targets.kind != "classification":
        return
    rows = np.flatnonzero((copies.exact >= 0) & targets.known())
    if not len(rows):
        return
    groups, values = copies.exact[rows], targets.values[rows]
    pairs = np.unique(np.stack([groups, values], axis=1), axis=0)
    numbers, counts = np.unique(pairs[:, 0], return_counts=True)
    wanted = np.isin(copies.exact, numbers[counts > 1])
    sets = _Sets.of(copies.exact, wanted)
    if len(sets.rows):
        yield Repair(
            finding=Finding(
                check="duplicates",
                severity="warning",
                evidence=f"{_some(len(sets), 'row is', 'rows are')} there under two labels or more: "
                f"{_labelled(given, sets)}",
                remedy="One label of each is wrong: see which, or leave all of them out with --repair all.",
                rows=row_names(given.dataset, sets.rows[:MOST_NAMED]),
                count=len(sets.rows),
            ),
            action="leave these rows out",
            drop=sets.rows,
        )


def _labelled(given: CheckInput, sets: _Sets) -> str:
    told = []
    for each in np.unique(sets.numbers)[:_SHOWN]:
        rows = sets.rows[sets.numbers == each][:3]
        names = [given.targets.classes[code] for code in given.targets.values[rows]]
        shown = zip(row_names(given.dataset, rows), names, strict=True)
        told.append(" = ".join(f"{name} ({label})" for name, label in shown))
    return "; ".join(told) + (" …" if len(sets) > _SHOWN else ".")
