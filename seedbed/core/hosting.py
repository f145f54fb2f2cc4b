"""The rest of a study on a machine elsewhere: handed over, followed, brought home."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from typing import cast

from seedbed.core.data.preparing.prepare_again import Ready
from seedbed.core.data.profile import Profile
from seedbed.core.errors import Interrupted, NoCandidateSucceeded, PluginError, UsageError
from seedbed.core.results.ranking import rank_run
from seedbed.core.runfolder import take_in
from seedbed.core.search.compose import compose
from seedbed.core.search.events import StudyPlaced
from seedbed.core.search.handover import Hosted, Hosts, StudyOrder
from seedbed.core.search.journal import Journal
from seedbed.core.steps import Outcome, Steps

_POLL_SECONDS = 0.5
_THERE = "local"
"""The backend that a study runs with where it is handed to."""


def hand_over(run: Steps, ready: Ready, profile: Profile) -> Outcome:
    """Have all that follows the description of the data done elsewhere, show what is told of it, and bring it home.

    Raises:
        UsageError: what was asked cannot be done there.
        NoCandidateSucceeded: every trial failed; the run's folder has them.
        PluginError: it came to nothing there for another reason, or cannot be followed any further.
        Interrupted: the run was cancelled before there was a model.
    """
    history = run.chronicle.history
    if history.away is None and _has_all(run):
        return _outcome(run, profile, "")
    _check(run, profile)
    run.enter("sending", "what the study needs, to where it runs")
    attempts = max((each.attempt for each in history.returned.values()), default=0)
    hosted = cast(Hosts, run.backend).host(_order(run, ready, profile), history.away, attempts)
    _follow(run, hosted)
    _bring_home(run, hosted)
    return _outcome(run, profile, hosted.failure())


def _has_all(run: Steps) -> bool:
    """Whether a run that came home before has used up what it may use: a machine would start for nothing."""
    history = run.chronicle.history
    is_spent = run.budget.is_spent(history, run.chronicle.now())
    return history.bundle is not None and (is_spent or run.budget.enough(history) is not None)


def _check(run: Steps, profile: Profile) -> None:
    """Refuse here what would be refused there, where it is paid for."""
    compose(profile, run.settings, run.lookup, can_load=run.network.can_load(run.lookup))
    spec = run.lookup.get("strategy", run.settings.strategy)
    if hasattr(run.lookup.load(spec), "meet"):
        raise UsageError(
            f"The strategy {spec.name} has others begin its trials, and a whole study elsewhere begins its own; "
            "choose another --strategy, or leave --remote out."
        )


def _order(run: Steps, ready: Ready, profile: Profile) -> StudyOrder:
    settings = run.settings
    return StudyOrder(
        settings=replace(
            settings,
            backend=_THERE,
            seconds=run.budget.seconds,
            trials=run.budget.trials,
            target_score=run.budget.target_score,
            patience=run.budget.patience,
            fixed={name: each for name, each in settings.fixed.items() if not name.startswith("backend.")},
        ),
        asked=run.request.asked or settings,
        schema=run.schema,
        modality=profile.task.modality,
        began=time.time() - run.chronicle.now(),
        run=str(run.folder.path.absolute()),
        data=str(ready.prepared.folder.absolute()),
        tokens=ready.tokens_folder,
    )


def _follow(run: Steps, hosted: Hosted) -> None:
    """Tell of it until it is over; ask it to end where the user does, or the time is over."""
    is_asked = False
    while not hosted.is_over():
        for event in hosted.poll(_POLL_SECONDS):
            if isinstance(event, StudyPlaced):
                run.chronicle.record(event)
            else:
                run.chronicle.relay(event)
        is_late = run.budget.seconds is not None and run.chronicle.now() > run.budget.seconds
        if not is_asked and (is_late or run.request.cancelled()):
            hosted.stop()
            is_asked = True


def _bring_home(run: Steps, hosted: Hosted) -> None:
    """Put what is there in place of what is here, the journal last, which says what it cost as well."""
    brought = run.folder.path / "brought"
    for left in run.folder.path.glob(f"{brought.name}*"):  # of a session that died over it
        shutil.rmtree(left, ignore_errors=True)
    returned = [replace(each, at=round(run.chronicle.now(), 3)) for each in hosted.returned()]
    try:
        is_there = hosted.bring(brought)
        if is_there:
            with Journal(brought / run.folder.journal.name) as journal:
                for each in returned:
                    journal.append(each)
            run.chronicle.replace_journal(lambda: take_in(run.folder, brought))
    finally:
        shutil.rmtree(brought, ignore_errors=True)
    for each in returned:
        if is_there:
            run.chronicle.relay(each)
        else:
            run.chronicle.record(each)


def _outcome(run: Steps, profile: Profile, failure: str) -> Outcome:
    history = run.chronicle.history
    ranking = rank_run(
        history,
        profile,
        run.folder,
        run.lookup,
        seed=run.settings.seed,
        seconds_left=None,
        max_latency=run.settings.max_latency,
    )
    if history.bundle is None and run.request.cancelled():
        raise Interrupted("Stopped before the first model was trained; there is nothing to keep.")
    if history.bundle is None and len(history):
        raise NoCandidateSucceeded(
            f"No candidate succeeded: {failure or 'the study ended before any had a score'}. "
            f"`seedbed leaderboard {run.folder.path}` shows all."
        )
    if history.bundle is None or failure:
        kept = f" What it had reached is in {run.folder.path}." if history.bundle else ""
        raise PluginError(f"The study failed where it ran: {failure or 'it left nothing behind'}.{kept}")
    return Outcome(folder=run.folder, history=history, ranking=ranking)
