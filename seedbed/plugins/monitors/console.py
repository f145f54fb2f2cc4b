"""The live view in a terminal: sentences scroll by above, the state of the run stays below."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from seedbed.core.errors import UnknownName
from seedbed.core.protocols import Lookup, Monitor, Workplace
from seedbed.core.search.events import DataDescribed, Event, StageEntered, TrialStarted
from seedbed.core.search.history import History
from seedbed.core.specs import MetricSpec, NoOptions
from seedbed.plugins.monitors import words
from seedbed.plugins.monitors.plain import News, PlainMonitor
from seedbed.plugins.monitors.view import Direction, View, draw, snapshot

_FRAME_SECONDS = 0.125  # at most eight frames a second, and two where nothing happens: drawing takes time
_IDLE_SECONDS = 0.5
_CLOSE_SECONDS = 2.0
_STYLES = {"quiet": "dim", "normal": "", "good": "green", "warning": "yellow", "error": "bold red"}


class ConsoleMonitor:
    """Keeps a thread that draws: the run itself only leaves a snapshot, however slow the terminal is."""

    def __init__(self, console: Console, workplace: Workplace, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._lookup = workplace.lookup
        self._budget = workplace.budget_seconds
        self._clock = clock
        self._direction: Direction = "max"
        self._progress = News()
        self._stage = ""
        self._view = View(seen=clock(), budget_seconds=self._budget)
        self._lines: deque[Text] = deque()
        self._news = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="seedbed-console", daemon=True)
        self._thread.start()

    def on_event(self, event: Event, history: History) -> None:
        """Leave a snapshot, and a sentence where there is something to say, for the thread to draw."""
        on_view = self._progress.is_progress(event) or isinstance(event, TrialStarted)
        if isinstance(event, StageEntered):
            self._stage = f"{event.stage} {event.detail}".rstrip()
        if isinstance(event, DataDescribed):
            self._direction = _direction(self._lookup, event.profile.task.metric)
        said = words.sentence(event, history)
        if said is not None and not on_view:
            line = Text(f"{words.duration(history.seconds):>9}  ", style="dim", end="")
            line.append(said, style=_STYLES[words.weight(event)] or "not dim")
            self._lines.append(line)
        self._view = snapshot(
            history,
            stage=self._stage,
            seen=self._clock(),
            budget_seconds=self._budget,
            direction=self._direction,
        )
        self._news.set()

    def close(self) -> None:
        """Clear the view away; the sentences stay. A terminal that takes nothing is left after 2 s."""
        self._closing.set()
        self._news.set()
        self._thread.join(_CLOSE_SECONDS)

    def _draw(self) -> None:
        # Only stderr is taken over while the view is up, so that what others write there scrolls by above it.
        with Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False) as live:
            over = False
            while not over:
                over = self._closing.is_set()
                self._news.clear()
                while self._lines:
                    live.console.print(self._lines.popleft(), soft_wrap=True)
                live.update(draw(self._view, self._clock()), refresh=True)
                self._closing.wait(_FRAME_SECONDS)
                self._news.wait(_IDLE_SECONDS)


def _direction(lookup: Lookup, metric: str) -> Direction:
    try:
        spec = lookup.get("metric", metric)
    except UnknownName:
        return "max"
    return spec.direction if isinstance(spec, MetricSpec) else "max"


def console(options: NoOptions, workplace: Workplace) -> Monitor:
    """Build the live view, or plain lines where stderr is no terminal that can show it."""
    can_draw = (sys.stderr.encoding or "").lower().startswith("utf") and os.environ.get("TERM") != "dumb"
    if not (sys.stderr.isatty() and can_draw):
        return PlainMonitor()
    return ConsoleMonitor(Console(stderr=True, highlight=False), workplace)
