"""The whole engine in one paragraph: read, check, split, describe, compose, search, rank, bundle.

What each step does stands in `steps`; what a run needs open while it lasts, in `session`.
"""

from __future__ import annotations

from seedbed.core.session import Request, Session
from seedbed.core.steps import Outcome, Steps

__all__ = ["Outcome", "fit"]


def fit(request: Request) -> Outcome:
    """Do a run from its address to its bundle.

    Raises:
        DataError: the data cannot be used.
        UsageError: the settings do not fit together, or not to the folder or the data.
        PluginError: a component the run cannot do without is broken.
        NoCandidateSucceeded: every trial failed, the baselines too.
        Interrupted: the run was cancelled before there was a model.
    """
    with Session(request) as session:
        run = Steps(session)
        dataset = run.read()
        prepared = run.prepare(dataset)
        checked = run.check(dataset, prepared)
        splits = run.split(dataset, checked)
        ready = run.feed(dataset, prepared, splits)
        profile = run.describe(dataset, ready, checked, splits)
        composition = run.compose(profile)
        ended = run.search(composition, ready, profile)
        ranking = run.rank(profile)
        run.keep(ranking, ready, profile)
        run.score(ready, profile)
        return run.finish(ended, ranking)
