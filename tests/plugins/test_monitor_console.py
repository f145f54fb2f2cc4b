from __future__ import annotations

import io
import logging
import os
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from seedbed.core.data.profile import Finding, Profile
from seedbed.core.errors import UnknownName
from seedbed.core.protocols import Workplace
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import (
    BundleEvaluated,
    BundleSaved,
    DataDescribed,
    EpochFinished,
    FindingMade,
    RunFinished,
    RunStarted,
    StageEntered,
    TrialFailed,
    TrialFinished,
    TrialStarted,
)
from seedbed.core.search.history import History
from seedbed.core.specs import MetricSpec, NoOptions
from seedbed.core.task import Task
from seedbed.plugins.monitors import words
from seedbed.plugins.monitors.console import ConsoleMonitor, console
from seedbed.plugins.monitors.log import LogMonitor
from seedbed.plugins.monitors.plain import PlainMonitor
from seedbed.plugins.monitors.view import draw, snapshot

CANDIDATE = Candidate({"architecture": "small_resnet", "policy": "scratch", "optimizer": "sgd"})
BROKEN = Finding(
    check="broken_images",
    severity="warning",
    evidence="7 files cannot be decoded.",
    remedy="They are left out.",
    rows=tuple(f"[{n}].png" for n in range(7)),
    count=7,
)


def profile(metric="accuracy"):
    return Profile(
        task=Task(modality="image", kind="classification", metric=metric, classes=("a", "b")),
        examples=1797,
        train=1152,
        valid=285,
        test=360,
        height=8,
        width=8,
        channels=1,
        mean=(0.3,),
        std=(0.3,),
    )


def started(trial):
    return TrialStarted(trial=trial, candidate=CANDIDATE, fidelity=Fidelity(seconds=20.0))


def epoch(trial, score=0.9):
    return EpochFinished(
        trial=trial,
        epoch=2.5,
        progress=0.4,
        train_loss=1.0,
        valid_loss=1.0,
        score=score,
        seconds=3.0,
        is_best=True,
        lr=0.01,
    )


def finished(trial, score):
    return TrialFinished(trial=trial, score=score, seconds=5.0, epochs=6.0, steps=100)


RUN = (
    RunStarted(version="0.1.0", source="photos/", seed=0, budget_seconds=60.0),
    StageEntered(stage="reading", detail="photos/", at=0.1),
    FindingMade(finding=BROKEN, at=0.2),
    DataDescribed(profile=profile(), at=0.3),
    StageEntered(stage="searching", at=0.4),
    started(0),
    epoch(0, 0.81),
    finished(0, 0.81),
    BundleSaved(trials=(0,), weights=(1.0,), score=0.81, at=5.0),
    started(1),
    started(2),
    epoch(2, 0.92),
    TrialFailed(trial=1, error="RuntimeError: boom\nsecond line", at=6.0),
)


def show(monitor, events, history=None):
    history = history or History()
    for event in events:
        history.apply(event)
        monitor.on_event(event, history)
    return history


class Lookup:
    def __init__(self, *specs):
        self.specs = {spec.name: spec for spec in specs}

    def get(self, kind, name):
        if name not in self.specs:
            raise UnknownName(kind, name, self.specs)
        return self.specs[name]


def workplace(*specs):
    return Workplace(folder=Path(), lookup=Lookup(*specs), budget_seconds=60.0)


def drawn(events, *, budget=60.0, now=0.0, direction="max", width=110):
    history = History(events)
    view = snapshot(history, stage="searching", seen=0.0, budget_seconds=budget, direction=direction)
    target = Console(file=io.StringIO(), width=width, color_system=None)
    target.print(draw(view, now))
    return target.file.getvalue()


def test_plain_lines_tell_the_whole_story(capsys):
    show(PlainMonitor(), RUN)
    said = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    assert said == [
        "reading photos/",
        "warning: broken_images: 7 files cannot be decoded. "
        "[[0].png, [1].png, [2].png, [3].png, [4].png and 2 more] They are left out.",
        "1,797 images, 2 classes, 8x8x1; 1,152 to train, 285 to validate, 360 to test",
        "searching",
        "trial 0 started: small_resnet · scratch · sgd, 20 s at most",
        "trial 0 finished: accuracy 0.8100 after 6 epochs in 5 s",
        "a usable model is saved, from trial 0: accuracy 0.8100",
        "trial 1 started: small_resnet · scratch · sgd, 20 s at most",
        "trial 2 started: small_resnet · scratch · sgd, 20 s at most",
        "trial 1 failed: RuntimeError: boom",
    ]


def test_plain_progress_comes_every_ten_seconds_and_no_sooner(capsys):
    now = [0.0]
    monitor = PlainMonitor(clock=lambda: now[0])
    history = show(monitor, [DataDescribed(profile=profile()), started(0)])
    capsys.readouterr()
    for now[0] in range(1, 25):
        show(monitor, [epoch(0)], history)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "trial 0 at 40%, epoch 2.5: accuracy 0.9000" in lines[0]


def test_plain_progress_within_a_stage_is_kept_short_too(capsys):
    now = [0.0]
    monitor = PlainMonitor(clock=lambda: now[0])
    for now[0] in range(15):
        show(monitor, [StageEntered(stage="preparing", detail=f"{now[0]} of 15 images")])
    show(monitor, [StageEntered(stage="searching")])
    said = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    assert said == ["preparing 0 of 15 images", "preparing 10 of 15 images", "searching"]


def test_a_better_model_of_the_same_trial_is_no_news(capsys):
    def saved(*trials):
        return BundleSaved(trials=trials, weights=(1.0,) * len(trials), score=0.9)

    show(PlainMonitor(), [saved(0), saved(0), saved(1), saved(1), saved(0, 1)])
    said = [line.partition("from ")[2] for line in capsys.readouterr().err.splitlines()]
    assert said == ["trial 0: score 0.9000", "trial 1: score 0.9000", "trials 0 and 1: score 0.9000"]


def test_plain_lines_go_to_the_stderr_of_the_moment(monkeypatch):
    monitor = PlainMonitor()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    show(monitor, RUN[:2])
    assert "reading photos/" in sys.stderr.getvalue()


def test_the_end_of_a_run_is_told_with_its_reason():
    history = History(RUN)
    over = RunFinished(reason="the time is spent", seconds=58.6)
    assert words.sentence(over, history) == "finished after 59 s: the time is spent"
    test = BundleEvaluated(part="test", metrics={"accuracy": 0.98}, examples=360)
    assert words.sentence(test, history) == "on 360 test rows: accuracy 0.9800"


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (7.6, "8 s"), (59.7, "1 m 00 s"), (754, "12 m 34 s"), (7400, "2 h 03 m")]
)
def test_durations_are_written_as_people_write_them(seconds, text):
    assert words.duration(seconds) == text


def test_the_log_gives_each_event_its_level(caplog):
    caplog.set_level(logging.DEBUG, logger="seedbed.run")
    show(LogMonitor(), RUN)
    levels = {record.getMessage().split(" ")[0]: record.levelname for record in caplog.records}
    assert levels["warning:"] == "WARNING"
    assert ("trial 1 failed: RuntimeError: boom", "ERROR") in {
        (record.getMessage(), record.levelname) for record in caplog.records
    }
    assert any(r.levelname == "DEBUG" and '"EpochFinished"' in r.getMessage() for r in caplog.records)


def test_the_view_counts_time_on_between_events():
    assert "6 s used, 54 s left" in drawn(RUN)
    assert "26 s used, 34 s left" in drawn(RUN, now=20.0)
    assert "1 m 10 s used, 10 s over" in drawn(RUN, now=64.0)


def test_the_view_counts_trials_where_time_is_no_limit():
    run = (replace(RUN[0], budget_seconds=None, budget_trials=4), *RUN[1:])
    assert "2 of 4 trials" in drawn(run, budget=None)


def test_the_view_shows_what_runs_and_how_far_it_is():
    (line,) = [line for line in drawn(RUN).splitlines() if "40%" in line]
    assert line.split()[0] == "2"
    assert "0.9200" in line
    assert "0.01" in line


FOLDED = DataDescribed(profile=replace(profile(), folds=5), at=1.0)


def test_the_view_says_of_a_trial_over_folds_what_is_known():
    began = replace(started(0), at=2.0)
    (line,) = [line for line in drawn([FOLDED, began, epoch(0)], now=10.0).splitlines() if "%" in line]
    assert "7%" in line.split()  # 40 % of the first of five folds, after which all rows are learnt from
    judged = [FOLDED, began, replace(epoch(0), progress=1.0)]
    lines = [
        next(line for line in drawn(judged, now=now).splitlines() if "judging over 5 folds" in line)
        for now in (10.0, 30.0)
    ]
    seconds = [line.split("folds")[1].split()[0] for line in lines]
    assert seconds == ["10", "30"]
    assert "%" not in lines[0]


def test_in_a_narrow_terminal_the_candidates_name_is_cut_and_no_number():
    text = drawn(RUN, width=80)
    (line,) = [line for line in text.splitlines() if "40%" in line]
    assert line.split()[2:7] == ["40%", "6", "2.5", "0.9200", "0.01"]
    assert "…" in line.split()[-1]
    assert "2 trials with a score" in text


def test_plain_progress_says_that_folds_are_judged():
    history = History([FOLDED, started(0), epoch(0)])
    (trial,) = history.running
    assert words.progress(trial, history) == "trial 0 at 40% of the first of 5 folds, epoch 2.5: accuracy 0.9000"
    history.apply(replace(epoch(0), progress=1.0))
    (trial,) = history.running
    assert words.progress(trial, history) == "trial 0, judging over 5 folds; the first is done: accuracy 0.9000"


def test_the_view_ranks_the_best_first_and_marks_what_is_saved():
    text = drawn(RUN)
    best = text[text.index("best  ") :].splitlines()
    assert best[1].split()[:3] == ["1", "2", "0.9200"]
    assert best[2].split()[:3] == ["2", "0", "0.8100"]
    assert best[2].rstrip().endswith("saved")


def test_a_loss_is_ranked_from_below():
    text = drawn(RUN, direction="min")
    assert text[text.index("best  ") :].splitlines()[1].split()[:3] == ["1", "0", "0.8100"]


def test_a_failed_trial_is_not_among_the_best():
    run = (*RUN, epoch(2, 0.99), TrialFailed(trial=2, error="killed"))
    text = drawn(run)
    assert "0.9900" not in text
    assert "2 failed" in text


@pytest.mark.parametrize("width", [20, 40, 200])
def test_the_view_fits_any_width(width):
    assert all(len(line) <= width for line in drawn(RUN, width=width).splitlines())


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
