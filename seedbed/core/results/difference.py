"""Why two runs differ: what was asked, with what, on which data, and where their ways first part. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from seedbed.core.results.leaderboard import Leaderboard
from seedbed.core.search.candidate import Role
from seedbed.core.search.history import History, Trial
from seedbed.core.task import written

Kind = Literal["cause", "course", "result"]

_MATTERS_NOT = frozenset({"workers", "backend", "offline"})
"""Settings that change how long a run takes, and nothing that comes of it."""

_MOST_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two runs: what its folder tells. `packages` maps names of installed distributions to versions."""

    settings: Mapping[str, object]
    version: str
    packages: Mapping[str, str]
    history: History
    board: Leaderboard


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not the same: a cause of others, where the runs part, or what they came to."""

    kind: Kind
    what: str
    one: str
    other: str


def compare(one: Side, other: Side) -> list[Difference]:
    """Return the differences, causes first, then where the ways part, then the results; empty for equal runs."""
    return [*_causes(one, other), *_course(one.history, other.history), *_results(one.board, other.board)]


def _causes(one: Side, other: Side) -> Iterator[Difference]:
    ours, theirs = one.history, other.history
    prints = [each.profile.fingerprint if each.profile else "never read" for each in (ours, theirs)]
    yield from _if_unlike("cause", "the data (fingerprint)", *prints)
    yield from _if_unlike("cause", "version of Seedbed", one.version, other.version)
    for name in sorted({*one.settings, *other.settings} - _MATTERS_NOT - {"source"}):
        yield from _if_unlike("cause", f"setting {name}", one.settings.get(name), other.settings.get(name))
    started = [each.started for each in (ours, theirs)]
    threads, ahead = ([getattr(each, name, 0) for each in started] for name in ("threads", "ahead"))
    yield from _if_unlike("cause", "threads of a trial (they decide how sums are rounded)", *threads)
    if not any(each is not None and each.replays for each in started):  # that plans nothing
        yield from _if_unlike("cause", "trials planned ahead of their results", *ahead)
    changed = [
        name
        for name in sorted({*one.packages, *other.packages}, key=str.lower)
        if one.packages.get(name) != other.packages.get(name)
    ]
    for name in changed[:_MOST_SHOWN]:
        yield from _if_unlike("cause", f"package {name}", one.packages.get(name), other.packages.get(name))
    if len(changed) > _MOST_SHOWN:
        yield Difference(kind="cause", what="packages", one=f"and {len(changed) - _MOST_SHOWN} more differ", other="")


def _course(one: History, other: History) -> Iterator[Difference]:
    """Yield where the trials first part, and how."""
    for mine, yours in zip_longest(one, other):
        if mine is None or yours is None:
            yield Difference(kind="course", what="number of trials", one=str(len(one)), other=str(len(other)))
            return
        if found := list(_parting(mine, yours)):
            yield from found
            return


def _parting(one: Trial, other: Trial) -> Iterator[Difference]:
    name = f"trial {one.number}"
    mine, yours = one.candidate.values, other.candidate.values
    if mine != yours:
        for key in sorted({*mine, *yours}):
            yield from _if_unlike("course", f"{name}: {key}", mine.get(key), yours.get(key))
        return
    yield from _if_unlike(
        "course", f"{name}: versions of its components", one.candidate.versions, other.candidate.versions
    )
    yield from _if_unlike("course", f"{name}: fidelity", one.fidelity, other.fidelity)
    yield from _if_unlike("course", f"{name}: how it ended", one.status, other.status)
    for before, after in zip_longest(one.decisions, other.decisions):
        if before != after:
            what = f"{name}: what the clock decided first otherwise"
            yield Difference(kind="course", what=what, one=_decision(before), other=_decision(after))
            break
    scores = [None if each.score is None else written(each.score) for each in (one, other)]
    yield from _if_unlike("course", f"{name}: score", *scores)


def _decision(found: tuple[str, object] | None) -> str:
    return "nothing more" if found is None else f"{found[0]} = {found[1]}"


def _results(one: Leaderboard, other: Leaderboard) -> Iterator[Difference]:
    roles: tuple[Role, ...] = ("candidate", "baseline")
    for role in roles:
        best = [board.first(role) for board in (one, other)]
        said = ["none" if row is None else f"{row.candidate} {written(row.score or 0.0)}" for row in best]
        yield from _if_unlike("result", f"the best {role}", *said)


def _if_unlike(kind: Kind, what: str, one: object, other: object) -> Iterator[Difference]:
    if one != other:
        yield Difference(kind=kind, what=what, one=_text(one), other=_text(other))


def _text(value: object) -> str:
    return "nothing" if value is None else str(value)
