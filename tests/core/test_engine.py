from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from quick_runs import cancelled_when, photos, quick_fit, surroundings

from seedbed.core import steps, work
from seedbed.core.errors import DataError, Interrupted, UnknownName, UsageError
from seedbed.core.search.candidate import EvaluationJob
from seedbed.core.search.events import (
    BundleEvaluated,
    BundleSaved,
    EvaluationFailed,
    RunFinished,
    RunStarted,
    StageEntered,
    TrialFinished,
    TrialStarted,
    TrialStopped,
    from_line,
)
from seedbed.core.search.journal import read


@pytest.fixture(scope="module", autouse=True)
def _surroundings(tmp_path_factory):
    with surroundings(tmp_path_factory.mktemp("home")):
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two trials that came to its end; not to be changed."""
    return quick_fit(tmp_path_factory.mktemp("runs") / "digits", trials=2)


@pytest.fixture
def copied(finished, tmp_path):
    return Path(shutil.copytree(finished.folder, tmp_path / "run"))


def kinds(events, *types):
    return [event for event in events if isinstance(event, types)]


def scores(run):
    return {trial.number: trial.score for trial in run.history if trial.score is not None}


def test_the_folder_of_a_run_is_laid_out_as_the_design_says(finished):
    files = {path.relative_to(finished.folder).as_posix() for path in finished.folder.rglob("*") if path.is_file()}
    trial = {f"trials/0001/{name}" for name in ("candidate.json", "predictions.npz", "checkpoint.safetensors")}
    assert files >= trial | {
        "manifest.json",
        "config.toml",
        "environment.txt",
        "journal.jsonl",
        "leaderboard.json",
        "data/profile.json",
        "data/findings.jsonl",
        "data/splits.parquet",
        "best/bundle.json",
    }
    assert list(finished.folder.glob("best/*.safetensors"))
    assert not list(finished.folder.rglob("*.partial"))
    assert not (finished.folder / "journal.lock").exists()


def test_the_journal_tells_the_run_in_order(finished):
    events = read(finished.folder / "journal.jsonl")
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunFinished)
    stages = [event.stage for event in kinds(events, StageEntered)]
    assert stages == ["reading", "preparing", "checking", "searching", "ending"]
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert [event.role for event in kinds(events, TrialStarted)] == ["baseline", "candidate", "candidate"]


def test_a_bundle_exists_after_the_first_trial_and_only_gets_better(finished):
    events = read(finished.folder / "journal.jsonl")
    saved = kinds(events, BundleSaved)
    assert events.index(saved[0]) < events.index(kinds(events, TrialFinished)[0])
    assert [each.score for each in saved] == sorted(each.score for each in saved)


def test_the_best_trial_is_the_bundle(finished):
    best = finished.leaderboard.best
    assert best.trial in finished.history.bundle.trials
    assert finished.history.bundle.score >= best.score


def test_the_winner_is_scored_on_the_test_rows(finished):
    (event,) = kinds(read(finished.folder / "journal.jsonl"), BundleEvaluated)
    assert event.examples == finished.history.profile.test == 359
    kept = np.load(finished.folder / "test_predictions.npz")
    accuracy = (kept["outputs"].argmax(1) == kept["targets"]).mean()
    assert event.metrics["accuracy"] == pytest.approx(accuracy)


def test_the_leaderboard_on_disk_is_that_of_the_run(finished):
    board = json.loads((finished.folder / "leaderboard.json").read_text("utf-8"))
    assert board["rows"] == json.loads(json.dumps(finished.leaderboard.to_json()))
    assert {row["trial"] for row in board["rows"]} == {-1, 0, 1, 2}


@pytest.mark.slow
def test_two_runs_of_the_same_seed_give_the_same_leaderboard(tmp_path):
    def board(name, **more):
        wide = {"use": ["architecture:blur", "architecture:tiny"], "trials": 2}
        run = quick_fit(tmp_path / name, **wide, **more)
        return [(row.trial, row.score, row.low, row.high, row.candidate, row.rank) for row in run.leaderboard.rows]

    one = board("one")
    assert one == board("two")
    assert one != board("three", seed=1)


def test_a_finished_run_that_is_resumed_changes_nothing_but_its_journals_end(finished, copied):
    before = (copied / "journal.jsonl").read_bytes()
    bundle = (copied / "best" / "bundle.json").read_bytes()
    run = quick_fit(copied, trials=2, resume=True)
    assert scores(run) == scores(finished)
    assert (copied / "journal.jsonl").read_bytes().startswith(before)
    assert (copied / "best" / "bundle.json").read_bytes() == bundle
    assert run.history.seconds > finished.history.seconds


def test_a_finished_run_goes_on_with_a_larger_budget(finished, copied):
    run = quick_fit(copied, trials=3, resume=True)
    assert scores(run).items() > scores(finished).items()
    assert len(run.history) == len(finished.history) + 1


def test_without_a_budget_a_resumed_run_keeps_its_own(finished, copied):
    run = quick_fit(copied, trials=None, resume=True)
    assert len(run.history) == len(finished.history)


def crash_during(folder, number):
    """Cut the journal to what it held while that trial was training, as a kill would have left it."""
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    events = [from_line(line) for line in lines]
    (end,) = [at for at, event in enumerate(events) if isinstance(event, TrialFinished) and event.trial == number]
    (folder / "journal.jsonl").write_bytes(b"".join(lines[:end]) + b'{"event":"TrialFini')


def test_a_run_that_was_killed_keeps_every_finished_trial_and_trains_the_torn_one_again(finished, copied):
    crash_during(copied, 2)
    run = quick_fit(copied, trials=2, resume=True)
    trials = run.history.trials
    assert [(trials[n].status, trials[n].score) for n in (0, 1)] == [
        ("finished", finished.history.trials[n].score) for n in (0, 1)
    ]
    assert trials[2].status == "stopped"
    assert (trials[3].status, trials[3].candidate) == ("finished", trials[2].candidate)
    assert [event.trial for event in kinds(read(copied / "journal.jsonl"), TrialStopped)] == [2]
    assert kinds(read(copied / "journal.jsonl"), RunStarted)[1].resumed


def test_a_run_that_was_killed_before_its_first_trial_goes_on_with_its_split(finished, copied):
    lines = (copied / "journal.jsonl").read_bytes().splitlines(keepends=True)
    first = next(at for at, line in enumerate(lines) if b"TrialStarted" in line)
    (copied / "journal.jsonl").write_bytes(b"".join(lines[:first]))
    run = quick_fit(copied, trials=1, resume=True)
    assert run.history.profile == finished.history.profile
    assert run.history.started == finished.history.started
    assert len(run.history.refusals) == len(finished.history.refusals)


def test_findings_are_not_lost_when_a_run_dies_just_after_its_data_was_described(tmp_path):
    photos(tmp_path / "photos")
    (tmp_path / "photos" / "empty").mkdir()
    whole = quick_fit(tmp_path / "run", tmp_path / "photos")
    checks = {finding.check for finding in whole.history.findings}
    assert "image_folder" in checks
    lines = (tmp_path / "run" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    described = next(at for at, line in enumerate(lines) if b"DataDescribed" in line)
    (tmp_path / "run" / "journal.jsonl").write_bytes(b"".join(lines[: described + 1]))
    run = quick_fit(tmp_path / "run", tmp_path / "photos", resume=True)
    assert {finding.check for finding in run.history.findings} == checks


@pytest.mark.parametrize("changed", [{"seed": 5}, {"source": "elsewhere"}])
def test_a_run_is_resumed_with_its_own_seed_and_data_or_not_at_all(finished, copied, changed):
    before = (copied / "journal.jsonl").read_bytes()
    with pytest.raises(UsageError, match=r"was begun with demo:digits and seed 0.*--out"):
        quick_fit(copied, **{"resume": True, **changed})
    assert (copied / "journal.jsonl").read_bytes() == before


def test_data_that_changed_since_is_refused(tmp_path):
    source = photos(tmp_path / "photos")
    quick_fit(tmp_path / "run", source)
    photos(source, count=1, first=99)
    with pytest.raises(UsageError, match="has changed since this run began"):
        quick_fit(tmp_path / "run", source, resume=True)


@pytest.mark.parametrize("option", ["backend", "strategy", "metric"])
def test_a_misspelt_component_is_named_before_anything_is_done(tmp_path, option):
    known = {"backend": "inline", "strategy": "quick", "metric": "accuracy"}[option]
    with pytest.raises(UnknownName, match=f"Did you mean '{known}'"):
        quick_fit(tmp_path / "run", **{option: f"{known}x"})
    assert not (tmp_path / "run").exists()


def test_a_task_that_images_do_not_have_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"leave --task out"):
        quick_fit(tmp_path / "run", task="regression")


def test_data_that_is_not_there_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="There is no"):
        quick_fit(tmp_path / "run", str(tmp_path / "nothing"))


def test_another_metric_decides_where_it_is_asked_for(tmp_path):
    run = quick_fit(tmp_path / "run", metric="log_loss", trials=2)
    assert (run.leaderboard.metric, run.leaderboard.direction) == ("log_loss", "min")
    assert run.history.bundle.score <= min(row.score for row in run.leaderboard.rows if row.rank)


def test_rows_from_a_second_address_are_what_the_winner_is_scored_on(tmp_path):
    run = quick_fit(tmp_path / "run", photos(tmp_path / "photos"), test=photos(tmp_path / "more", count=4))
    assert run.history.evaluation.examples == 8


def test_a_score_that_does_not_come_in_time_is_not_waited_for(tmp_path, monkeypatch):
    stopped, whole = [], work.run

    def hangs(job, emit, should_stop, desk):
        if not isinstance(job, EvaluationJob):
            whole(job, emit, should_stop, desk)
        limit = time.monotonic() + 10
        while isinstance(job, EvaluationJob) and not stopped and time.monotonic() < limit:
            stopped.extend([True] * should_stop())
            time.sleep(0.01)

    monkeypatch.setattr(work, "run", hangs)
    monkeypatch.setattr(steps, "_LATE_SECONDS", -1_000.0)
    run = quick_fit(tmp_path / "run", time=60.0)
    assert run.history.evaluation is None
    (said,) = kinds(read(run.folder / "journal.jsonl"), EvaluationFailed)
    assert said.error == "The time was over before the model was scored."
    assert stopped


def test_data_without_a_test_part_gives_no_test_score(tmp_path):
    run = quick_fit(tmp_path / "run", photos(tmp_path / "photos"))
    assert run.summary()["test"] is None


def test_a_run_cancelled_while_it_prepares_has_nothing_to_keep(tmp_path):
    handle = cancelled_when(lambda event: getattr(event, "stage", "") == "preparing", tmp_path / "run")
    with pytest.raises(Interrupted, match="nothing to keep"):
        handle.result(60)


def test_a_run_cancelled_after_its_first_candidate_keeps_the_best_and_can_go_on(tmp_path):
    handle = cancelled_when(
        lambda event: isinstance(event, TrialFinished) and event.trial == 1, tmp_path / "run", trials=3
    )
    run = handle.result(60)
    assert run.exit_code == 130
    assert len(run.history) == 2
    assert len(run.best.predict(np.zeros((2, 8, 8), np.uint8))) == 2
    assert read(run.folder / "journal.jsonl")[-1].reason == "interrupted"
    again = quick_fit(run.folder, trials=3, resume=True)
    assert again.exit_code != 130
    assert len(again.history) == 4
