"""Folds: every row is held out once, together with its group, and each fold has its share of every class."""

from __future__ import annotations

import numpy as np

from seedbed.core.data.splitting.draw import Contents, by_stratum, compact, contents_of, latest_of, numbered
from seedbed.core.task import Modality

_JUDGED = 5
_FEW: dict[Modality, int] = {"image": 200, "text": 600, "series": 600}

MOST_PLACED = 50_000  # groups, the largest, that are placed one by one (half a second); smaller ones are dealt out


def choose_folds(rows: int) -> int:
    """Return how many folds suit so many rows.

    Ten where data is scarce (Kohavi 1995: ten stratified folds estimate best), fewer where training takes
    long and a fold is large enough by itself; at least two.
    """
    return max(2, min(10 if rows < 1_000 else 5 if rows < 20_000 else 3, rows))


def judged_over(modality: Modality, rows: int) -> int:
    """Return over how many folds trials are judged on so many rows of training and validation; 0: over none.

    Below a few hundred rows a validation part tells too little, and the rows in it are missed in training.
    Five folds and the training on all rows cost six trainings, which where images are to be fine-tuned the
    usual budget does not have: of them only the fewest are judged so.
    """
    return _JUDGED if rows < _FEW[modality] else 0


def make_folds(codes: np.ndarray, groups: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Return the fold of each row, int8 (n,), from 0.

    `codes` (n,) are the classes, `groups` (n,) the groups, -1 for rows alone. Groups go, largest first,
    where there is least of their classes; rows alone then level the folds out, class by class. Without
    groups, neither the folds nor a class in them differ by more than one row.
    """
    strata, counts = compact(codes)
    units = numbered(groups)
    filled = np.zeros((folds, len(counts)), dtype=np.int64)
    found = np.full(len(codes), -1, dtype=np.int8)
    grouped = np.flatnonzero(units >= 0)
    if len(grouped):
        found[grouped] = _fold_groups(units[grouped], strata[grouped], filled, rng)[units[grouped]]
    alone = np.flatnonzero(units < 0)
    found[alone] = _deal(strata[alone], filled, rng)
    return found


def fold_by_time(times: np.ndarray, groups: np.ndarray, folds: int) -> np.ndarray:
    """Return the fold of each row, int8 (n,): blocks of time of about equal size, equal times in one block.

    A group lies where its latest row does. With few different times some folds may be empty.
    """
    _, inverse, counts = np.unique(latest_of(times, groups), return_inverse=True, return_counts=True)
    before = np.cumsum(counts) - counts
    return np.asarray((before * folds // max(len(times), 1)).astype(np.int8)[inverse])


def _fold_groups(units: np.ndarray, strata: np.ndarray, filled: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the fold of each group; what they put into `filled` (folds, strata) is added in place."""
    width = filled.shape[1]
    sizes = np.bincount(units)
    main = np.empty(len(sizes), dtype=np.int64)
    main[units] = strata  # of each group that of some row: those that are dealt out are small
    shuffled = rng.permutation(len(sizes))
    largest = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    one_by_one, rest = largest[:MOST_PLACED], largest[MOST_PLACED:]
    found = np.zeros(len(sizes), dtype=np.int8)
    found[one_by_one] = _place(
        contents_of(one_by_one, units, strata, width), np.bincount(strata, minlength=width), filled
    )
    found[rest] = _deal(main[rest], filled, rng)
    filled[:] = np.bincount(found[units].astype(np.int64) * width + strata, minlength=filled.size).reshape(filled.shape)
    return found


def _place(contents: Contents, counts: np.ndarray, filled: np.ndarray) -> list[int]:
    """Return the fold of each group, in the order given: where its classes, and then all rows, are fewest."""
    count_of = counts.tolist()
    total = max(sum(count_of), 1)
    there = [[0] * filled.shape[1] for _ in range(len(filled))]
    sizes = [0] * len(filled)
    found = []
    for place in range(len(contents)):
        content = contents.of(place)
        size = sum(rows for _, rows in content)
        costs = [
            sum(rows * has[each] / count_of[each] for each, rows in content) + size * held / total
            for has, held in zip(there, sizes, strict=True)
        ]
        fold = costs.index(min(costs))
        found.append(fold)
        sizes[fold] += size
        for each, rows in content:
            there[fold][each] += rows
    filled += np.array(there)
    return found


def _deal(strata: np.ndarray, filled: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the fold of each row (its stratum, (n,)) so that all folds come to the same level, at random.

    `filled` (folds, strata) is what they hold already; the rows dealt are added to it in place.
    """
    found = np.empty(len(strata), dtype=np.int8)
    by_class = by_stratum(strata, filled.shape[1], rng)
    counts = np.bincount(strata, minlength=filled.shape[1])
    start = 0
    for each in np.flatnonzero(counts):
        shares = _level(filled[:, each], filled.sum(axis=1), int(counts[each]))
        found[by_class[start : start + counts[each]]] = np.repeat(np.arange(len(filled), dtype=np.int8), shares)
        filled[:, each] += shares
        start += int(counts[each])
    return found


def _level(held: np.ndarray, totals: np.ndarray, rows: int) -> np.ndarray:
    """Share rows out so that what folds hold of a class is level; the odd ones go where there is least of all."""
    order = np.lexsort((totals, held))
    rising = held[order]
    few = next(n for n in range(len(held), 0, -1) if rising[:n].sum() + rows >= n * rising[n - 1])
    emptiest = order[:few]
    shares = np.zeros(len(held), dtype=np.int64)
    shares[emptiest] = (held[emptiest].sum() + rows) // few - held[emptiest]
    odd = emptiest[np.argsort(totals[emptiest] + shares[emptiest], kind="stable")][: rows - shares.sum()]
    shares[odd] += 1
    return shares
