"""What a plan in work units may know: the results of trials that lie far enough back, and nothing of the clock.

With `--trials` and no time limit a run is a plan: proposal number n follows from the results of the trials up to
n - `ahead`, whether one worker ran them, one after the other, or four at once, in whatever order. So the same
seed gives the same trials, and the same leaderboard.
"""

from __future__ import annotations

from dataclasses import replace

from seedbed.core.search.events import (
    EpochFinished,
    Event,
    FindingMade,
    TrialBilled,
    TrialFailed,
    TrialFinished,
    TrialPlaced,
    TrialPlanned,
    TrialRefused,
    TrialStarted,
    TrialStopped,
)
from seedbed.core.search.history import History

AHEAD = 4
"""How many trials are planned before the result of the first of them is known, unless there are more workers."""

_OF_A_TRIAL = (TrialPlanned, EpochFinished, TrialFinished, TrialStopped, TrialRefused, TrialFailed)
_LAST = (TrialFinished, TrialStopped, TrialRefused, TrialFailed)


class Planned:
    """The part of a history that a plan goes by: trials as soon as they begin, what became of them later."""

    def __init__(self, ahead: int) -> None:
        self.history = History()
        self._ahead = ahead
        self._told: dict[int, list[Event]] = {}
        """What came of the trials that are not known of yet."""

    def take(self, event: Event) -> None:
        """Take an event in; what it tells of a trial waits until a proposal may know it."""
        if isinstance(event, TrialStopped) and event.resumable:
            self._told.pop(event.trial, None)
            self.history.apply(_timeless(event))  # at once: it is no result, and the candidate shall come again
        elif isinstance(event, TrialPlaced | TrialBilled):
            return  # where a trial runs must not move a plan
        elif isinstance(event, _OF_A_TRIAL):
            if event.trial in self._told:  # else it is known already, or never began
                self._told[event.trial].append(_timeless(event))
        elif isinstance(event, FindingMade) and event.trial in self._told:
            self._told[event.trial].append(event)
        else:
            self.history.apply(replace(event, at=0.0))
            if isinstance(event, TrialStarted):
                self._told.setdefault(event.trial, [])

    def is_ready(self, number: int) -> bool:
        """Make known what proposal `number` goes by; False while a trial that belongs to it has not ended."""
        for trial in sorted(self._told):
            if trial > number - self._ahead:
                break
            if not any(isinstance(event, _LAST) for event in self._told[trial]):
                return False
            for event in self._told.pop(trial):
                self.history.apply(event)
        return True

    def tell_all(self) -> bool:
        """Make known what came of all trials, now that none is under way; say whether that is news."""
        news = [event for trial in sorted(self._told) for event in self._told[trial]]
        self._told.clear()
        for event in news:
            self.history.apply(event)
        return bool(news)


def _timeless(event: Event) -> Event:
    """Return the event without what a clock told: no strategy can then be moved by it."""
    event = replace(event, at=0.0)
    match event:
        case EpochFinished():
            return replace(event, seconds=0.0, decisions=())
        case TrialFinished():
            return replace(event, seconds=0.0, row_seconds=0.0, latency_p50=0.0, latency_p95=0.0, decisions=())
        case TrialStopped():
            return replace(event, seconds=0.0, decisions=())
        case TrialRefused() | TrialFailed():
            return replace(event, seconds=0.0)
    return event
