"""Checks of the targets: how many examples each class has, and what the classes are called."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from seedbed import Finding, NoOptions
from seedbed.core.data.repair import Repair
from seedbed.core.data.splitting.split import sort_naturally
from seedbed.core.protocols import Check, CheckInput

FEW = 10
IMBALANCE = 10.0
_SHORT = 2  # characters: "a" and "A" are different letters, not one class spelt twice


def rare_classes(options: NoOptions) -> Check:
    """Build the check."""
    return _find_rare


def imbalance(options: NoOptions) -> Check:
    """Build the check."""
    return _find_imbalance


def class_names(options: NoOptions) -> Check:
    """Build the check."""
    return _find_odd_names


def _find_rare(given: CheckInput) -> Iterator[Finding]:
    counts = _training_counts(given)
    single = sort_naturally(name for name, count in counts.items() if count == 1)
    few = sort_naturally(name for name, count in counts.items() if 1 < count < FEW)
    if single:
        yield Finding(
            check="rare_classes",
            severity="warning",
            evidence=f"{'Classes' if single[1:] else 'Class'} with a single training example: {_quoted(single)}.",
            remedy="No score tells whether it is learnt, as none is left to learn from where it is held out; "
            "add examples, or merge the class with another.",
            rows=single,
            count=len(single),
        )
    if few:
        listed = ", ".join(f"{name!r} ({counts[name]})" for name in few[:10])
        yield Finding(
            check="rare_classes",
            severity="info",
            evidence=f"{'Classes' if few[1:] else 'Class'} with fewer than {FEW} training examples: {listed}"
            + (" …" if few[10:] else "."),
            remedy="Add examples: scores of these classes are little more than chance.",
            rows=few,
            count=len(few),
        )


def _find_imbalance(given: CheckInput) -> Iterator[Finding]:
    counts = _training_counts(given)
    if not counts:
        return
    largest = max(counts, key=lambda name: counts[name])
    smallest = min(counts, key=lambda name: counts[name])
    if counts[largest] > IMBALANCE * counts[smallest]:
        ratio = counts[largest] / counts[smallest]
        yield Finding(
            check="imbalance",
            severity="warning",
            evidence=(
                f"Class {largest!r} has {counts[largest]} training examples, "
                f"{smallest!r} has {counts[smallest]}: {ratio:.0f} times fewer."
            ),
            remedy="Accuracy rewards large classes: add examples of the small ones, or use another metric.",
            rows=(largest, smallest),
            count=sum(count * IMBALANCE < counts[largest] for count in counts.values()),
        )


def _find_odd_names(given: CheckInput) -> Iterator[Finding | Repair]:
    counts = dict(zip(given.targets.classes, given.targets.counts().tolist(), strict=True))
    names = sort_naturally(counts)
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[_plain(name)].append(name)
    for group in alike.values():
        if len(group) > 1:
            yield _merging(group, counts)
    edged = tuple(name for name in names if name != name.strip())
    if edged:
        yield Finding(
            check="class_names",
            severity="warning",
            evidence=f"Class names that begin or end with a space: {_quoted(edged)}.",
            remedy="Rename them without it, so that nobody mistypes them.",
            rows=edged,
            count=len(edged),
        )
    unusual = tuple(name for name in names if not name.isascii() or any(map(str.isspace, name.strip())))
    if unusual:
        yield Finding(
            check="class_names",
            severity="info",
            evidence=f"Class names with spaces or non-ASCII letters, kept as they are: {_quoted(unusual)}.",
            rows=unusual,
            count=len(unusual),
        )


def _merging(group: list[str], counts: dict[str, int]) -> Repair:
    """Return the finding that some names are alike, with the merger into the most frequent as its repair."""
    kept = max(group, key=lambda name: counts[name])
    return Repair(
        finding=Finding(
            check="class_names",
            severity="warning",
            evidence="Classes that differ only in case, spaces or coding of accents: "
            + f"{_escaped(group)} ({', '.join(f'{counts[name]:,}' for name in group)} rows).",
            remedy="If they are one class, rename them alike; if not, give names that differ by more.",
            rows=tuple(group),
            count=len(group),
        ),
        action=f"take them for one class, {kept!r}",
        is_safe=len(_plain(kept)) >= _SHORT and len({_spelt(name) for name in group}) == 1,
        rename={name: kept for name in group if name != kept},
    )


def _training_counts(given: CheckInput) -> dict[str, int]:
    """Count the readable rows of each class that their owner has not set aside to validate or test with."""
    rows = np.flatnonzero(given.prepared.usable() & (given.parts <= 1))
    counts = zip(given.targets.classes, given.targets.counts(rows).tolist(), strict=True)
    return {name: count for name, count in counts if count}


def _plain(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _spelt(name: str) -> str:
    """Return a name without what is surely spelling; `1 12` and `11 2` stay two classes, and so do `m2` and `m²`."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names[:10]) + (" …" if len(names) > 10 else "")


def _escaped(names: list[str]) -> str:
    """Show names so that they can be told apart: with escapes where they look alike."""
    looks = {unicodedata.normalize("NFC", name) for name in names}
    return " and ".join(repr(name) if len(looks) == len(names) else ascii(name) for name in names)
