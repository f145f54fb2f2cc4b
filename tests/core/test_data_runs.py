"""Runs on data of other forms than class folders, and on data with something wrong with it, end to end."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from quick_runs import photos, quick_fit, surroundings

import seedbed
from seedbed.core.errors import UsageError
from seedbed.core.search.events import BundleEvaluated
from seedbed.core.search.journal import read


@pytest.fixture(scope="module", autouse=True)
def _surroundings(tmp_path_factory):
    with surroundings(tmp_path_factory.mktemp("home")):
        yield


def table_of(folder: Path) -> Path:
    """Write a table that names the pictures of class folders, labels beside them."""
    with (folder.parent / "photos.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["picture", "kind"])
        writer.writerows([str(path.relative_to(folder.parent)), path.parent.name] for path in folder.glob("*/*.png"))
    return folder.parent / "photos.csv"


def test_a_table_of_image_paths_is_learnt_predicted_and_scored(tmp_path):
    table = table_of(photos(tmp_path / "photos"))
    run = quick_fit(tmp_path / "run", str(table))
    assert run.history.profile.task.classes == ("dark", "light")
    found = run.best.predict_frame(str(table))
    assert len(found.predictions) == 24
    assert run.best.evaluate(str(table))["examples"] == 24
    unlabelled = tmp_path / "new.csv"
    unlabelled.write_text("picture,remark\nphotos/dark/0.png,a\nphotos/light/0.png,b\n")
    assert len(run.best.predict_frame(str(unlabelled)).predictions) == 2


def test_a_frame_in_memory_is_learnt_by_the_columns_that_are_named(tmp_path):
    files = sorted(photos(tmp_path / "photos").glob("*/*.png"))
    frame = pd.DataFrame({"file": [str(file) for file in files], "x": [file.parent.name for file in files]})
    run = quick_fit(tmp_path / "run", frame, target="x")
    assert run.history.profile.task.classes == ("dark", "light")


def test_arrays_in_a_file_are_learnt(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 9, 9), dtype=np.uint8)
    np.savez(tmp_path / "arrays.npz", x=pixels, y=np.arange(60) % 3)
    assert quick_fit(tmp_path / "run", str(tmp_path / "arrays.npz")).history.profile.task.classes == ("0", "1", "2")


def test_a_test_score_is_told_with_and_without_the_rows_that_training_has_too(tmp_path):
    photos(tmp_path / "data" / "train", count=20)
    photos(tmp_path / "data" / "test", count=10, first=100)
    for number in range(4):
        shutil.copy(tmp_path / "data/train/dark" / f"{number}.png", tmp_path / "data/test/light" / f"leak{number}.png")
    run = quick_fit(tmp_path / "run", str(tmp_path / "data"))
    (event,) = [each for each in read(run.folder / "journal.jsonl") if isinstance(each, BundleEvaluated)]
    assert (event.examples, event.leaked) == (24, 4)
    # The four are dark pictures labelled light: without them the same model does better.
    assert event.metrics_without_leaked["accuracy"] > event.metrics["accuracy"]
    summary = run.summary()
    assert summary["test_without_leaked"]["examples"] == 20
    assert summary["test_without_leaked"]["leaked"] == 4
    assert any(each["check"] == "duplicates" and "4 rows of the test part" in each["evidence"]
               for each in summary["findings"])  # fmt: skip


def test_a_test_part_without_copies_has_one_score(tmp_path):
    photos(tmp_path / "data" / "train")
    photos(tmp_path / "data" / "test", first=100)
    assert quick_fit(tmp_path / "run", str(tmp_path / "data")).summary()["test_without_leaked"] is None


def test_copies_are_on_one_side_of_the_split(tmp_path):
    folder = photos(tmp_path / "photos", count=20)
    for file in sorted(folder.glob("*/*.png")):
        shutil.copy(file, file.with_name(f"copy-{file.name}"))
    found = seedbed.inspect(folder).examined
    of_training, of_validation = (set(found.checked.groups[rows]) for rows in (found.splits.train, found.splits.valid))
    assert len(of_validation) > 1
    assert not of_training & of_validation


def test_classes_that_differ_by_case_are_one_unless_repairs_are_forbidden(tmp_path):
    photos(tmp_path / "photos")
    (tmp_path / "photos" / "DARK").mkdir()
    for number in range(4):
        (tmp_path / "photos" / "dark" / f"{number}.png").rename(tmp_path / "photos" / "DARK" / f"{number}.png")
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    assert seedbed.inspect(tmp_path / "photos").profile.task.classes == ("dark", "light")
    assert len(seedbed.inspect(tmp_path / "photos", repair="none").profile.task.classes) == 3
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before, "the user's folder was touched"


def test_a_model_knows_the_spellings_that_were_merged(tmp_path):
    folder = photos(tmp_path / "photos")
    (folder / "DARK").mkdir()
    for number in range(4):
        (folder / "dark" / f"{number}.png").rename(folder / "DARK" / f"{number}.png")
    run = quick_fit(tmp_path / "run", str(folder))
    assert run.history.profile.spellings == {"DARK": "dark"}
    found = run.best.evaluate(str(folder))
    assert (found["examples"], found["skipped"]) == (24, 0)


def test_text_and_series_are_inspected(tmp_path):
    lines = [{"text": f"a text about {word} number {n}", "label": word} for n in range(30) for word in ("cats", "dogs")]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = seedbed.inspect(tmp_path / "texts.jsonl")
    assert (found.profile.task.modality, found.profile.task.classes) == ("text", ("cats", "dogs"))
    assert found.profile.lengths.usual == 6
    rows = [{"wave": np.sin(np.arange(20) * (1 + n % 2)).tolist(), "kind": "ab"[n % 2]} for n in range(40)]
    (tmp_path / "waves.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert seedbed.inspect(tmp_path / "waves.jsonl").profile.channels == 1


def test_groups_and_order_divide_the_rows_as_asked(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "words": [f"some words of text {rng.integers(1e9)}" for _ in range(200)],
            "label": rng.choice(["a", "b"], 200),
            "person": rng.integers(0, 25, 200),
            "day": rng.permutation(200),
        }
    )
    grouped = seedbed.inspect(frame, target="label", group="person").examined.splits
    people = frame["person"].to_numpy()
    assert not set(people[grouped.train]) & set(people[grouped.valid])
    ordered = seedbed.inspect(frame, target="label", order="day").examined.splits
    days = frame["day"].to_numpy()
    assert days[ordered.train].max() < days[ordered.valid].min()


def test_a_value_to_predict_is_described(tmp_path):
    frame = pd.DataFrame({"words": [f"text number {n}" for n in range(50)], "price": np.linspace(0.5, 9.7, 50)})
    found = seedbed.inspect(frame)
    assert found.profile.task.kind == "regression"
    assert found.profile.target_mean == pytest.approx(5.1, abs=0.5)
    with pytest.raises(UsageError, match="No task is named"):
        seedbed.inspect(frame, task="classify")
