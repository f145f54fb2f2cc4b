from __future__ import annotations

import io
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console
from told_run import RUN, profile, show

from seedbed.core.errors import UnknownName
from seedbed.core.protocols import Workplace
from seedbed.core.search.events import DataDescribed
from seedbed.core.specs import MetricSpec, NoOptions
from seedbed.plugins.monitors.console import ConsoleMonitor, console
from seedbed.plugins.monitors.plain import PlainMonitor


class Lookup:
    def __init__(self, *specs):
        self.specs = {spec.name: spec for spec in specs}

    def get(self, kind, name):
        if name not in self.specs:
            raise UnknownName(kind, name, self.specs)
        return self.specs[name]


def workplace(*specs):
    return Workplace(folder=Path(), lookup=Lookup(*specs), budget_seconds=60.0)


def test_the_direction_comes_from_the_metric():
    spec = MetricSpec(name="log_loss", summary="A loss.", build="a:b", direction="min")
    target = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    monitor = ConsoleMonitor(target, workplace(spec))
    show(monitor, [*RUN[:3], DataDescribed(profile=profile("log_loss")), *RUN[4:]])
    time.sleep(0.3)
    monitor.close()
    text = target.file.getvalue()
    last = text[text.rindex("best  ") :].splitlines()
    assert last[1].split()[:3] == ["1", "0", "0.8100"]


class StuckTerminal(io.StringIO):
    """A terminal whose reader has stopped, as after Ctrl-S."""

    def __init__(self):
        super().__init__()
        self.go_on = threading.Event()

    def write(self, text):
        self.go_on.wait(20)
        return len(text)


def test_a_terminal_that_takes_nothing_does_not_hold_up_the_run():
    stuck = StuckTerminal()
    monitor = ConsoleMonitor(Console(file=stuck, force_terminal=True), workplace())
    began = time.monotonic()
    show(monitor, RUN * 20)
    assert time.monotonic() - began < 1.0
    stuck.go_on.set()
    monitor.close()


def test_without_a_terminal_the_view_falls_back_to_plain_lines(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(console(NoOptions(), workplace()), PlainMonitor)


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX's")
def test_in_a_terminal_findings_come_at_once_and_the_view_is_cleared_away(monkeypatch):
    outer, inner = os.openpty()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    with open(inner, "w", encoding="utf-8") as terminal:  # noqa: PTH123 - a descriptor, not a path
        monkeypatch.setattr(sys, "stderr", terminal)
        monitor = console(NoOptions(), workplace())
        assert isinstance(monitor, ConsoleMonitor)
        show(monitor, RUN[:3])
        first = read_until(outer, b"They are left out.", seconds=1.0)
        sys.stderr.write("from elsewhere\n")
        monitor.close()
        rest = read_until(outer, b"\x1b[?25h", seconds=2.0)
        assert sys.stderr is terminal
    os.close(outer)
    assert b"7 files cannot be decoded." in first
    assert b"[0].png" in first, "file names must not be taken for markup"
    assert b"from elsewhere" in rest
    assert b"\x1b[?25h" in rest, "the cursor must come back"


def read_until(descriptor, wanted, seconds):
    os.set_blocking(descriptor, False)
    deadline, found = time.monotonic() + seconds, b""
    while wanted not in found and time.monotonic() < deadline:
        try:
            found += os.read(descriptor, 65536)
        except BlockingIOError:
            time.sleep(0.01)
    return found
