"""From a run to "don't know": what `--abstain` and its Python face give, on runs of a second or two."""

from __future__ import annotations

import csv
import io
import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from quick_runs import PLUGINS, photos, quick_fit, surroundings

from seedbed import AutoML
from seedbed.cli import main
from seedbed.core.errors import UsageError
from seedbed.core.results.bundle import read_bundle
from seedbed.core.results.calibration import coverage
from seedbed.core.training.predictions import load_predictions

LEVEL = 0.02


@pytest.fixture(scope="module", autouse=True)
def _surroundings(tmp_path_factory):
    with surroundings(tmp_path_factory.mktemp("home")):
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on the digits, by a net that often cannot tell."""
    return quick_fit(tmp_path_factory.mktemp("runs") / "digits")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run on pictures and how bright they are: the numbers to predict."""
    folder = tmp_path_factory.mktemp("measured")
    photos(folder, count=40)
    rng = np.random.default_rng(0)
    files = sorted(folder.glob("*/*.png"))
    lines = [f"{file},{(file.parent.name == 'light') + rng.normal(scale=0.2):.4f}" for file in files]
    (folder / "table.csv").write_text("\n".join(["path,brightness", *lines]))
    return quick_fit(folder / "run", str(folder / "table.csv"), target="brightness"), folder / "table.csv"


def seedbed(*arguments):
    every = ["--plugin", PLUGINS / "quick.py", *arguments]
    return CliRunner().invoke(main, [str(each) for each in every], catch_exceptions=False)


def test_a_run_calibrates_what_it_keeps(run):
    bundle = read_bundle(run.folder / "best")
    judged = load_predictions(run.folder / "valid_predictions.npz")
    assert bundle.calibration.rows == len(judged) == len(bundle.calibration.table)
    assert bundle.calibration.ece_after <= bundle.calibration.ece_before


def test_rows_without_an_answer_have_candidates_instead(run):
    answer = seedbed("predict", run.folder, "demo:digits", "--abstain", LEVEL)
    rows = list(csv.DictReader(io.StringIO(answer.stdout)))
    assert list(rows[0]) == ["input", "prediction", "candidates"]
    sets = [row["candidates"].split("|") for row in rows]
    assert {len(each) > 1 for each in sets} == {True, False}
    assert [row["prediction"] for row in rows] == [each[0] if len(each) == 1 else "" for each in sets]
    many = sum(len(each) > 1 for each in sets)
    assert f"{many:,} of {len(rows):,} rows are left unanswered. Of 100 rows the truth is missing" in answer.stderr
    assert "at most 2, if the new rows are like those of training" in answer.stderr


def test_all_else_is_as_without_leave_to_abstain(run):
    plain = json.loads(seedbed("predict", run.folder, "demo:digits", "--proba", "--json").stdout)
    found = json.loads(seedbed("predict", run.folder, "demo:digits", "--proba", "--json", "--abstain", LEVEL).stdout)
    assert [row["candidates"][0] for row in found] == [row["prediction"] for row in plain]
    assert [row | {"prediction": 0, "candidates": 0} for row in found] == [
        row | {"prediction": 0, "candidates": 0} for row in plain
    ]


def test_evaluating_says_how_often_the_sets_hold_the_truth(run):
    found = json.loads(seedbed("evaluate", run.folder, "demo:digits", "--json", "--abstain", LEVEL).stdout)["abstain"]
    assert found["level"] == LEVEL
    assert 0.9 < found["coverage"] <= 1
    assert 0 < found["answered"] < 1
    assert found["error"] * found["answered"] <= 1 - found["coverage"] + 1e-12
    text = seedbed("evaluate", run.folder, "demo:digits", "--abstain", LEVEL).stdout
    assert f"At --abstain 0.02: the candidates of {found['coverage']:.1%} of the rows hold the truth" in text


def test_what_it_abstains_from_stands_beside_what_cannot_be_read(run, tmp_path):
    pictures = photos(tmp_path, count=20)
    (pictures / "dark" / "3.png").write_text("no picture")
    frame = run.best.predict_frame(str(pictures), abstain=LEVEL)
    (lost,) = frame.unreadable
    assert (frame.predictions[lost], frame.candidates[lost]) == (None, None)
    others = [row for row in range(40) if row != lost]
    assert [frame.candidates[row] for row in others] == run.best.predict_sets(
        [frame.inputs[row] for row in others], LEVEL
    )
    assert [frame.predictions[row] is None for row in others] == [len(frame.candidates[row]) > 1 for row in others]
    assert any(frame.predictions[row] is None for row in others)
    assert run.best.predict_frame(str(pictures)).candidates is None


def test_a_level_that_cannot_be_served_is_refused_before_anything_is_read(run):
    for act in (run.best.predict_frame, run.best.evaluate):
        with pytest.raises(UsageError, match="rows of validation or more, and there were"):
            act("no-such-folder", abstain=1e-6)


def test_a_level_that_takes_more_rows_than_there_were_says_which_is_possible(run):
    answer = seedbed("predict", run.folder, "demo:digits", "--abstain", 1e-6)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "takes 999,999 rows of validation or more" in answer.stderr


def test_numbers_come_with_low_and_high(measured):
    run, table = measured
    answer = seedbed("predict", run.folder, table, "--abstain", 0.1)
    rows = list(csv.DictReader(io.StringIO(answer.stdout)))
    assert list(rows[0]) == ["input", "prediction", "low", "high"]
    found = np.array([[float(row[name]) for name in ("low", "prediction", "high")] for row in rows])
    width = found[:, 2] - found[:, 1]
    assert width == pytest.approx(np.full(len(rows), run.best.bundle.threshold(0.1)), abs=1e-6)
    assert found[:, 1] - found[:, 0] == pytest.approx(width, abs=1e-6)
    assert "outside of low to high in at most 10" in answer.stderr
    scored = run.best.evaluate(str(table), abstain=0.1)["abstain"]
    assert scored["coverage"] > 0.8
    assert scored["answered"] == 1.0


def test_in_python_numbers_abstain_by_their_sets_alone(measured):
    run, table = measured
    files = [line.split(",")[0] for line in table.read_text().splitlines()[1:4]]
    with pytest.raises(UsageError, match="`predict_sets` gives low and high"):
        run.best.predict(files, abstain=0.1)
    assert [low < value < high for (low, high), value in _beside(run.best, files)] == [True] * 3


def _beside(model, files):
    return zip(model.predict_sets(files, 0.1), model.predict(files), strict=True)


def test_the_estimator_gives_its_own_classes_and_none_where_it_cannot_tell(run):
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images[:200] / 16 * 255).astype(np.uint8)
    estimator = AutoML()
    estimator.kind_, estimator.classes_, estimator.model_ = "classification", np.arange(10), run.best
    found = estimator.predict(images, abstain=LEVEL)
    sets = run.best.predict_sets(images, LEVEL)
    assert [None if each is None else str(each) for each in found] == [
        each[0] if len(each) == 1 else None for each in sets
    ]
    given = [each for each in found if each is not None]
    assert 0 < len(given) < 200
    assert all(isinstance(each, np.integer) for each in given)


def test_the_benchmark_counts_what_the_sets_of_a_run_hold(run, capsys):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
        conformal = import_module("conformal")
    conformal.main([f"digits={run.folder}", "--levels", "0.1", "1e-9"])
    shown = capsys.readouterr()
    (line,) = [each for each in shown.out.splitlines() if each.startswith("| digits |")]
    test = load_predictions(run.folder / "test_predictions.npz")
    found = coverage(test.targets, test.outputs, run.best.bundle.threshold(0.1))
    assert [cell.strip() for cell in line.split("|")][4:7] == [f"{len(test):,}", "0.1", f"{found.strict:.1%}"]
    assert found.strict == pytest.approx(0.9, abs=0.1)
    assert "takes 999,999,999 rows" in shown.err
