"""The terminal events that a backend itself must find words for."""

from __future__ import annotations

from seedbed.core.search.candidate import EvaluationJob, Job
from seedbed.core.search.events import EvaluationFailed, Event, TrialFailed, TrialStopped


def failed(job: Job, error: str, traceback: str = "", seconds: float = 0.0) -> Event:
    """The job ended without a result; `error` is one line."""
    # Names of files may hold bytes that are no UTF-8 (surrogates in Python), which JSON cannot carry.
    error, traceback = (text.encode("utf-8", "backslashreplace").decode() for text in (error, traceback))
    if isinstance(job, EvaluationJob):
        return EvaluationFailed(error=error, traceback=traceback, trial=job.trial)
    return TrialFailed(trial=job.trial, error=error, traceback=traceback, seconds=seconds)


def stopped(job: Job, reason: str, seconds: float = 0.0) -> Event:
    """The job was ended on request; an evaluation has no result then, and so counts as failed."""
    if isinstance(job, EvaluationJob):
        return failed(job, reason)
    return TrialStopped(trial=job.trial, reason=reason, seconds=seconds)
