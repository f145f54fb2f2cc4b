"""What a replay and a comparison of two runs came to, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seedbed.core.results.difference import Difference
    from seedbed.replays import Replayed

_MOST_SHOWN = 10
_TITLES = {"cause": "Not the same:", "course": "Where their ways part:", "result": "What they came to:"}


def replayed(found: Replayed) -> str:
    """Say whether a run came to the same again."""
    trials = sum(row.rank is not None for row in found.run.leaderboard.rows)
    if not found.differences:
        return f"The same leaderboard to the last digit: {trials} rows.\nrun  {found.run.folder}"
    shown = [f"  {each}" for each in found.differences[:_MOST_SHOWN]]
    if len(found.differences) > _MOST_SHOWN:
        shown.append(f"  and {len(found.differences) - _MOST_SHOWN} more")
    return "\n".join(
        [
            "Not the same leaderboard:",
            *shown,
            f"run  {found.run.folder}",
            f"Why: seedbed diff {found.original} {found.run.folder}",
        ]
    )


def differences(found: Sequence[Difference], one: str, other: str) -> str:
    """Say why two runs differ."""
    if not found:
        return "Nothing differs: the same data, settings, packages, trials and results."
    lines = [f"one    {one}", f"other  {other}"]
    for kind, title in _TITLES.items():
        of_kind = [each for each in found if each.kind == kind]
        if of_kind:
            lines += ["", title, *(f"  {each.what}: {each.one} | {each.other}" for each in of_kind)]
    if not any(each.kind == "cause" for each in found):
        lines += [
            "",
            "Nothing that was asked differs: what a clock decided is all there is. `seedbed replay` repeats it.",
        ]
    return "\n".join(lines)


def difference_rows(found: Sequence[Difference]) -> list[dict[str, Any]]:
    """Return the differences for JSON."""
    return [asdict(each) for each in found]
