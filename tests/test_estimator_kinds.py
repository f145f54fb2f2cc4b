"""What the estimator makes of inputs and targets of every kind; the run itself is a fake, its model knows one rule."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import is_classifier, is_regressor

from seedbed import AutoML
from seedbed.core.data.inference.interpret import interpret
from seedbed.core.data.schema import Schema
from seedbed.core.data.targets import targets_of
from seedbed.core.errors import DataError, UsageError

TEXTS = [f"a text of {number} words" for number in range(12)]


class Model:
    """Gives what it was made with, whatever the inputs."""

    def __init__(self, outputs, classes=()):
        self.outputs, self.classes = outputs, classes

    def predict_proba(self, inputs):
        return self.outputs

    def predict(self, inputs):
        return self.outputs.tolist()


@pytest.fixture
def runs(monkeypatch):
    """Stand in for the run: keeps what it is given, and returns the model set as `model`."""
    calls = SimpleNamespace(model=None, tables=[], arrays=[])

    def fit(table, **options):
        calls.tables.append((table, options))
        return SimpleNamespace(best=calls.model)

    def fit_arrays(inputs, targets, **options):
        calls.arrays.append((inputs, targets, options))
        return SimpleNamespace(best=calls.model)

    monkeypatch.setattr("seedbed.api.fit", fit)
    monkeypatch.setattr("seedbed.api.fit_arrays", fit_arrays)
    return calls


def learnt(runs, cache: Path):
    """What the engine makes of the table that it was given: the dataset and its targets."""
    (table, options), *_ = runs.tables
    wanted = Schema(kind=options["task"], modality=options["modality"])
    dataset = interpret(table, wanted, cache, need_target=True)
    return dataset, targets_of(dataset)


def test_texts_with_classes_become_a_table_of_both(runs, tmp_path):
    found = AutoML().fit(TEXTS, np.array(["b", "a"] * 6))
    dataset, targets = learnt(runs, tmp_path)
    assert (dataset.modality, dataset.kind) == ("text", "classification")
    assert np.array(targets.classes)[targets.values].tolist() == ["b", "a"] * 6
    assert found.classes_.tolist() == ["a", "b"]


def test_numbers_that_are_not_whole_are_values(runs, tmp_path):
    values = np.linspace(0.5, 2, 12)
    runs.model = Model(values.astype(np.float32))
    found = AutoML().fit(TEXTS, values)
    _, targets = learnt(runs, tmp_path)
    assert (found.kind_, targets.kind) == ("regression", "regression")
    assert targets.values == pytest.approx(values)
    assert found.predict(TEXTS) == pytest.approx(values)
    assert not hasattr(found, "classes_")
    assert not hasattr(found, "predict_proba")


def test_whole_numbers_are_values_where_the_task_says_so(runs, tmp_path):
    found = AutoML(task="regression").fit(TEXTS, range(12))
    _, targets = learnt(runs, tmp_path)
    assert targets.values.tolist() == list(range(12))
    assert found.kind_ == "regression"


def test_a_matrix_of_zeros_and_ones_is_several_labels(runs, tmp_path):
    marks = np.array([[1, 0, 0], [1, 0, 1], [0, 0, 1]] * 4)
    found = AutoML().fit(TEXTS, marks)
    _, targets = learnt(runs, tmp_path)
    assert found.kind_ == targets.kind == "multilabel"
    assert found.classes_.tolist() == [0, 1, 2]
    order = [targets.classes.index(str(each)) for each in (0, 2)]
    assert targets.values[:, order].tolist() == marks[:, [0, 2]].tolist()


def test_a_label_that_training_never_had_is_never_given(runs):
    runs.model = Model(np.array([[0.9, 0.4], [0.5, 0.1]], np.float32), classes=("2", "0"))
    found = AutoML().fit(TEXTS, np.array([[1, 0, 0], [1, 0, 1], [0, 0, 1]] * 4))
    assert found.predict_proba(TEXTS[:2]) == pytest.approx(np.array([[0.4, 0, 0.9], [0.1, 0, 0.5]]))
    assert found.predict(TEXTS[:2]).tolist() == [[0, 0, 1], [0, 0, 1]]
    assert found.score(TEXTS[:2], [[0, 0, 1], [1, 0, 1]]) == 0.5


def test_values_are_scored_by_the_variance_they_explain(runs):
    runs.model = Model(np.array([1.0, 2.0, 4.0]))
    found = AutoML(task="regression").fit(TEXTS, range(12))
    assert found.score(TEXTS[:3], [1, 2, 3]) == pytest.approx(1 - 1 / 2)


def test_images_with_classes_go_the_short_way(runs):
    images = np.zeros((4, 8, 8), np.uint8)
    AutoML().fit(images, [[0], [1], [0], [1]])
    AutoML().fit(["a.png", "b.JPG"], ["x", "y"])
    assert runs.arrays[0][1].tolist() == [0, 1, 0, 1]
    assert runs.arrays[1][0] == ["a.png", "b.JPG"]
    assert not runs.tables


def test_images_with_values_are_images_still(runs, tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (4, 8, 8), dtype=np.uint8)
    AutoML().fit(images, [0.5, 1.5, 2.5, 3.5])
    dataset, _ = learnt(runs, tmp_path)
    assert (dataset.modality, dataset.kind) == ("image", "regression")


def test_an_array_is_of_series_where_the_modality_says_so(runs, tmp_path):
    AutoML(modality="series").fit(np.random.default_rng(0).normal(size=(6, 2, 30)), ["u", "v"] * 3)
    dataset, _ = learnt(runs, tmp_path)
    assert (dataset.modality, dataset.kind) == ("series", "classification")


def series_of(form):
    """Six series of two channels, in a form that a program may hold them in."""
    rng = np.random.default_rng(0)
    found = [rng.normal(size=(2, steps)) for steps in ([30] * 6 if "N" in form else (30, 31, 40, 33, 22, 35))]
    if "(T, C)" in form or "(N, T, C)" in form:
        found = [each.T for each in found]
    if "lists" in form:
        return [each[0].tolist() for each in found]
    return np.stack(found) if "N" in form else found


@pytest.mark.parametrize(
    ("form", "channels"),
    [("(N, C, T)", 2), ("(N, T, C)", 2), ("list of (C, T)", 2), ("list of (T, C)", 2), ("list of lists", 1)],
)
def test_numbers_that_no_image_has_are_series_unasked(form, channels, runs, tmp_path):
    AutoML().fit(series_of(form), ["u", "v"] * 3)
    dataset, _ = learnt(runs, tmp_path)
    assert dataset.modality == "series"
    assert {len(each) for each in dataset.rows["series"]} == {channels}


def test_pictures_of_several_sizes_are_images(runs):
    images = [np.zeros((8 + number, 9), np.uint8) for number in range(4)]
    AutoML().fit(images, [0, 1, 0, 1])
    assert runs.arrays[0][0] is images


@pytest.mark.parametrize("images", [np.zeros((4, 8, 8)), np.zeros((4, 8, 9, 3), np.uint8), [np.ones((16, 16))] * 4])
def test_arrays_that_could_be_pictures_are_images(images, runs):
    AutoML().fit(images, [0, 1, 0, 1])
    assert runs.arrays[0][0] is images


@pytest.mark.parametrize("flat", [np.zeros((4, 9)), [[0.5] * 9] * 4, [np.ones(9)] * 4])
def test_rows_of_numbers_are_refused_unless_they_are_said_to_be_series(flat, runs, tmp_path):
    with pytest.raises(DataError, match=r"4 rows of 9 numbers each.*modality='series'.*reshape them to \(N, H, W\)"):
        AutoML().fit(flat, [0, 1, 0, 1])
    AutoML(modality="series").fit(flat, [0, 1, 0, 1])
    dataset, _ = learnt(runs, tmp_path)
    assert dataset.modality == "series"


def test_square_arrays_with_values_of_no_image_are_not_guessed_at(runs):
    scaled = np.random.default_rng(0).normal(size=(4, 28, 28))
    with pytest.raises(DataError, match=r"\(4, 28, 28\), and values of no image.*modality='series'.*scale them"):
        AutoML().fit(scaled, [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("task", "targets", "message"),
    [
        (None, [["a", "b"], ["c"]], "MultiLabelBinarizer"),
        (None, [[1, 2], [3, 4]], r"shape \(2, 2\); for classes or values give one for each row"),
        ("multilabel", [0, 1], r"shape \(2,\); for multilabel"),
        ("classification", [[0, 1], [1, 1]], r"shape \(2, 2\); for classification"),
        ("regression", ["a", "b"], "regression needs numbers"),
    ],
)
def test_targets_that_fit_no_task_are_refused(task, targets, message, runs):
    with pytest.raises(DataError, match=message):
        AutoML(task=task).fit(TEXTS[:2], targets)


def test_an_unknown_task_is_refused_with_those_there_are(runs):
    with pytest.raises(UsageError, match="choose one of classification, regression, multilabel"):
        AutoML(task="ranking").fit(TEXTS[:2], [0, 1])


def test_scikit_learn_knows_which_of_the_two_it_is():
    assert is_classifier(AutoML())
    assert is_regressor(AutoML(task="regression"))
    assert not is_classifier(AutoML(task="regression"))
    assert hasattr(AutoML(), "predict_proba")
    assert not hasattr(AutoML(task="regression"), "predict_proba")
