from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core import runfolder
from seedbed.core.data.profile import Finding, Profile
from seedbed.core.errors import DataError, UsageError
from seedbed.core.runfolder import RunFolder, choose_folder, open_folder, save_provenance, take_in
from seedbed.core.search.journal import Journal
from seedbed.core.settings import Settings, parse_duration
from seedbed.core.task import Task


def make_run(path):
    path.mkdir()
    (path / "journal.jsonl").write_text("{}\n")
    (path / "best").mkdir()
    return path


def test_a_new_folder_is_made_with_its_parents(tmp_path):
    folder = open_folder(tmp_path / "a" / "b", resume=False, overwrite=False)
    assert folder.trials.is_dir()
    assert not folder.is_run


def test_an_empty_folder_will_do(tmp_path):
    assert open_folder(tmp_path, resume=False, overwrite=False).path == tmp_path


@pytest.mark.parametrize(("resume", "overwrite"), [(False, False), (False, True), (True, False)])
def test_a_folder_with_something_else_in_it_is_refused_and_left_as_it_is(tmp_path, resume, overwrite):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="holds no run; give another --out"):
        open_folder(tmp_path, resume=resume, overwrite=overwrite)
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_is_no_folder_for_a_run(tmp_path, overwrite):
    file = tmp_path / "notes.txt"
    file.write_text("keep me")
    with pytest.raises(UsageError, match="--out"):
        open_folder(file, resume=False, overwrite=overwrite)
    assert file.read_text() == "keep me"


def test_a_run_is_not_replaced_unless_that_is_asked_for(tmp_path):
    path = make_run(tmp_path / "run")
    with pytest.raises(UsageError, match=r"--resume.*--overwrite"):
        open_folder(path, resume=False, overwrite=False)
    assert (path / "best").is_dir()


def test_overwriting_begins_with_an_empty_folder(tmp_path):
    folder = open_folder(make_run(tmp_path / "run"), resume=False, overwrite=True)
    assert [each.name for each in folder.path.iterdir()] == ["trials"]


def test_a_run_that_is_still_being_written_is_not_replaced(tmp_path):
    path = make_run(tmp_path / "run")
    (path / "journal.jsonl").unlink()
    with Journal(path / "journal.jsonl"), pytest.raises(UsageError, match="still writing"):
        open_folder(path, resume=False, overwrite=True)
    assert path.is_dir()


def test_resuming_leaves_everything_where_it_is(tmp_path):
    folder = open_folder(make_run(tmp_path / "run"), resume=True, overwrite=False)
    assert folder.journal.read_text() == "{}\n"
    assert folder.best.is_dir()


def test_there_must_be_a_run_to_resume(tmp_path):
    with pytest.raises(UsageError, match="There is no run in"):
        open_folder(tmp_path / "nothing", resume=True, overwrite=False)
    assert not (tmp_path / "nothing").exists()


def test_a_folder_that_cannot_be_made_is_a_data_error_with_a_way_out(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="give another --out"):
        open_folder(tmp_path / "file" / "run", resume=False, overwrite=False)


def test_without_a_choice_the_first_free_numbered_folder_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = choose_folder(None, "my photos!")
    first.mkdir(parents=True)
    assert (first.as_posix(), choose_folder(None, "my photos!").as_posix()) == (
        "runs/my-photos-1",
        "runs/my-photos-2",
    )


@pytest.mark.parametrize("name", ["", "..", "---", "/"])
def test_a_name_that_is_no_folder_name_becomes_one(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert choose_folder(None, name).as_posix() == "runs/run-1"


def test_facts_of_the_data_are_readable_json(tmp_path):
    task = Task(modality="image", kind="classification", classes=("Äpfel", "b"), metric="accuracy")
    profile = Profile(
        task=task, examples=4, train=2, valid=2, test=0, height=8, width=8, channels=1, mean=(0.5,), std=(0.5,)
    )
    findings = [Finding(check="c", severity="info", evidence="Äpfel", rows=("1.png",))]
    RunFolder(tmp_path).save_facts(profile, findings)
    assert json.loads((tmp_path / "data" / "profile.json").read_text("utf-8"))["task"]["classes"] == ["Äpfel", "b"]
    (line,) = (tmp_path / "data" / "findings.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["evidence"] == "Äpfel"


def written(tmp_path, settings):
    """What config.toml says, in the words of Settings."""
    save_provenance(RunFolder(tmp_path), settings, "1.2.3")
    return tomllib.loads((tmp_path / "config.toml").read_text("utf-8"))


def test_the_options_of_a_run_can_be_read_back(tmp_path):
    asked = Settings(
        source="photos",
        test="other/photos",
        metric="f1",
        seconds=90.5,
        trials=7,
        strategy="random",
        workers=2,
        use=("optimizer:sgd", "augmenter:flip"),
        without=("architecture:resnet50",),
        fixed={"optimizer.sgd.lr": 1e-05, "augmenter.flip": True, "batch_size": 32, "architecture": "resnet18"},
        seed=3,
        offline=True,
    )
    found = written(tmp_path, asked)
    assert parse_duration(found.pop("time")) == asked.seconds
    assert found.pop("set") == asked.fixed
    for key in ("use", "without"):
        assert tuple(found.pop(key)) == getattr(asked, key)
    assert found.pop("offline") is True
    for key, value in found.items():
        assert getattr(asked, key) == value
    assert {"test", "metric", "trials", "strategy", "workers", "seed"} <= found.keys()


def test_options_that_were_not_given_are_left_out(tmp_path):
    assert written(tmp_path, Settings(source="photos", trials=2)).keys() <= {
        "backend", "device", "preset", "seed", "strategy", "trials",
    }  # fmt: skip


NAMES = st.text(st.sampled_from("ab. ä日😀\"'\\#=[]{}\n\x7f"), min_size=1, max_size=8)


@settings(max_examples=40)
@given(test=NAMES, names=st.dictionaries(NAMES, NAMES, max_size=3), seconds=st.floats(0.01, 1e8))
def test_whatever_they_hold_the_options_can_be_read_back(tmp_path_factory, test, names, seconds):
    asked = Settings(source=test, test=test, seconds=seconds, fixed=names, trials=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runfolder, "distributions", list)  # reading those of a real environment takes a while
        found = written(tmp_path_factory.getbasetemp(), asked)
    assert (found["test"], found.get("set", {})) == (test, names)
    assert parse_duration(found["time"]) == pytest.approx(seconds, rel=1e-3, abs=1e-3)


def test_the_versions_of_everything_installed_are_kept(tmp_path):
    written(tmp_path, Settings(source="photos"))
    manifest = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    assert (manifest["seedbed"], manifest["settings"]["source"]) == ("1.2.3", "photos")
    lines = (tmp_path / "environment.txt").read_text("utf-8").splitlines()
    assert any(line.lower().startswith("numpy==") for line in lines)
    assert lines == sorted(lines, key=str.lower)


def test_a_run_that_was_brought_takes_the_place_of_what_is_here_its_journal_last(tmp_path, monkeypatch):
    folder, brought = RunFolder(make_run(tmp_path / "run")), make_run(tmp_path / "brought")
    (folder.best / "old").touch()
    (folder.path / "own").mkdir()
    (brought / "best" / "new").touch()
    (brought / "zoo").touch()
    moved = []
    replace = type(brought).replace

    def noted(self, target):
        moved.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(type(brought), "replace", noted)
    take_in(folder, brought)
    assert [each.name for each in folder.best.iterdir()] == ["new"]
    assert sorted(each.name for each in folder.path.iterdir()) == ["best", "journal.jsonl", "own", "zoo"]
    assert moved == ["best", "zoo", "journal.jsonl"]
