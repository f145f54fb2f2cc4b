"""A warm start: what did well in earlier runs on like data, among the defaults, and what it is expected to cost.

All of it comes from the run's own history, which has what the journal says: a run goes on, and is done again,
without the store that it came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from seedbed.core.data.profile import Profile
from seedbed.core.search.experience import PastPoint, Prior, fitted
from seedbed.core.search.history import History
from seedbed.core.space import Space, Value, Values

DOUBT = 2.0
"""By how much the cost told by another run may be off: it had other rows, and a machine that did other things."""

_MOST = 3
"""Past points that are tried beside that winner: the run's own results soon say more."""

_LEAST_SHARE = 0.5
"""Of the time that a past winner took, what must be there for it to come before the defaults."""


def warmed(
    defaults: Iterable[dict[str, Value]], space: Space, prior: Prior, history: History
) -> Iterator[dict[str, Value]]:
    """Yield the defaults with past points in their places: points of the space, none of them twice.

    A past winner of the very same data comes first, where there is time for it. Other points follow the first
    default, once any candidate has a result: they won on other data, and must not delay the first model.
    """
    seen: list[dict[str, Value]] = []

    def fresh(values: dict[str, Value] | None) -> Iterator[dict[str, Value]]:
        if values is not None and values not in seen:
            seen.append(values)
            yield values

    # A run that is resumed may offer less than it did.
    first = next((each for each in prior.points[:1] if _is_winner_here(each, history)), None)
    if first is not None:
        yield from fresh(fitted(space, first.values))
    later = [each for each in prior.points if each is not first][:_MOST]
    for number, values in enumerate(defaults):
        yield from fresh(values)
        if number == 0 and history.tally.best is not None:
            for point in later:
                yield from fresh(fitted(space, point.values))


def _is_winner_here(point: PastPoint, history: History) -> bool:
    left = history.remaining.seconds
    return point.is_same_data and (left is None or left >= _LEAST_SHARE * point.seconds)


def past_seconds(values: Values, epochs: float, profile: Profile, prior: Prior) -> float | None:
    """Return what a candidate should cost by what earlier runs on this machine took; None where none tells."""
    found = prior.seconds_an_epoch(values, profile.size)
    return None if found is None else found * epochs
