"""Waiting for what a backend tells."""

import time

from seedbed.core.search.events import EpochFinished, TrialPlaced

SECONDS = 90.0


def until(backend, kinds, events=None):
    """Poll until an event of these kinds comes; return all that came."""
    events, limit = [] if events is None else events, time.monotonic() + SECONDS
    while time.monotonic() < limit:
        events += backend.poll(0.2)
        if events and isinstance(events[-1], kinds):
            return events
    raise AssertionError(f"no {kinds} within {SECONDS} s: {events}")


def looks(events):
    return [each.epoch for each in events if isinstance(each, EpochFinished)]


def until_looks(backend, count, events):
    while len(looks(events)) < count:
        until(backend, EpochFinished, events)
    return events


def job_names(events):
    return [each.place for each in events if isinstance(each, TrialPlaced)]
