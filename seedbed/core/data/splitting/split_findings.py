"""What there is to say about a split: parts that lack classes, differ from training, are too small; pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from seedbed.core.data.profile import MOST_NAMED, Finding
from seedbed.core.data.splitting.draw import sharing
from seedbed.core.data.splitting.natural import sort_naturally
from seedbed.core.data.splitting.splits import SplitInput, Splits

NARROW = 0.05  # half-width of the 95 % interval of an accuracy near 0.8 that still tells models apart
SHIFT = 0.1  # total variation, or difference of a label's share, below which nobody is bothered
CHANCE = 1e-3  # how often a part drawn from training at random would be called different

_MOST_CHARACTERS = 40  # of a name, at its beginning and at its end
_WORDS = {"train": "training", "valid": "validation", "test": "test"}


def judge(given: SplitInput, splits: Splits, *, is_drawn: bool, has_folds: bool = False) -> Iterator[Finding]:
    """Say what is doubtful about a split.

    `is_drawn`: its validation part was taken from training here. `has_folds`: it judges nothing, as trials are
    judged over folds of all these rows; what it lacks is then nobody's concern.
    """
    yield from _unseen(given, splits)
    for code, part in ((2, "valid"), (3, "test")):
        yield from _empty(given, splits, code, part)
        is_own = not (part == "valid" and is_drawn)
        is_plain = given.order is None and not (given.groups >= 0).any()
        if len(splits.rows(part)) and (is_own or not (is_plain or has_folds)):
            yield from _without_classes(splits, part, is_own)
            yield from _shifted(given, splits, part, is_own)
    if not has_folds:
        yield from _small(given, splits, is_drawn)
    yield from _straddling(given, splits)
    yield from _out_of_order(given, splits)


def half_width(rows: int) -> float:
    """Return half of the width of the 95 % interval (normal approximation) of an accuracy of 0.8 over so many rows."""
    return 1.96 * math.sqrt(0.8 * 0.2 / rows)


def _unseen(given: SplitInput, splits: Splits) -> Iterator[Finding]:
    """Yield what validation and test have, and training has not."""
    targets = given.targets
    if targets.kind == "regression":
        return
    counts = targets.counts(np.flatnonzero(given.usable))
    unseen = {
        name: int(count)
        for name, count in zip(targets.classes, counts, strict=True)
        if count and name not in splits.classes
    }
    if not unseen:
        return
    is_label = targets.kind == "multilabel"
    most = sorted(unseen, key=lambda name: -unseen[name])
    yield Finding(
        check="unseen_classes",
        severity="warning",
        evidence=f"Left out of validation and test, as training has no such {'label' if is_label else 'class'}: "
        f"{_listed([f'{name} ({unseen[name]})' for name in most])}.",
        remedy="Add training rows of these classes, or see whether they are spelt alike in all parts.",
        rows=sort_naturally(unseen)[:MOST_NAMED],
        count=sum(unseen.values()),
    )


def _empty(given: SplitInput, splits: Splits, code: int, part: str) -> Iterator[Finding]:
    """Yield that a part of the owner's has no row that can be used."""
    is_theirs = given.parts == code
    rows = int(is_theirs.sum())
    if not rows or (splits.rows(part).size and is_theirs[splits.rows(part)].any()):
        return
    unread, without = int((is_theirs & ~given.readable).sum()), int((is_theirs & given.readable & ~given.usable).sum())
    reasons = {
        "cannot be read or were left out": unread,
        "have no target": without,
        "are of classes that training has not": rows - unread - without,
    }
    why = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
    instead = "another was taken from the training rows" if part == "valid" else "there is no test score"
    yield Finding(
        check="empty_part",
        severity="warning",
        evidence=f"None of the {rows:,} rows of the {_WORDS[part]} part can be used ({why}), so {instead}.",
        remedy="Look at these rows' files and targets, or give another part.",
        count=rows,
    )


def _without_classes(splits: Splits, part: str, is_own: bool) -> Iterator[Finding]:
    """Yield which classes a part lacks."""
    if splits.kind == "regression":
        return
    counts, trained = _counts(splits, part), _counts(splits, "train")
    missing = [splits.classes[number] for number in np.flatnonzero(counts == 0)]
    if missing:
        rows = len(splits.rows(part))
        listed = _listed([f"{splits.classes[each]} ({trained[each]:,})" for each in np.flatnonzero(counts == 0)])
        yield Finding(
            check="missing_classes",
            severity="warning" if is_own else "info",
            evidence=f"The {_WORDS[part]} part ({rows:,} rows) has no row of {len(missing)} of {len(counts)} classes; "
            f"in brackets how many training has: {listed}.",
            remedy="Its scores say nothing about them: "
            + ("move rows of theirs there." if is_own else "order or groups keep them whole; add rows or groups."),
            rows=tuple(missing[:MOST_NAMED]),
            count=len(missing),
        )


def _shifted(given: SplitInput, splits: Splits, part: str, is_own: bool) -> Iterator[Finding]:
    """Yield that targets are spread differently in a part and in training, beyond what chance explains.

    For classes, and the deciles of values, the total variation distance is held against its bound under
    chance: its expectation is at most half the sum of the standard errors, and it exceeds that by t with
    a probability of at most exp(-2 t² / (1/n + 1/m)) (McDiarmid 1989). For labels it is the greatest
    difference of a share, by Hoeffding's inequality for all labels together.
    """
    here, train = splits.rows(part), splits.train
    n, m = len(train), len(here)
    spread = 1 / n + 1 / m
    if splits.kind == "multilabel":
        before, now = _counts(splits, "train") / n, _counts(splits, part) / m
        found = float(np.abs(now - before).max())
        bound = math.sqrt(math.log(2 * len(before) / CHANCE) * spread / 2)
    else:
        width = int(given.strata.max()) + 1
        before = np.bincount(given.strata[train], minlength=width) / n
        now = np.bincount(given.strata[here], minlength=width) / m
        found = float(np.abs(now - before).sum() / 2)
        pooled = (before * n + now * m) / (n + m)
        bound = float(np.sqrt(pooled * (1 - pooled) * spread).sum() / 2) + math.sqrt(math.log(1 / CHANCE) * spread / 2)
    if found <= max(SHIFT, bound):
        return
    yield Finding(
        check="class_shift" if splits.kind != "regression" else "target_shift",
        severity="warning" if is_own else "info",
        evidence=f"The {_WORDS[part]} part ({m:,} rows) differs from training ({n:,}): {_difference(splits, part)} "
        f"({'greatest difference' if splits.kind == 'multilabel' else 'total variation'} {found:.2f}, "
        f"by chance at most {bound:.2f}).",
        remedy="See how the parts were made: a score of one says little about the other. "
        "Without a part of your own, one like training is taken.",
        count=m,
    )


def _difference(splits: Splits, part: str) -> str:
    """Say where a part differs most: three classes with their shares, or the quartiles of the values."""
    if splits.kind == "regression":
        quartiles = (np.quantile(splits.targets[splits.rows(each)], (0.25, 0.5, 0.75)) for each in (part, "train"))
        here, there = (", ".join(f"{value:.4g}" for value in values) for values in quartiles)
        return f"quartiles {here} against {there}"
    now, before = (_counts(splits, each) / len(splits.rows(each)) for each in (part, "train"))
    most = np.argsort(-np.abs(now - before), kind="stable")[:3]
    return ", ".join(f"{_short(splits.classes[each])} {now[each]:.0%} against {before[each]:.0%}" for each in most)


def _small(given: SplitInput, splits: Splits, is_drawn: bool) -> Iterator[Finding]:
    """Yield that the validation part is too small to tell models apart."""
    rows = len(splits.valid)
    enough = math.ceil(0.8 * 0.2 * (1.96 / NARROW) ** 2)
    if rows >= enough:
        return
    if splits.kind == "regression":  # of normal errors, the standard error of their root mean square is σ/√(2n)
        known = f"a root mean squared error is known to ±{1.96 / math.sqrt(2 * rows):.0%}"
    else:
        known = f"an accuracy near 0.8 is known to ±{half_width(rows):.3f}"
    remedies = ["Add rows" if is_drawn else f"Give {enough} rows or more to validation"]
    if given.order is None:
        folds, all_rows = int(splits.folds.max()) + 1, int((splits.folds >= 0).sum())
        better = math.sqrt(all_rows / rows)
        remedies.append(
            f"scores over {folds} folds, of all {all_rows:,} rows, would be known {better:.1f} times better"
        )
    yield Finding(
        check="small_validation",
        severity="info" if is_drawn else "warning",
        evidence=f"Validation has {rows:,} rows: {known} (95 %); models that differ by less are hard to tell apart.",
        remedy="; ".join(remedies) + ".",
        count=rows,
    )


def _straddling(given: SplitInput, splits: Splits) -> Iterator[Finding]:
    """Yield which rows of the owner's parts are of groups that training has as well; copies are the check's to tell."""
    trained = sharing(given.groups, splits.train) & ~sharing(given.duplicates, splits.train)
    for part, remedy in (
        ("valid", "Its scores flatter: give whole groups to a part, or no validation part at all."),
        ("test", "Its scores flatter: give whole groups to the test part."),
    ):
        rows = splits.rows(part)
        shared = rows[trained[rows]]
        if len(shared):
            yield Finding(
                check="split_groups",
                severity="warning",
                evidence=f"{len(shared):,} of {len(rows):,} {_WORDS[part]} rows are of groups that training has "
                f"rows of too ({len(np.unique(given.groups[shared])):,} groups). Parts of your own are kept as given.",
                remedy=remedy,
                count=len(shared),
            )
    moved = int((given.parts[splits.valid] == 0).sum()) if (given.parts[splits.valid] == 2).any() else 0
    if moved:
        yield Finding(
            check="split_groups",
            severity="info",
            evidence=f"{moved:,} rows of no given part were added to validation, as it has rows of their groups.",
            count=moved,
        )


def _out_of_order(given: SplitInput, splits: Splits) -> Iterator[Finding]:
    """Yield how far validation and test are from being what comes after training."""
    if given.order is None:
        return
    last = given.order[splits.train].max()
    for part in ("valid", "test"):
        rows = splits.rows(part)
        early = int((given.order[rows] <= last).sum())
        if early:
            why = "they are of groups that go on later" if (given.parts[rows] < 2).any() else "the part is your own"
            yield Finding(
                check="split_order",
                severity="info",
                evidence=f"{early:,} of {len(rows):,} {_WORDS[part]} rows do not come after all of training: {why}.",
                remedy="The score is that of rows among known ones, not only of what comes later.",
                count=early,
            )
    unknown = int(np.isneginf(given.order[splits.train]).sum())
    if unknown:
        yield Finding(
            check="split_order",
            severity="info",
            evidence=f"{unknown:,} rows of unknown order are in training.",
            remedy="Fill in the column that --order names.",
            count=unknown,
        )


def _counts(splits: Splits, part: str) -> np.ndarray:
    """Return how many rows of a part each class has, int64 (K,)."""
    targets = splits.targets[splits.rows(part)]
    if splits.kind == "multilabel":
        return np.asarray(targets.sum(axis=0, dtype=np.int64))
    return np.bincount(targets, minlength=len(splits.classes))


def _listed(names: list[str]) -> str:
    return ", ".join(_short(name) for name in names[:10]) + (" …" if names[10:] else "")


def _short(name: str) -> str:
    """Cut a name that somebody's text has become; the number in brackets behind it stays."""
    return name if len(name) <= 2 * _MOST_CHARACTERS else f"{name[:_MOST_CHARACTERS]}…{name[-_MOST_CHARACTERS:]}"
