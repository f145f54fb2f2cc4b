"""A folder of images as people have them: with files that are none, and classes with too little in them."""

from __future__ import annotations

import shutil

import pytest
from click.testing import CliRunner
from quick_runs import PLUGINS, photos, quick_fit, surroundings

from seedbed.cli import main


@pytest.fixture(scope="module", autouse=True)
def _surroundings(tmp_path_factory):
    with surroundings(tmp_path_factory.mktemp("home")):
        yield


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    source = photos(tmp_path_factory.mktemp("data") / "photos")
    whole = (source / "dark" / "0.png").read_bytes()
    (source / "dark" / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (source / "light" / "text.png").write_text("This is no image.\n")
    (source / "nothing here").mkdir()
    (source / "alone").mkdir()
    shutil.copy(source / "light" / "1.png", source / "alone" / "1.png")
    photos(source / "more", count=6)
    (source / "more" / "dark").rename(source / "Übergröße und mehr")
    shutil.rmtree(source / "more")
    return source


@pytest.fixture(scope="module")
def run(damaged, tmp_path_factory):
    return quick_fit(tmp_path_factory.mktemp("runs") / "photos", damaged, trials=2)


@pytest.mark.parametrize(
    "name", ["truncated.png", "text.png", "nothing here", "alone", "Übergröße und mehr"], ids=lambda name: name[:5]
)
def test_every_damage_is_named_in_the_findings(run, name):
    naming = [
        finding
        for finding in run.summary()["findings"]
        if name in finding["evidence"] or any(name in row for row in finding["rows"])
    ]
    assert naming
    assert any(finding["remedy"] for finding in naming)


def test_nothing_crashes_and_the_rest_is_learnt(run):
    assert run.history.profile.task.classes == ("alone", "dark", "light", "Übergröße und mehr")
    assert all(row["status"] == "finished" for row in run.summary()["leaderboard"])
    assert run.summary()["best"]["score"] > 0.5


def test_files_that_cannot_be_read_have_no_part_in_it(run, damaged):
    readable = sum(1 for _ in damaged.rglob("*.png")) - 2
    profile = run.history.profile
    assert profile.train + profile.valid + profile.test == readable


def test_predictions_name_the_files_that_cannot_be_read(run, damaged):
    found = run.best.predict_frame(str(damaged))
    unreadable = {found.inputs[row].rsplit("/", 1)[-1] for row in found.unreadable}
    assert unreadable == {"truncated.png", "text.png"}
    assert all(found.predictions[row] is None for row in found.unreadable)


def fit(source, out):
    arguments = ["--plugin", str(PLUGINS / "quick.py"), "fit", str(source), "--out", str(out), "--trials", "1"]
    return CliRunner().invoke(main, [*arguments, "--backend", "inline", "--offline", "--strategy", "quick", "-q"])


def test_a_folder_with_nothing_in_it_exits_with_3_and_what_was_expected(tmp_path):
    (tmp_path / "photos").mkdir()
    answer = fit(tmp_path / "photos", tmp_path / "run")
    assert answer.exit_code == 3
    assert "photos" in answer.stderr
    assert "one folder of images for each class" in answer.stderr.lower()


def test_a_folder_of_empty_class_folders_exits_with_3(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    answer = fit(tmp_path / "photos", tmp_path / "run")
    assert answer.exit_code == 3
    assert "Traceback" not in answer.stderr


def test_a_folder_in_which_no_image_can_be_read_exits_with_3_and_the_reason(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "1.png").write_text("no image")
    answer = fit(tmp_path / "photos", tmp_path / "run")
    assert answer.exit_code == 3
    assert "None of the images" in answer.stderr


def test_a_folder_with_one_class_exits_with_3_and_what_is_missing(tmp_path):
    photos(tmp_path / "photos")
    shutil.rmtree(tmp_path / "photos" / "dark")
    answer = fit(tmp_path / "photos", tmp_path / "run")
    assert answer.exit_code == 3
    assert "Two classes or more" in answer.stderr
