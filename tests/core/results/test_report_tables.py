from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from core.training.helpers import DictLookup
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.errors import DataError
from seedbed.core.results.report_tables import (
    class_report,
    confused,
    confusion,
    describe_scores,
    residuals,
    save_scores,
)
from seedbed.core.specs import MetricSpec
from seedbed.core.task import Task
from seedbed.core.training.predictions import Predictions


def task(kind, classes=()):
    return Task(modality="text", kind=kind, metric="any", classes=tuple(classes))


TARGETS = np.array([0, 0, 1, 2])
OUTPUTS = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.2, 0.5, 0.3], [0.5, 0.3, 0.2]], np.float32)
MARKS = np.array([[1, 0, 0], [1, 1, 0]], np.uint8)
GIVEN = np.array([[0.9, 0.6, 0.1], [0.2, 0.7, 0.1]], np.float32)


def metric(name, value, **settings):
    def build(options):
        return lambda targets, outputs: value

    return MetricSpec(name=name, summary="A score.", build="fakes:metric", **settings), build


def test_a_class_has_its_own_scores():
    first, second, third = class_report(TARGETS, OUTPUTS, task("classification", "abc"))
    assert (first.name, first.precision, first.recall, first.f1) == ("a", 1 / 2, 1 / 2, 1 / 2)
    assert (second.precision, second.recall, second.support, second.predicted) == (1 / 2, 1.0, 1, 2)
    assert (third.precision, third.recall, third.f1, third.support, third.predicted) == (0, 0, 0, 1, 0)


def test_a_label_has_its_own_scores_and_one_that_nobody_has_is_in_the_report():
    first, second, third = class_report(MARKS, GIVEN, task("multilabel", "abc"))
    assert (first.precision, first.recall, first.support) == (1.0, 0.5, 2)
    assert (second.precision, second.recall, second.predicted) == (0.5, 1.0, 2)
    assert (third.f1, third.support, third.predicted) == (0.0, 0, 0)


def test_rows_of_a_confusion_matrix_are_the_true_classes():
    assert confusion(TARGETS, OUTPUTS).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_labels_have_a_square_each():
    assert confusion(MARKS, GIVEN).tolist() == [[[0, 0], [1, 1]], [[0, 1], [0, 1]], [[2, 0], [0, 0]]]


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(st.integers(2, 5), st.integers(1, 40), st.integers(0, 10_000), st.booleans())
def test_reports_are_those_of_scikit_learn(classes, rows, seed, is_multilabel):
    import sklearn.metrics as theirs

    rng = np.random.default_rng(seed)
    outputs = rng.dirichlet(np.ones(classes), rows).astype(np.float32)
    kind, targets, found = "classification", rng.integers(0, classes, rows), outputs.argmax(axis=1)
    labels = np.arange(classes)
    wanted = theirs.confusion_matrix(targets, found, labels=labels)
    if is_multilabel:
        kind, targets, found = "multilabel", (rng.random(outputs.shape) < 0.4).astype(np.uint8), outputs >= 0.5
        wanted = theirs.multilabel_confusion_matrix(targets, found, labels=labels)
    assert confusion(targets, outputs).tolist() == wanted.tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        columns = theirs.precision_recall_fscore_support(targets, found, labels=labels, zero_division=0)
    rows_found = class_report(targets, outputs, task(kind, "abcde"[:classes]))
    ours = [(row.precision, row.recall, row.f1, row.support) for row in rows_found]
    assert np.array(ours) == pytest.approx(np.stack(columns, axis=1))


def test_the_list_of_cells_says_what_the_matrix_says_the_fullest_first():
    rng = np.random.default_rng(0)
    targets, outputs = rng.integers(0, 4, 90), rng.random((90, 4)).astype(np.float32)
    cells = confused(targets, outputs)
    matrix = np.zeros((4, 4), dtype=int)
    for true, given_class, count in cells:
        matrix[true, given_class] = count
    assert matrix.tolist() == confusion(targets, outputs).tolist()
    assert [count for *_, count in cells] == sorted((count for *_, count in cells), reverse=True)


def test_residuals_are_positive_where_too_much_is_predicted():
    found = residuals(np.zeros(5), np.array([-1.0, 0.0, 1.0, 2.0, 8.0], np.float32))
    assert found.mean == 2.0
    assert (found.quantiles["0"], found.quantiles["0.5"], found.quantiles["1"]) == (-1.0, 1.0, 8.0)
    assert (found.absolute["0"], found.absolute["0.5"]) == (0.0, 1.0)


def test_all_there_is_to_say_of_classes():
    lookup = DictLookup(metric("good", 0.5), metric("odd", float("nan")), metric("rmse", 1.0, tasks=("regression",)))
    found = describe_scores(Predictions(np.arange(4), TARGETS, OUTPUTS), task("classification", "abc"), lookup)
    assert found["kind"] == "classification"
    assert found["examples"] == 4
    assert found["metrics"] == {"good": 0.5}
    assert found["skipped"] == {"odd": "it gave nan, which is no score"}
    assert [row["name"] for row in found["classes"]] == ["a", "b", "c"]
    assert found["confusion"] == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_very_many_classes_are_listed_and_not_squared():
    targets = np.arange(400)
    predictions = Predictions(targets, targets, np.eye(400))
    found = describe_scores(predictions, task("classification", [f"c{n}" for n in range(400)]), DictLookup())
    assert "confusion" not in found
    assert found["confused"][0] == [0, 0, 1]
    assert len(found["confused"]) == 400


def test_all_there_is_to_say_of_values_and_of_labels():
    lookup = DictLookup(metric("rmse", 1.0, tasks=("regression",)))
    values = Predictions(np.arange(2), np.array([0.5, 1.0]), np.array([1.0, 1.0]))
    found = describe_scores(values, task("regression"), lookup)
    assert found["metrics"] == {"rmse": 1.0}
    assert found["residuals"]["mean"] == 0.25
    labels = describe_scores(Predictions(np.arange(2), MARKS, GIVEN), task("multilabel", "abc"), lookup)
    assert labels["metrics"] == {}
    assert np.shape(labels["confusion"]) == (3, 2, 2)


def test_predictions_of_another_task_are_refused():
    with pytest.raises(DataError, match=r"with 3 classes do not belong to a task of classification with 2"):
        describe_scores(Predictions(np.arange(4), TARGETS, OUTPUTS), task("classification", "ab"), DictLookup())
    with pytest.raises(DataError, match="multilabel"):
        describe_scores(Predictions(np.arange(2), MARKS, GIVEN), task("classification", "abc"), DictLookup())


def test_saved_scores_come_back_and_leave_nothing_else_behind(tmp_path):
    found = describe_scores(Predictions(np.arange(4), TARGETS, OUTPUTS), task("classification", "abç"), DictLookup())
    for _ in range(2):
        save_scores(tmp_path / "scores.json", {"valid": found})
    assert json.loads((tmp_path / "scores.json").read_text(encoding="utf-8")) == {"valid": found}
    assert [each.name for each in tmp_path.iterdir()] == ["scores.json"]
