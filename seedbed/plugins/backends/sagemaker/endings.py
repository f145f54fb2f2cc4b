"""What an ended training job means for its trial. Pure."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from seedbed.core.search.attempting import failed, stopped
from seedbed.core.search.candidate import TrialJob
from seedbed.core.search.events import Event, TrialFailed, TrialStopped

log = logging.getLogger(__name__)

_PASSING = ("InternalServerError", "CapacityError", "Insufficient capacity", "insufficient capacity", "ResourceLimit")
_TIMES_UP = ("MaxRuntimeExceeded", "MaxWaitTimeExceeded")
_MEMORY = "the container was killed (exit code 137): its machine had run out of memory; choose a larger instance_type, "
_MEMORY += "or a smaller architecture or resolution"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What is known of a job that has ended: the service's words, and the last event of its log, if it got so far.

    `asked` where this run asked it to end, `known_before` where it had ended before this session of the run began.
    `has_look` where a look was told, and so files may be there.
    """

    status: str
    secondary: str
    reason: str
    last: Event | None
    asked: bool
    known_before: bool
    has_look: bool


@dataclass(frozen=True, slots=True)
class Again:
    """The trial goes on as another job, from what it has left in the bucket."""

    why: str


def verdict(job: TrialJob, ended: Ended, *, left: int) -> Event | Again:
    """Say what becomes of the trial; `left` is how many more attempts it has."""
    if ended.status == "Completed":
        return ended.last or failed(job, "The job completed without saying how.")
    if ended.status == "Stopped":
        return _stopped(job, ended, left)
    if isinstance(ended.last, TrialFailed):
        return ended.last
    if any(each in ended.reason for each in _PASSING):
        if left > 0:
            return Again(ended.reason)
        return failed(job, f"{ended.reason} Its attempts are used up.", ended.reason)
    words = _MEMORY if "exit code: 137" in ended.reason else ended.reason.splitlines()[0] if ended.reason else "failed"
    return failed(job, words, ended.reason)


def _stopped(job: TrialJob, ended: Ended, left: int) -> Event | Again:
    if ended.asked:
        return ended.last or stopped(job, "stopped on request")
    if ended.secondary in _TIMES_UP:
        words = f"the service ended it: {ended.secondary}"
        if not ended.has_look:
            return failed(job, f"{words}; give it more time (--time), or a faster instance_type")
        if isinstance(ended.last, TrialStopped):
            return replace(ended.last, reason=words)
        return stopped(job, words)
    if ended.last is not None and not isinstance(ended.last, TrialStopped):
        return ended.last  # it had come to its end when the stop arrived
    if ended.known_before and left > 0:
        return Again("an earlier session of the run ended while it was training")
    return stopped(job, "stopped from outside")


def after_study(*, status: str, secondary: str, reason: str, asked: bool, known_before: bool, left: int) -> Again | str:
    """Say what becomes of a whole study: "" where its run is to be taken as it is, else why it failed.

    `known_before` where the job had ended before this session of the run began, and in the middle of the study.
    """
    if status == "Completed" or asked:
        return ""
    if status == "Stopped":
        if known_before and left > 0:
            return Again("an earlier session of the run ended while it went on")
        words = secondary if secondary in _TIMES_UP else "it was stopped from outside"
        log.warning("The training job of the study did not come to its end: %s. What it had reached is kept.", words)
        return ""
    if any(each in reason for each in _PASSING):
        return Again(reason) if left > 0 else f"{reason} Its attempts are used up"
    return _MEMORY if "exit code: 137" in reason else reason or "it failed without a reason"
