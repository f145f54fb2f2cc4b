"""The leaderboard as a terminal shows it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seedbed.show import interval, number, table, ties

if TYPE_CHECKING:
    from seedbed.core.results.leaderboard import Leaderboard, Row

WIDTH = 100
"""Columns of a terminal that nothing is known of."""

MOST = 20
"""Rows that a terminal shows of either sort, beside baselines and marked rows, unless it is asked for all."""

_CUT = 12
"""Characters that a candidate's name may lose to the other columns, if it keeps `_LEAST_NAME`."""

_LEAST_NAME = 20
_FRONT = "*"
_NOTES = {
    "corrected": "corrected: the {score} to expect of new rows, without the luck of having been picked",
    "billed": "billed: seconds of a paid machine",
    "latency": "latency: of one row alone, the median",
    _FRONT: f"{_FRONT}: no other row is as good, as fast and as small",
}


@dataclass(frozen=True, kw_only=True)
class _Column:
    """A column of the ranked rows; the higher its `place` among those that may go, the sooner it goes, 0 never."""

    name: str
    cell: Callable[[Row], str]
    place: int = 0
    is_number: bool = True


def leaderboard(board: Leaderboard, *, width: int = WIDTH, most: int | None = MOST) -> str:
    """Show the ranked trials, who is tied with whom, and below why others have no place.

    What does not fit into the width is left out, column by column; `--json` has it all. Of either sort the first
    `most` are shown, baselines and rows that no other makes superfluous wherever they stand, and of the rest how
    many they are; all where it is None.
    """
    all_ranked = [row for row in board.rows if row.rank is not None]
    all_others = [row for row in board.rows if row.rank is None]
    ranked = [row for n, row in enumerate(all_ranked) if _is_shown(row, n, most)]
    others = all_others[:most]
    parts = []
    if ranked:
        columns = _fitting(_columns(board, all_ranked, ranked), ranked, width)
        lines = [[column.cell(row) for column in columns] for row in ranked]
        right = [column.name for column in columns if column.is_number]
        shown = table([column.name for column in columns], lines, right=right)
        parts.append(shown + _more(len(all_ranked) - len(ranked)))
        parts += [_legend(columns, ranked, board.metric or "score"), ties(board)]
    if others:
        header = ["trial", "status", "seconds", "candidate", "reason"]
        parts += [
            "Without a place:",
            table(header, [_unranked(row) for row in others], right=("trial", "seconds"))
            + _more(len(all_others) - len(others)),
        ]
    return "\n\n".join(filter(None, parts)) or "No trial has started."


def _is_shown(row: Row, place: int, most: int | None) -> bool:
    return most is None or place < most or row.role == "baseline" or row.on_front


def _more(count: int) -> str:
    return f"\n... and {count:,} more; --all shows them." if count else ""


def _columns(board: Leaderboard, ranked: Sequence[Row], shown: Sequence[Row]) -> list[_Column]:
    """Return the columns that have something to say of the shown ones among the ranked."""
    sizes = Counter(row.tie_group for row in ranked)
    leaders = {row.tie_group: row.rank for row in reversed(ranked)}

    def tie(row: Row) -> str:
        if sizes[row.tie_group] == 1:
            return ""
        return "tied" if row.tie_group == 1 else f"tied #{leaders[row.tie_group]}"

    found = [
        _Column(name="rank", cell=lambda row: f"{row.rank}{_FRONT if row.on_front else ' '}"),
        _Column(name="tie", cell=tie, place=2, is_number=False),
        _Column(name="trial", cell=lambda row: str(row.trial) if row.trial >= 0 else "-"),
        _Column(name=board.metric or "score", cell=lambda row: number(row.score)),
        _Column(name="corrected", cell=lambda row: number(row.corrected)),
        _Column(name="95 % interval", cell=interval),
        _Column(name="first", cell=_chance, place=3),
        _Column(name="seconds", cell=lambda row: f"{row.seconds:.1f}", place=4),
        _Column(name="billed", cell=_billed),
        _Column(name="latency", cell=lambda row: _in_words(row.latency_p50, _TIMES)),
        _Column(name="size", cell=lambda row: _in_words(row.size_bytes, _SIZES), place=1),
        _Column(name="candidate", cell=_candidate, is_number=False),
    ]
    may_be_empty = {"tie", "corrected", "billed", "latency", "size"}
    return [
        each for each in found if each.name not in may_be_empty or any(each.cell(row) not in ("", "-") for row in shown)
    ]


def _fitting(columns: Sequence[_Column], ranked: Sequence[Row], width: int) -> list[_Column]:
    """Return the columns, without those that matter least as long as a line is too long.

    Long names of candidates are cut before anything goes that is not said elsewhere.
    """
    kept = list(columns)
    sizes = {each.name: max(len(each.name), *(len(each.cell(row)) for row in ranked)) for each in columns}

    def excess() -> int:
        return sum(sizes[each.name] + 2 for each in kept) - 2 - width

    for gone in sorted((each for each in columns if each.place), key=lambda each: -each.place):
        if excess() <= (_CUT if gone.place == 1 else 0):
            break
        kept.remove(gone)
    if excess() > 0:
        most = max(sizes["candidate"] - excess(), _LEAST_NAME)
        kept[-1] = replace(kept[-1], cell=lambda row: _candidate(row, most))
    return kept


def _legend(columns: Iterable[_Column], ranked: Sequence[Row], score: str) -> str:
    shown = {column.name for column in columns} | {_FRONT for row in ranked if row.on_front}
    return "\n".join(note.format(score=score) for name, note in _NOTES.items() if name in shown)


def _chance(row: Row) -> str:
    return "" if row.best_probability is None else f"{row.best_probability:.0%}"


def _billed(row: Row) -> str:
    return "-" if row.billed_seconds is None else f"{row.billed_seconds:,.0f}"


def _candidate(row: Row, most: int | None = None) -> str:
    """Return what was tried, and what else one should know of it, in so many characters where that is said."""
    said = "baseline" if row.role == "baseline" else row.status
    more = "" if said == "finished" else f" ({said})"
    if most is None or len(row.candidate) + len(more) <= most:
        return f"{row.candidate}{more}"
    return f"{row.candidate[: max(most - len(more) - 1, 0)]}…{more}"


def _unranked(row: Row) -> tuple[str, ...]:
    reason = next((line.strip() for line in row.reason.splitlines() if line.strip()), "")
    return (str(row.trial), row.status, f"{row.seconds:.1f}", row.candidate, reason)


_TIMES = ((1.0, "s"), (1e-3, "ms"))
_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))


def _in_words(value: float | None, units: Sequence[tuple[float, str]]) -> str:
    """Return a quantity in two digits or three, as `3.2 ms`; a dash where it is not known."""
    if not value:
        return "-"
    factor, unit = next((each for each in units if value >= 0.9995 * each[0]), units[-1])
    amount = value / factor
    return f"{amount:.0f} {unit}" if amount >= 9.95 else f"{amount:.2g} {unit}"
