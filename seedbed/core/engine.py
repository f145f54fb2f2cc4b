"""The whole engine in one paragraph: read, check, split, describe, compose, search, rank, bundle.

What each step does stands in `steps`; what a run needs open while it lasts, in `session`.
"""

from __future__ import annotations

from seedbed.core.data.preparing.prepare_again import Ready
from seedbed.core.data.profile import Profile
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError
from seedbed.core.hosting import hand_over
from seedbed.core.session import Request, Session
from seedbed.core.steps import Outcome, Steps

__all__ = ["Outcome", "fit", "go_on"]


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
        return hand_over(run, ready, profile) if session.is_elsewhere else _learn(run, ready, profile)


def go_on(request: Request, ready: Ready, schema: Schema) -> Outcome:
    """Do the rest of a run whose data was described elsewhere: its journal lies in `request.out`.

    Raises:
        SeedbedError: as `fit`.
    """
    with Session(request) as session:
        run = Steps(session)
        run.schema = schema
        profile = run.described
        if profile is None:
            raise DataError(f"{run.folder.path} tells of no data; the run has to begin where its data is.")
        return _learn(run, ready, profile)


def _learn(run: Steps, ready: Ready, profile: Profile) -> Outcome:
    composition = run.compose(profile)
    ended = run.search(composition, ready, profile)
    ranking = run.rank(profile)
    run.keep(ranking, ready, profile)
    run.score(ready, profile)
    return run.finish(ended, ranking)
