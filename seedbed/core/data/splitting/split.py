"""Which rows to train on, to choose by and to test with; decided once a run, by a pure function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from seedbed.core.data.splitting.draw import (
    MOST_VALID,
    latest_of,
    numbered,
    renumbered,
    sharing,
    take_grouped,
    take_latest,
    take_stratified,
)
from seedbed.core.data.splitting.folds import choose_folds, fold_by_time, make_folds
from seedbed.core.data.splitting.natural import sort_naturally
from seedbed.core.data.splitting.split_findings import judge
from seedbed.core.data.splitting.splits import SplitInput, Splits, load_splits, save_splits
from seedbed.core.data.targets import Targets
from seedbed.core.errors import DataError

__all__ = ["Splits", "load_splits", "save_splits", "sort_naturally", "split", "take_stratified"]

VALID_SHARE = 0.2


def split(
    targets: Targets,
    parts: np.ndarray,
    usable: np.ndarray,
    seed: int,
    *,
    trainable: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    order: np.ndarray | None = None,
    duplicates: np.ndarray | None = None,
    folds_for: Callable[[int], int] = lambda rows: 0,
) -> Splits:
    """Give every usable row its part.

    `parts` int8 (N,) is where the owner put each row (0 nowhere, 1 training, 2 validation, 3 test): what
    was given stays, and rows put nowhere join training. Where there is no validation part, one is taken
    from the training rows: a fifth, at most 5,000 rows.

    - As a rule it is stratified: by class, by deciles of a value, by the rarest label of a row (the cheap
      form of Sechidis et al. 2011, "On the stratification of multi-label data"); about two rows of every
      class, never the only one.
    - Rows of equal `groups` (N,), -1 for rows alone, are on one side of it. Where the validation part is
      the owner's, rows put nowhere go with it if their group has a row there. They never go to a test
      part: what is measured with is the owner's alone. They are in training, and it is said.
    - With `order` (N,), NaN where unknown, it is what comes last, equal values together; a group goes by
      its latest row.

    Rows that are not `trainable` are in no training part. They may be validated on, in their share, as the
    score would flatter without them, unless the owner's validation or test part has a row of the same
    group or `duplicates` (N,): these would be what is measured with, seen before.

    Where trials are judged over folds of so many rows of training and validation (`folds_for`, 0: over none),
    nothing is said of what the validation part lacks.

    Raises:
        DataError: there is too little to learn from, or nothing can be spared to choose models by.
    """
    given = _input(targets, parts, usable, trainable, groups, order, duplicates)
    rng = np.random.default_rng(seed)
    pool = given.usable & (given.parts <= 1)
    _require(given, np.flatnonzero(pool & given.trainable))
    known = given.usable & _has_class(targets, np.flatnonzero(pool & given.trainable))
    valid = np.flatnonzero(known & (given.parts == 2))
    is_drawn = not len(valid)
    valid = _draw(given, np.flatnonzero(pool & known), rng) if is_drawn else _with_groups(given, known, valid)
    is_train = pool & known & given.trainable
    is_train[valid] = False
    train = np.flatnonzero(is_train)
    _require(given, train, taken=len(valid))
    known &= _has_class(targets, train)  # what comes last, or a whole group, may hold all rows of a class
    valid, test = valid[known[valid]], np.flatnonzero(known & (given.parts == 3))
    if not len(valid):
        raise DataError(
            "Training and validation have no class in common, as order or groups keep them apart. "
            "Leave --order or --group out, or give a validation part with classes that training has."
        )
    numbers, classes = _numbered_classes(targets, known, train)
    splits = Splits(
        train=train,
        valid=valid,
        test=test,
        targets=numbers,
        classes=classes,
        kind=targets.kind,
        folds=_folds(given, train, valid, rng),
        leaked=test[sharing(given.duplicates, train, valid)[test]],
    )
    has_folds = folds_for(len(train) + len(valid)) > 0
    return replace(splits, findings=tuple(judge(given, splits, is_drawn=is_drawn, has_folds=has_folds)))


def _input(
    targets: Targets,
    parts: np.ndarray,
    usable: np.ndarray,
    trainable: np.ndarray | None,
    groups: np.ndarray | None,
    order: np.ndarray | None,
    duplicates: np.ndarray | None,
) -> SplitInput:
    alone = np.full(len(targets), -1, dtype=np.int64)
    if order is not None:
        order = order.astype(np.float64)
        order[np.isnan(order)] = -np.inf
    return SplitInput(
        targets=targets,
        strata=targets.strata(),
        parts=parts,
        readable=usable,
        usable=usable & targets.known(),
        trainable=np.ones(len(targets), dtype=bool) if trainable is None else trainable,
        groups=alone if groups is None else renumbered(groups),
        duplicates=alone if duplicates is None else renumbered(duplicates),
        order=order,
    )


def _has_class(targets: Targets, rows: np.ndarray) -> np.ndarray:
    """Return a mask (N,) of the rows whose class some of these rows have; a row without a target has none.

    Labels that are not among them are left out of a row, not the row; every value is welcome.
    """
    if targets.kind != "classification":
        return targets.known()
    has = np.append(targets.counts(rows) > 0, False)  # the last place is that of -1
    return np.asarray(has[targets.values])


def _numbered_classes(targets: Targets, known: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the targets, and the classes that training has, in natural order."""
    if targets.kind == "regression":
        return np.where(known, targets.values, np.nan), ()
    trained = np.flatnonzero(targets.counts(train))
    place = {targets.classes[number]: number for number in trained}
    classes = sort_naturally(place)
    columns = np.array([place[name] for name in classes], dtype=np.int64)
    if targets.kind == "multilabel":
        return np.ascontiguousarray(targets.values[:, columns]), classes
    codes = np.full(len(targets.classes) + 1, -1, dtype=np.int64)  # the last place is that of -1
    codes[columns] = np.arange(len(columns))
    return np.where(known, codes[targets.values], -1), classes


def _draw(given: SplitInput, pool: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take the validation rows out of the pool (row numbers, rising)."""
    solid, others = pool[given.trainable[pool]], pool[~given.trainable[pool]]
    held_out = np.flatnonzero(given.usable & (given.parts > 1))
    for groups in (given.groups, given.duplicates) if len(others) else ():
        others = others[~sharing(groups, held_out)[others]]
    if given.order is not None:
        both = np.sort(np.concatenate([solid, others]))
        wanted = min(round(VALID_SHARE * len(both)), MOST_VALID)
        valid = take_latest(both, latest_of(given.order[both], given.groups[both]), wanted)
        if not len(valid):
            raise DataError(
                f"All {len(both):,} training rows have one and the same order, so none comes last. "
                "Name another column with --order, or leave it out."
            )
        return valid
    codes, groups = _strata(given, solid), given.groups[solid]
    wanted = min(round(VALID_SHARE * len(solid)), MOST_VALID)
    valid = take_grouped(solid, codes, groups, wanted, rng)
    if not len(valid) and given.targets.kind != "classification":
        valid = take_grouped(solid, np.zeros_like(codes), groups, wanted, rng)  # every stratum is one group's
    valid = _keeping_labels(given, solid, valid)
    if not len(valid):
        raise DataError(_nothing_to_spare(given, solid))
    return np.sort(np.concatenate([valid, _beside(given, solid, valid, others, rng)]))


def _beside(
    given: SplitInput, solid: np.ndarray, valid: np.ndarray, others: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return which of the rows that may not be trained on are validated on: those of its groups, and a share."""
    follow: np.ndarray = others[sharing(given.groups, valid)[others]]
    alone = others[~sharing(given.groups, solid)[others]]
    if not len(alone):
        return follow
    share = take_stratified(alone, _strata(given, alone), round(len(alone) * len(valid) / len(solid)), rng)
    return np.concatenate([follow, share])


def _strata(given: SplitInput, rows: np.ndarray) -> np.ndarray:
    """Return what the rows are stratified by, int64 (n,); deciles are merged where there are few rows or groups."""
    strata: np.ndarray = given.strata[rows]
    if given.targets.kind == "regression":
        units = numbered(given.groups[rows])
        apart = np.count_nonzero(units < 0) + int(units.max(initial=-1)) + 1
        bins = min(10, max(1, len(rows) // 10), max(1, apart // 5))
        strata = strata * bins // 10
    return strata


def _keeping_labels(given: SplitInput, solid: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Give back to training, with their groups, rows of labels that it would lose (strata see the rarest alone)."""
    if given.targets.kind != "multilabel":
        return valid
    wanted = given.targets.counts(solid)
    for label in np.flatnonzero((wanted > 0) & (wanted == given.targets.counts(valid))):
        having = valid[given.targets.values[valid, label] > 0]
        if len(having) == wanted[label]:  # no row of an earlier label has brought it back
            group = given.groups[having[0]]
            gone = (given.groups[valid] == group) if group >= 0 else (valid == having[0])
            valid = valid[~gone]
    return valid


def _with_groups(given: SplitInput, known: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return the owner's validation rows and those put nowhere that are of their groups."""
    nowhere = np.flatnonzero(known & (given.parts == 0))
    joining = nowhere[sharing(given.groups, valid)[nowhere]]
    return np.sort(np.concatenate([valid, joining]))


def _folds(given: SplitInput, train: np.ndarray, valid: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    folds = np.full(len(given.targets), -1, dtype=np.int8)
    rows = np.sort(np.concatenate([train, valid]))
    rows = rows[given.trainable[rows]]
    count, groups = choose_folds(len(rows)), given.groups[rows]
    if given.order is not None:
        folds[rows] = fold_by_time(given.order[rows], groups, count)
    else:
        folds[rows] = make_folds(_strata(given, rows), groups, count, rng)
    return folds


def _require(given: SplitInput, train: np.ndarray, taken: int = 0) -> None:
    """Raise DataError where there is too little to learn from; `taken` rows went from training to validation."""
    targets = given.targets
    if targets.kind == "regression":
        is_constant = len(train) > 1 and np.ptp(targets.values[train]) == 0
        if len(train) < 2 or (is_constant and not taken):
            same = f" They all have the value {targets.values[train][0]:g}." if is_constant else ""
            raise DataError(
                f"{_seen(given, train, taken)}.{same} Two rows or more of different values are needed to learn from: "
                "name the column to be predicted with --target."
            )
        return
    names = [targets.classes[number] for number in np.flatnonzero(targets.counts(train))]
    if targets.kind == "multilabel":
        if not names or len(train) < 2:
            raise DataError(
                f"{_seen(given, train, taken, names)}. Two rows or more, and a label, are needed to learn from: "
                "name the column of labels with --target."
            )
    elif len(names) < 2:
        raise DataError(
            f"{_seen(given, train, taken, names)}. Two classes or more are needed to learn from; "
            "if the class is in another column, name it with --target."
        )


def _seen(given: SplitInput, train: np.ndarray, taken: int, names: Iterable[str] | None = None) -> str:
    """Say what there is to train on, and what became of the other rows."""
    seen = f"{len(train):,} usable training rows"
    if names is not None:
        names = list(names)
        word = "label" if given.targets.kind == "multilabel" else "class"
        plural = "" if len(names) == 1 else "s" if word == "label" else "es"
        seen += f" of {len(names)} {word}{plural}" + (f" ({names[0][:80]})" if names else "")
    elsewhere = int((given.usable & (given.parts > 1)).sum())
    beside = {
        "cannot be used": int((~given.readable).sum()),
        "have no target": int((given.readable & ~given.usable).sum()),
        "belong to validation or test": elsewhere,
        "may not be trained on": int((given.usable & (given.parts <= 1) & ~given.trainable).sum()),
        "were taken for validation": taken if not elsewhere else 0,
    }
    told = [f"{count:,} {what}" for what, count in beside.items() if count]
    why = "; of the others " + " and ".join(filter(None, (", ".join(told[:-1]), told[-1]))) if told else ""
    return f"Of {len(given.targets):,} rows there are {seen}{why}"


def _nothing_to_spare(given: SplitInput, solid: np.ndarray) -> str:
    groups = len(np.unique(given.groups[solid][given.groups[solid] >= 0]))
    if groups:
        return (
            f"The {len(solid)} usable training rows are in {groups} group{'' if groups == 1 else 's'} that cannot be "
            "parted without a class being lost to training, so none can be spared to choose models by. "
            "Give more groups, leave --group out, or give a validation part."
        )
    if given.targets.kind == "classification":
        classes = np.count_nonzero(given.targets.counts(solid))
        return (
            f"Each of the {classes} classes has one usable training row, so none can be spared to "
            "choose models by. Give two or more of some class, or a validation part of its own."
        )
    return (
        f"None of the {len(solid)} usable training rows can be spared to choose models by. "
        "Give more rows, or a validation part of its own."
    )
