"""What the live view shows: a snapshot of the run, and how it is drawn. Pure, apart from importing rich."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from seedbed.core.data.profile import Profile
from seedbed.core.search.events import BundleEvaluated, BundleSaved
from seedbed.core.search.history import History, Status, Trial
from seedbed.core.task import written
from seedbed.plugins.monitors import words

Direction = Literal["max", "min"]

_BAR = "cyan"
_BAR_WIDTH = 20
_BEST_ROWS = 5
_RUNNING_ROWS = 6
_WITHOUT: tuple[Status, ...] = ("failed", "refused")
"""How trials end without a place among the best."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What is known at one moment; `at` is the run's age in seconds, `seen` the clock's reading then."""

    stage: str = ""
    profile: Profile | None = None
    trials: tuple[Trial, ...] = ()
    bundle: BundleSaved | None = None
    evaluation: BundleEvaluated | None = None
    at: float = 0.0
    seen: float = 0.0
    budget_seconds: float | None = None
    budget_trials: int | None = None
    direction: Direction = "max"


def snapshot(
    history: History,
    *,
    stage: str,
    seen: float,
    budget_seconds: float | None,
    direction: Direction,
) -> View:
    """Take from the history what the view shows; it goes on changing, the snapshot does not."""
    return View(
        stage=stage,
        profile=history.profile,
        trials=tuple(history),
        bundle=history.bundle,
        evaluation=history.evaluation,
        at=history.seconds,
        seen=seen,
        budget_seconds=budget_seconds,
        budget_trials=history.started.budget_trials if history.started else None,
        direction=direction,
    )


def draw(view: View, now: float) -> RenderableType:
    """Draw the view as it is at the clock's reading `now`."""
    parts: list[RenderableType] = [_header(view, view.at + max(0.0, now - view.seen))]
    if any(not trial.is_finished for trial in view.trials):
        parts.append(_under_way(view, now))
    if any(trial.score is not None and trial.status not in _WITHOUT for trial in view.trials):
        parts.append(_best(view))
    return Group(*parts)


def _header(view: View, age: float) -> RenderableType:
    title = Text(view.stage or "starting", style="bold")
    if view.profile is not None:
        title.append(f"  {words.described(view.profile)}", style="dim")
    grid = Table.grid(padding=(0, 2))
    if view.budget_seconds is not None:
        left = view.budget_seconds - age
        bar = ProgressBar(
            total=view.budget_seconds, completed=min(age, view.budget_seconds), width=36, complete_style=_BAR
        )
        rest = f"{words.duration(left)} left" if left >= 0 else f"{words.duration(-left)} over"
        grid.add_row(bar, Text(f"{words.duration(age)} used, {rest}"))
    elif view.budget_trials is not None:
        ended = sum(each.is_finished and each.role == "candidate" for each in view.trials)
        bar = ProgressBar(total=view.budget_trials, completed=ended, width=36, complete_style=_BAR)
        grid.add_row(bar, Text(f"{ended} of {view.budget_trials} trials, {words.duration(age)} used"))
    else:
        grid.add_row(Text(f"{words.duration(age)} used"))
    return Group(Text(), title, grid)


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    for column in columns:
        right = column not in ("", "candidate", "progress")
        # Where the terminal is narrow, columns that may wrap are cut first: a candidate's name before any number.
        is_cut = column == "candidate"
        table.add_column(column, justify="right" if right else "left", no_wrap=not is_cut, overflow="ellipsis")
    return table


def _name(trial: Trial) -> Text:
    return Text(trial.label, no_wrap=True, overflow="ellipsis")


def _under_way(view: View, now: float) -> RenderableType:
    table = _table("trial", "progress", "", "seconds", "epoch", _metric(view), "lr", "candidate")
    running = [trial for trial in view.trials if not trial.is_finished]
    folds, age = view.profile.folds if view.profile else 0, view.at + max(0.0, now - view.seen)
    for trial in running[:_RUNNING_ROWS]:
        last = trial.curve[-1] if trial.curve else None
        first = last.progress if last else 0.0
        is_silent = folds > 0 and first >= 1  # of the other folds no events come
        done = first / (folds + 1) if folds else first  # each fold, and then all rows, is given the same time
        bar = ProgressBar(total=1.0, completed=done, width=_BAR_WIDTH, complete_style=_BAR)
        table.add_row(
            str(trial.number),
            Text(words.over_folds(folds)) if is_silent else bar,
            "" if is_silent else f"{done:.0%}" if last else "-",
            f"{max(0.0, age - trial.started):.0f}",
            f"{last.epoch:.3g}" if last else "-",
            written(last.score) if last else "-",
            f"{last.lr:.2g}" if last else "-",
            _name(trial).append(f" {words.in_parts(trial.plan)}".rstrip(), style="dim"),
        )
    hidden = len(running) - _RUNNING_ROWS
    return Group(Text(), table, *([Text(f"and {hidden} more", style="dim")] if hidden > 0 else []))


def _best(view: View) -> RenderableType:
    table = _table("best", "trial", _metric(view), "seconds", "candidate", "")
    sign = -1.0 if view.direction == "max" else 1.0
    scored = [(t.score, t) for t in view.trials if t.score is not None and t.status not in _WITHOUT]
    scored.sort(key=lambda pair: (sign * pair[0], pair[1].number))
    in_use = view.bundle.trials if view.bundle else ()
    for rank, (score, trial) in enumerate(scored[:_BEST_ROWS], start=1):
        table.add_row(
            str(rank),
            str(trial.number),
            written(score),
            f"{trial.seconds:.1f}",
            _name(trial),
            Text("saved" if trial.number in in_use else "", style="green"),
        )
    ended = f"{len(scored)} trial{'' if len(scored) == 1 else 's'} with a score"
    for status in _WITHOUT:
        count = sum(trial.status == status for trial in view.trials)
        ended += f", {count} {status}" if count else ""
    return Group(Text(), table, Text(ended, style="dim"))


def _metric(view: View) -> str:
    return view.profile.task.metric if view.profile else "score"
