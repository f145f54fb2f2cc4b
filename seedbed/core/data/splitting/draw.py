"""Draw a validation part out of rows: by stratum, with groups kept whole, or by time; pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_VALID = 5000  # rows: the standard error of an accuracy of 0.95 is then 0.003

MOST_OFFERED = 100_000  # groups, of more a random sample: twenty times the rows that are ever wanted
_SLACK = 1.1  # by which groups may exceed the rows that are wanted of them: the last one seldom fits exactly


def take_stratified(rows: np.ndarray, codes: np.ndarray, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """Draw about `wanted` of the rows so that every class (`codes`, (n,)) keeps its share; rising order."""
    strata, counts = compact(codes)
    return np.asarray(rows[_draw(strata, _quotas(counts, wanted), rng)])


def take_grouped(
    rows: np.ndarray, codes: np.ndarray, groups: np.ndarray, wanted: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw about `wanted` of the rows, those of one group together; rising order.

    `codes` (n,) are the classes, `groups` (n,) the groups, -1 for rows alone. Groups come in random order,
    so that large and small ones have their share, and each is taken if that brings the classes nearer to
    what is wanted of them; rows alone fill up the rest exactly. Of no class more than half is taken unless
    nothing could be taken at all otherwise, and its last row never. Empty where nothing can be spared.
    """
    units = numbered(groups)
    grouped = np.flatnonzero(units >= 0)
    if not len(grouped):
        return take_stratified(rows, codes, wanted, rng)
    strata, counts = compact(codes)
    quotas = _quotas(counts, wanted)
    shares = np.bincount(strata[grouped], minlength=len(counts)) / counts
    offered = rng.permutation(int(units.max()) + 1)[:MOST_OFFERED]
    contents = contents_of(offered, units, strata, len(counts))
    chosen = offered[_choose(contents, quotas * shares, counts)]
    is_chosen = _marks(units, chosen)
    taken = np.bincount(strata[is_chosen], minlength=len(counts))
    alone = np.flatnonzero(units < 0)
    drawn = alone[_draw(strata[alone], quotas - taken, rng)]
    if not len(chosen) and not len(drawn):
        is_chosen = _marks(units, offered[_least_bad(contents, quotas, counts)])
    return np.asarray(rows[np.sort(np.concatenate([np.flatnonzero(is_chosen), drawn]))])


def take_latest(rows: np.ndarray, times: np.ndarray, wanted: int) -> np.ndarray:
    """Return the latest of the rows by `times` (n,), as near to `wanted` as rows of equal time allow.

    Rows of one time stay together; empty where all are of one time.
    """
    moments, counts = np.unique(times, return_counts=True)
    if len(moments) < 2:
        return rows[:0]
    taken = np.cumsum(counts[:0:-1])  # rows, if the last moment is taken, the last two, …; never the first
    first = len(moments) - 1 - int(np.argmin(np.abs(taken - wanted)))
    latest: np.ndarray = rows[times >= moments[first]]
    return latest


def compact(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Renumber (n,) from 0 without gaps, in rising order; return the numbers and how often each occurs."""
    if not len(numbers) or numbers.min() < 0 or numbers.max() > 4 * len(numbers):
        _, renumbered, counts = np.unique(numbers, return_inverse=True, return_counts=True)
        return renumbered, counts
    counts = np.bincount(numbers)  # by counting: a tenth of the time that sorting five million takes
    return (np.cumsum(counts > 0) - 1)[numbers], counts[counts > 0]


def renumbered(groups: np.ndarray) -> np.ndarray:
    """Return groups (n,) numbered from 0 without gaps; -1 stays for rows alone."""
    found = np.full(len(groups), -1, dtype=np.int64)
    members = np.flatnonzero(groups >= 0)
    found[members], _ = compact(groups[members])
    return found


def sharing(groups: np.ndarray, *rows: np.ndarray) -> np.ndarray:
    """Return a mask (n,) of the rows of those groups (`renumbered`, (n,)) that any of these rows is of."""
    table = np.zeros(int(groups.max(initial=-1)) + 2, dtype=bool)  # the last place is that of rows alone, -1
    for each in rows:
        table[groups[each]] = True
    table[-1] = False
    return np.asarray(table[groups])


def by_stratum(strata: np.ndarray, width: int, rng: np.random.Generator) -> np.ndarray:
    """Return the places (n,) of all rows, stratum by stratum (below `width`), in random order within each."""
    shuffled = rng.permutation(len(strata))
    narrow = strata.astype(np.int16) if width < 2**15 else strata  # 16 bits are sorted by radix, in linear time
    return np.asarray(shuffled[np.argsort(narrow[shuffled], kind="stable")])


def latest_of(times: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the times (n,) with all rows of a group moved to the latest of them; `groups` is -1 for rows alone."""
    members = np.flatnonzero(groups >= 0)
    if not len(members):
        return times
    inverse, sizes = compact(groups[members])
    latest = np.full(len(sizes), -np.inf)
    np.maximum.at(latest, inverse, times[members])
    moved = times.copy()
    moved[members] = latest[inverse]
    return moved


def numbered(groups: np.ndarray) -> np.ndarray:
    """Number the groups from 0, int64 (n,); those of a single row count as rows alone, -1."""
    units = np.full(len(groups), -1, dtype=np.int64)
    members = np.flatnonzero(groups >= 0)
    inverse, sizes = compact(groups[members])
    place = np.cumsum(sizes > 1) - 1
    units[members] = np.where(sizes[inverse] > 1, place[inverse], -1)
    return units


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """How many rows of which stratum some groups have: the i-th has `counts[at[i]:at[i + 1]]` of `strata[…]`."""

    at: list[int]
    strata: list[int]
    counts: list[int]

    def of(self, place: int) -> list[tuple[int, int]]:
        """Return the (stratum, rows) of the i-th group."""
        here = slice(self.at[place], self.at[place + 1])
        return list(zip(self.strata[here], self.counts[here], strict=True))

    def __len__(self) -> int:
        return len(self.at) - 1


def contents_of(wanted: np.ndarray, units: np.ndarray, strata: np.ndarray, width: int) -> Contents:
    """Count the rows of each wanted group; `units` (n,) are the groups of all rows, `strata` (n,) are below `width`."""
    place = np.full(max(int(units.max(initial=0)), int(wanted.max(initial=0))) + 1, -1, dtype=np.int64)
    place[wanted] = np.arange(len(wanted))
    there = np.flatnonzero((units >= 0) & (place[units] >= 0))
    keys, counts = np.unique(place[units[there]] * width + strata[there], return_counts=True)
    at = np.searchsorted(keys, np.arange(len(wanted) + 1) * width)
    return Contents(at.tolist(), (keys % width).tolist(), counts.tolist())


def _marks(units: np.ndarray, chosen: np.ndarray | list[int]) -> np.ndarray:
    """Return a mask of the rows whose group is chosen."""
    table = np.zeros(int(units.max(initial=-1)) + 2, dtype=bool)  # the last place is that of rows alone, -1
    table[chosen] = True
    return np.asarray(table[units])


def _choose(contents: Contents, goals: np.ndarray, counts: np.ndarray) -> list[int]:
    """Return the places of the groups to take, gone through in order, so that the strata come near their goals."""
    goal: list[float] = goals.tolist()
    most: list[int] = (counts // 2).tolist()
    count_of: list[int] = counts.tolist()
    taken, left = [0] * len(goal), float(goals.sum())
    room = left * _SLACK

    def gain(content: list[tuple[int, int]]) -> float:
        """By how much the sum of squared distances from the goals shrinks; 0 where a class would give too much."""
        if any(taken[each] + rows > most[each] for each, rows in content):
            return 0.0
        return sum(rows * (2 * (goal[each] - taken[each]) - rows) / count_of[each] for each, rows in content)

    chosen: list[int] = []
    best, passed = 0.0, -1  # the best of the groups that were too large for the room there was
    for place in range(len(contents)):
        if left <= 0:
            return chosen
        content = contents.of(place)
        worth, size = gain(content), sum(rows for _, rows in content)
        if worth > 0 and size > room:
            best, passed = max((best, passed), (worth, place))
        elif worth > 0:
            chosen.append(place)
            left, room = left - size, room - size
            for each, rows in content:
                taken[each] += rows
    if passed >= 0 and left > goals.sum() / 2 and gain(contents.of(passed)) > 0:
        chosen.append(passed)  # what fits is too little: rather one that is somewhat too large
    return chosen


def _least_bad(contents: Contents, quotas: np.ndarray, counts: np.ndarray) -> list[int]:
    """Return the place of the group that comes nearest to the quotas and takes the last row of no stratum."""
    quota_of: list[int] = quotas.tolist()
    count_of: list[int] = counts.tolist()

    def distance(place: int) -> float:
        return sum(rows * (rows - 2 * quota_of[each]) / count_of[each] for each, rows in contents.of(place))

    spare = [place for place in range(len(contents)) if all(rows < count_of[each] for each, rows in contents.of(place))]
    return [min(spare, key=distance)] if spare else []


def _draw(strata: np.ndarray, quotas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw from every stratum (its number for each row, (n,)) at random what its quota says; rising places."""
    counts = np.bincount(strata, minlength=len(quotas))
    by_class = by_stratum(strata, len(quotas), rng)
    place = np.arange(len(strata)) - np.repeat(np.cumsum(counts) - counts, counts)  # within the class
    chosen: np.ndarray = np.sort(by_class[place < np.repeat(quotas, counts)])
    return chosen


def _quotas(counts: np.ndarray, wanted: int) -> np.ndarray:
    """Share `wanted` among the classes by their size (largest remainders), within what each can give.

    A class gives two rows where it has five, one where it has two, and never more than half.
    """
    most = counts // 2
    least = np.minimum(min(2, MOST_VALID // len(counts)), np.minimum(-(-counts // 4), most))
    ideal = counts * (wanted / counts.sum())
    quotas: np.ndarray = np.clip(np.floor(ideal).astype(np.int64), least, most)
    for number in np.argsort(np.floor(ideal) - ideal, kind="stable"):
        if quotas.sum() >= wanted:
            break
        if quotas[number] < min(most[number], np.ceil(ideal[number])):
            quotas[number] += 1
    return quotas
