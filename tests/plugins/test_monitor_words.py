from __future__ import annotations

import io
import logging
import sys
from dataclasses import replace

import pytest
from told_run import FOLDED, RUN, epoch, profile, show, started

from seedbed.core.search.events import (
    BundleEvaluated,
    BundleSaved,
    DataDescribed,
    RunFinished,
    StageEntered,
    StudyPlaced,
    StudyReturned,
    TrialPlanned,
    TrialRefused,
)
from seedbed.core.search.history import History
from seedbed.plugins.monitors import words
from seedbed.plugins.monitors.log import LogMonitor
from seedbed.plugins.monitors.plain import PlainMonitor


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


def test_plain_progress_says_that_folds_are_judged():
    history = History([FOLDED, started(0), epoch(0)])
    (trial,) = history.running
    assert words.progress(trial, history) == "trial 0 at 40% of the first of 5 folds, epoch 2.5: accuracy 0.9000"
    history.apply(replace(epoch(0), progress=1.0))
    (trial,) = history.running
    assert words.progress(trial, history) == "trial 0, judging over 5 folds; the first is done: accuracy 0.9000"


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


def planned(**changes):
    return TrialPlanned(
        trial=3,
        device="cpu",
        precision="float32",
        memory_format="channels_last",
        batch_size=32,
        steps=10,
        **changes,
    )


def test_a_batch_that_goes_in_parts_is_told_and_one_that_goes_in_one_is_not():
    said = words.sentence(planned(accumulated=4), History(RUN))
    assert said == "trial 3 takes its batches of 32 in 4 parts: in one they would not fit into memory"
    assert words.sentence(planned(), History(RUN)) is None


def test_a_refused_trial_is_told_with_its_reason_and_no_alarm():
    refused = TrialRefused(trial=3, reason="Too large: it is.\nIndeed.")
    assert words.sentence(refused, History(RUN)) == "trial 3 refused: Too large: it is."
    assert words.weight(refused) == "normal"


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


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (StudyPlaced(place="job-1"), "the study goes to job-1"),
        (StudyPlaced(place="job-2", attempt=2), "the study goes to job-2, attempt 2"),
        (StudyReturned(place="job-2"), "back from job-2"),
        (StudyReturned(place="job-2", seconds=158.0), "back from job-2, 2 m 38 s of it are billed"),
    ],
)
def test_where_a_study_is_is_told(event, said):
    assert words.sentence(event, History()) == said
