"""Trials that raise, diverge or are killed, in real worker processes; and what a finished run is good for."""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.slow

FAULTS = [each for name in ("blur", "killed", "nans", "raises", "tiny") for each in ("--use", f"architecture:{name}")]


@pytest.fixture(scope="module")
def run(shell, tmp_path_factory):
    """A run in which three of five candidates fail: `(exit code, document, folder)`."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    code, document = shell.fit(out, "--trials", "5", *FAULTS, plugins=("quick", "faulty"))
    return code, document, out


@pytest.fixture(scope="module")
def rows(run):
    """The rows of the leaderboard by architecture."""
    return {row["candidate"].split(" ")[0]: row for row in run[1]["leaderboard"]}


def told(events, out, kind, trial):
    return [event for event in events(out) if event["event"] == kind and event.get("trial") == trial]


def test_a_trial_that_raises_is_on_the_leaderboard_with_its_error_and_its_traceback(run, rows, events):
    row = rows["raises"]
    assert (row["status"], row["rank"], row["score"]) == ("failed", None, None)
    assert row["reason"] == "ValueError: the weights are a banana"
    (event,) = told(events, run[2], "TrialFailed", row["trial"])
    assert "in raises" in event["traceback"]
    assert "banana" in (run[2] / "trials" / f"{row['trial']:04d}" / "error.txt").read_text()


def test_a_trial_that_returns_nan_says_so_and_what_to_change(run, rows, events):
    row = rows["nans"]
    assert (row["status"], row["rank"]) == ("failed", None)
    assert "lower" in row["reason"]
    assert "finite" in row["reason"] or "nan" in row["reason"]
    (event,) = told(events, run[2], "TrialFailed", row["trial"])
    assert "Diverged" in event["traceback"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no SIGKILL")
def test_a_trial_whose_worker_is_killed_names_the_signal(run, rows, events):
    row = rows["killed"]
    assert (row["status"], row["rank"]) == ("failed", None)
    assert "SIGKILL" in row["reason"]
    assert len(told(events, run[2], "TrialFailed", row["trial"])) == 1


def test_the_other_trials_go_on_and_the_run_succeeds(run, rows):
    code, document, _ = run
    assert code in (0, 1)  # tiny as they are, they need not beat the pixels
    assert [rows[name]["status"] for name in ("blur", "tiny", "pixels")] == ["finished"] * 3
    assert document["best"]["score"] > 0.9
    assert document["test"]["accuracy"] > 0.9


def test_every_job_ended_in_one_event(run, events):
    found = events(run[2])
    started = [event["trial"] for event in found if event["event"] == "TrialStarted"]
    ended = [each["trial"] for each in found if each["event"] in ("TrialFinished", "TrialFailed", "TrialStopped")]
    assert started == sorted(ended) == list(range(6))  # several are under way at a time
    assert found[-1]["event"] == "RunFinished"


def test_the_document_is_json_without_numbers_that_are_none(run):
    json.dumps(run[1], allow_nan=False)


def test_a_bundle_predicts_in_a_fresh_process_what_it_did_in_its_run(run, shell, tmp_path):
    out = tmp_path / "all.csv"
    code, _, err = shell.run("predict", run[2], "demo:digits", "-o", out, "--proba")
    assert code == 0, err
    with out.open(newline="") as file:
        table = list(csv.DictReader(file))
    classes = run[1]["task"]["classes"]
    kept = np.load(run[2] / "test_predictions.npz")
    found = np.array([[float(table[row][f"p_{name}"]) for name in classes] for row in kept["rows"]], np.float32)
    assert len(table) == 1797
    assert np.array_equal(found.argmax(1), kept["outputs"].argmax(1))
    # Batches of other sizes sum in another order: nothing else may differ.
    assert np.allclose(found, kept["outputs"], atol=1e-5)
    assert [table[row]["prediction"] for row in kept["rows"]] == [classes[best] for best in found.argmax(1)]
