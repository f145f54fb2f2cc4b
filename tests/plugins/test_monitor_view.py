from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from told_run import FOLDED, RUN, epoch, started

from seedbed.core.search.events import TrialFailed, TrialPlanned, TrialRefused
from seedbed.core.search.history import History
from seedbed.plugins.monitors.view import draw, snapshot


def drawn(events, *, budget=60.0, now=0.0, direction="max", width=110):
    history = History(events)
    view = snapshot(history, stage="searching", seen=0.0, budget_seconds=budget, direction=direction)
    target = Console(file=io.StringIO(), width=width, color_system=None)
    target.print(draw(view, now))
    return target.file.getvalue()


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


def test_the_view_says_in_how_many_parts_a_batch_goes():
    plan = TrialPlanned(
        trial=2,
        device="cpu",
        precision="float32",
        memory_format="channels_last",
        batch_size=32,
        steps=10,
        accumulated=4,
    )
    (line,) = [line for line in drawn([*RUN, plan]).splitlines() if "40%" in line]
    assert line.rstrip().endswith("in 4 parts")
    (line,) = [line for line in drawn(RUN).splitlines() if "40%" in line]
    assert "parts" not in line


def test_the_view_counts_what_was_refused_apart_from_what_failed():
    text = drawn([*RUN, started(5), TrialRefused(trial=5, reason="Too large: it is.")])
    assert "2 trials with a score, 1 failed, 1 refused" in text
