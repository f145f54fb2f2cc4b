"""A run is done again from its journal to the same leaderboard, and two runs say why they differ."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from quick_runs import PLUGINS, photos, quick_fit, surroundings

from seedbed import api
from seedbed.cli import main
from seedbed.core.errors import DataError, UsageError
from seedbed.core.runfolder import RunFolder
from seedbed.core.search.journal import read
from seedbed.replays import compare_runs, settings_of

PLUGIN = [str(PLUGINS / "quick.py")]


@pytest.fixture(scope="module", autouse=True)
def _surroundings(tmp_path_factory):
    with surroundings(tmp_path_factory.mktemp("home")):
        yield


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    """A timed run whose trial trains by the clock."""
    where = tmp_path_factory.mktemp("timed")
    source = photos(where / "photos", count=40)
    return quick_fit(where / "run", source, use=["architecture:tiny"], trials=2, time="8s", strategy="random")


def again(run, **more):
    return api.replay(run.folder, plugins=PLUGIN, **more)


def rows(run):
    return [
        (row.rank, row.trial, row.score, row.low, row.high, row.tie_group, row.candidate)
        for row in run.leaderboard.rows
    ]


def test_a_timed_run_comes_to_the_same_leaderboard_again(timed, tmp_path):
    found = again(timed, out=tmp_path / "again")
    assert found.differences == ()
    assert rows(found.run) == rows(timed)
    assert any(name.startswith("rate@") for trial in timed.history for name, _ in trial.decisions)
    images = sorted(Path(timed.history.started.source).rglob("*.png"))[:8]
    assert (found.run.best.predict_proba(images) == timed.best.predict_proba(images)).all()


def test_what_the_original_was_asked_to_do_is_written_down_not_how_it_was_done_again(timed, tmp_path):
    found = again(timed, out=tmp_path / "again")
    assert settings_of(RunFolder(found.run.folder)) == settings_of(RunFolder(timed.folder))
    assert found.run.history.started.replays == str(timed.folder)
    assert compare_runs(timed.folder, found.run.folder, PLUGIN) == []


def test_without_a_folder_it_goes_beside_the_original(timed):
    found = again(timed)
    assert found.run.folder == timed.folder.with_name(f"{timed.folder.name}-replay-1")


def test_data_that_has_changed_is_refused(timed, tmp_path):
    copy = shutil.copytree(timed.folder, tmp_path / "run")
    source = photos(tmp_path / "photos", count=41)
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    manifest["settings"]["source"] = str(source)
    (copy / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(UsageError, match="has changed since this run began"):
        api.replay(copy, out=tmp_path / "again", plugins=PLUGIN)


def test_a_journal_that_was_tampered_with_does_not_pass(timed, tmp_path):
    copy = shutil.copytree(timed.folder, tmp_path / "run")
    changed = []
    for line in (copy / "journal.jsonl").read_text("utf-8").splitlines():
        event = json.loads(line)
        slowed = [
            [name, value / 2 if name.startswith("rate@") else value] for name, value in event.get("decisions", ())
        ]
        changed.append(json.dumps({**event, "decisions": slowed} if slowed else event))
    (copy / "journal.jsonl").write_text("\n".join(changed) + "\n", encoding="utf-8")
    assert api.replay(copy, out=tmp_path / "again", plugins=PLUGIN).differences


def test_a_folder_without_a_manifest_is_told(timed, tmp_path):
    copy = shutil.copytree(timed.folder, tmp_path / "run")
    (copy / "manifest.json").unlink()
    with pytest.raises(DataError, match="does not say what this run was asked to do"):
        api.replay(copy, out=tmp_path / "again", plugins=PLUGIN)


def test_a_plan_gives_the_same_leaderboard_for_any_number_of_workers(tmp_path):
    source = photos(tmp_path / "photos", count=30)
    one, *others = [
        quick_fit(
            tmp_path / str(n),
            source,
            use=["architecture:tiny"],
            trials=5,
            strategy="random",
            workers=n,
            backend="local",
        )
        for n in (1, 2, 3)
    ]
    for other in others:
        assert rows(one) == rows(other)
        assert compare_runs(one.folder, other.folder, PLUGIN) == []


def test_two_runs_of_other_seeds_say_so_and_where_they_part(tmp_path):
    runs = [quick_fit(tmp_path / str(seed), strategy="random", trials=2, seed=seed) for seed in (0, 1)]
    found = compare_runs(runs[0].folder, runs[1].folder, PLUGIN)
    assert [each.what for each in found if each.kind == "cause"] == ["setting seed"]


def test_more_trials_say_so(tmp_path):
    runs = [quick_fit(tmp_path / str(trials), trials=trials) for trials in (1, 2)]
    found = compare_runs(runs[0].folder, runs[1].folder, PLUGIN)
    assert ("cause", "setting trials") in [(each.kind, each.what) for each in found]
    assert ("course", "number of trials") in [(each.kind, each.what) for each in found]


def test_the_commands_tell_and_answer_with_their_exit_codes(timed, tmp_path):
    def call(*arguments):
        return CliRunner().invoke(main, ["--plugin", PLUGIN[0], *map(str, arguments)])

    answer = call("replay", timed.folder, "--out", tmp_path / "again", "-q")
    assert answer.exit_code == 0
    assert answer.stdout.startswith("The same leaderboard to the last digit")
    answer = call("replay", timed.folder, "--out", tmp_path / "json", "-q", "--json")
    assert json.loads(answer.stdout)["same"] is True
    answer = call("diff", timed.folder, tmp_path / "again")
    assert answer.stdout == "Nothing differs: the same data, settings, packages, trials and results.\n"
    other = quick_fit(tmp_path / "other", seed=4)
    answer = call("diff", timed.folder, other.folder)
    assert "setting seed: 0 | 4" in answer.stdout
    assert "Where their ways part:" in answer.stdout
    assert json.loads(call("diff", timed.folder, other.folder, "--json").stdout)[0].keys() == {
        *("kind", "what", "one", "other")
    }


def test_every_decision_of_the_clock_is_in_the_journal(timed):
    told = [each for event in read(RunFolder(timed.folder).journal) for each in getattr(event, "decisions", ())]
    kept = [each for trial in timed.history for each in trial.decisions]
    assert sorted(map(str, told)) == sorted(map(str, kept))
    assert told
