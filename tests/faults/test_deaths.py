"""Runs that are killed or interrupted, and what is left of them."""

from __future__ import annotations

import json
import signal
import sys

import numpy as np
import psutil
import pytest

from seedbed import api

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals to single processes"),
]

# The first candidate is done at once, the second takes some four seconds: time enough to die in.
BOTH = ["--use", "architecture:blur", "--use", "architecture:slow", "--trials", "2", "--workers", "1"]
PLUGINS = ("quick", "faulty")


def is_training_the_second(events, out):
    return any(event["event"] == "TrialStarted" and event["trial"] == 2 for event in events(out))


def scores(found):
    return {event["trial"]: event["score"] for event in found if event["event"] == "TrialFinished"}


def family_of(process):
    return psutil.Process(process.pid).children(recursive=True)


def test_a_run_killed_half_way_keeps_every_finished_trial_and_goes_on(shell, tmp_path, events, wait_until):
    out = tmp_path / "run"
    process = shell.begin(out, *BOTH, plugins=PLUGINS)
    wait_until(lambda: is_training_the_second(events, out))
    workers = family_of(process)
    assert workers
    process.kill()
    process.communicate(timeout=20)
    wait_until(lambda: not any(each.is_running() for each in workers), seconds=10)
    before = scores(events(out))
    assert before.keys() == {0, 1}

    code, document = shell.fit(out, "--resume", *BOTH, plugins=PLUGINS, SLOW_SECONDS="0")
    assert code in (0, 1)
    after = events(out)
    assert scores(after).items() >= before.items()
    rows = {row["trial"]: row for row in document["leaderboard"]}
    assert [rows[trial]["status"] for trial in (0, 1)] == ["finished"] * 2
    assert rows[2]["status"] == "stopped"
    again = rows[3]
    assert (again["status"], again["candidate"]) == ("finished", rows[2]["candidate"])
    assert after[-1]["event"] == "RunFinished"
    assert document["test"]["accuracy"] > 0.9


def test_an_interrupt_while_training_leaves_the_best_so_far(shell, tmp_path, events, wait_until):
    out = tmp_path / "run"
    process = shell.begin(out, *BOTH, plugins=PLUGINS)
    wait_until(lambda: is_training_the_second(events, out))
    workers = family_of(process)
    process.send_signal(signal.SIGINT)
    text, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "keeping the best so far" in err
    document = json.loads(text)
    assert document["best"]["trial"] in (0, 1)
    assert {row["trial"]: row["status"] for row in document["leaderboard"]}[2] == "stopped"
    assert events(out)[-1] == {**events(out)[-1], "event": "RunFinished", "reason": "interrupted"}
    assert not (out / "journal.lock").exists()
    wait_until(lambda: not any(each.is_running() for each in workers), seconds=5)
    model = api.load(out, plugins=[])
    assert len(model.predict(np.zeros((1, 8, 8), np.uint8))) == 1


def test_an_interrupt_while_reading_says_that_there_is_nothing_to_keep(shell, tmp_path, events, wait_until):
    out = tmp_path / "run"
    process = shell.begin(out, *BOTH, plugins=PLUGINS)
    wait_until(lambda: events(out))
    process.send_signal(signal.SIGINT)
    text, err = process.communicate(timeout=30)
    assert (process.returncode, text) == (130, "")
    assert "nothing to keep" in err
    assert "Traceback" not in err
