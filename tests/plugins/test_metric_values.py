from __future__ import annotations

import importlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.specs import NoOptions
from seedbed.plugins.metrics import AverageOptions, TopKOptions, register_metrics
from seedbed.plugins.metrics.distances import mae, r2, rmse
from seedbed.plugins.metrics.orders import average_precision, roc_auc
from seedbed.plugins.metrics.scores import accuracy, balanced_accuracy, brier_score, f1, log_loss, recall, top_k

TARGETS = np.array([0, 0, 1, 2])
PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.2, 0.5, 0.3], [0.5, 0.3, 0.2]], np.float32)
MARKS = np.array([[1, 0, 0], [1, 1, 0]], np.uint8)
GIVEN = np.array([[0.9, 0.6, 0.1], [0.2, 0.7, 0.1]], np.float32)
KINDS = ("classification", "multilabel", "regression")


def built(kind="classification"):
    """Every metric of a kind of task, with its spec."""
    for spec in register_metrics():
        if kind in spec.tasks:
            module, _, name = spec.build.partition(":")
            yield spec, getattr(importlib.import_module(module), name)(spec.options())


def values_of(kind, targets, outputs):
    return {spec.name: metric(targets, outputs) for spec, metric in built(kind)}


@st.composite
def cases(draw, kinds=KINDS):
    """Targets and outputs of a kind; some classes may be missing, some outputs may be equal."""
    kind, classes, examples = draw(st.sampled_from(kinds)), draw(st.integers(2, 5)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    if kind == "regression":
        return kind, rng.normal(5, 2, examples), rng.normal(5, 2, examples).astype(np.float32)
    outputs = rng.dirichlet(np.ones(classes), examples).astype(np.float32)
    if draw(st.booleans()):
        outputs = np.round(outputs * 4) / 4 + np.float32(1e-3)
        outputs /= outputs.sum(axis=1, keepdims=True)
    if kind == "multilabel":
        return kind, (rng.random((examples, classes)) < rng.random(classes)).astype(np.uint8), outputs
    return kind, rng.integers(0, draw(st.integers(1, classes)), examples), outputs


def test_values_on_four_rows():
    found = values_of("classification", TARGETS, PROBABILITIES)
    assert found["accuracy"] == 2 / 4
    assert found["balanced_accuracy"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert found["recall_macro"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert found["recall_weighted"] == found["recall_micro"] == found["precision_micro"] == 2 / 4
    assert found["precision_macro"] == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert found["precision_weighted"] == pytest.approx((2 * 1 / 2 + 1 / 2 + 0) / 4)
    assert found["f1_macro"] == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)
    assert found["log_loss"] == pytest.approx(-np.mean(np.log([0.7, 0.3, 0.5, 0.2])), rel=1e-6)
    assert found["brier_score"] == pytest.approx((0.14 + 0.86 + 0.38 + 0.98) / 4, rel=1e-6)
    assert found["roc_auc"] == pytest.approx((3 / 4 + 2 / 3 + 2 / 3) / 3)
    assert found["average_precision"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2 + 1 / 2) / 3)
    assert found["top_5_accuracy"] == 1.0


def test_values_of_labels_on_two_rows():
    found = values_of("multilabel", MARKS, GIVEN)
    assert found["accuracy"] == 0.0  # no row has all of its labels right
    assert found["hamming_loss"] == 2 / 6
    assert found["precision_macro"] == pytest.approx((1 + 1 / 2) / 2)  # the third label plays no part
    assert found["recall_macro"] == pytest.approx((1 / 2 + 1) / 2)
    assert found["recall_weighted"] == pytest.approx((2 * 1 / 2 + 1) / 3)
    assert found["f1_micro"] == pytest.approx(2 * 2 / (3 + 3))
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.4, 0.9, 0.2, 0.7, 0.9]).mean(), rel=1e-6)
    assert found["brier_score"] == pytest.approx((0.01 + 0.36 + 0.01 + 0.64 + 0.09 + 0.01) / 6, rel=1e-6)
    assert found["roc_auc"] == 1.0  # of the second label alone: all rows have the first, none the third
    assert found["average_precision"] == 1.0


def test_values_of_values():
    found = values_of("regression", np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 5.0], np.float32))
    assert found == {"mae": 1.0, "rmse": pytest.approx(np.sqrt(5 / 3)), "r2": pytest.approx(1 - 5 / 2)}


def test_names_and_old_names_are_as_scikit_learn_and_users_know_them():
    aliases = {alias: spec.name for spec in register_metrics() for alias in spec.aliases}
    wanted = {"f1": "f1_macro", "precision": "precision_macro", "recall": "recall_macro", "top_k": "top_5_accuracy"}
    assert aliases.items() >= wanted.items()
    lower_is_better = {spec.name for spec in register_metrics() if spec.direction == "min"}
    assert lower_is_better == {"log_loss", "brier_score", "hamming_loss", "rmse", "mae"}


def test_two_guesses_find_more_than_one():
    assert top_k(TopKOptions(k=2))(TARGETS, PROBABILITIES) == 3 / 4


def test_two_guesses_of_a_model_that_knows_nothing_are_two_guesses():
    same = np.full((3, 3), 1 / 3, np.float32)
    assert top_k(TopKOptions(k=2))(np.array([0, 1, 2]), same) == pytest.approx(2 / 3)


def test_a_certain_error_costs_much_but_not_infinity():
    metric = log_loss(NoOptions())
    assert 15 < metric(np.array([0]), np.array([[0.0, 1.0]], np.float32)) < 17
    assert 15 < metric(np.array([[1]]), np.array([[0.0]], np.float32)) < 17


def test_the_squared_distance_of_two_classes_is_that_of_one():
    outputs = np.array([[0.75, 0.25]], np.float32)
    metric = brier_score(NoOptions())
    assert metric(np.array([0]), outputs) == 0.0625 == metric(np.array([[0]]), outputs[:, 1:])


def test_a_class_without_examples_is_no_part_of_the_mean():
    targets, outputs = np.array([0, 1, 1]), np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1]], np.float32)
    without = outputs[:, :2] / outputs[:, :2].sum(axis=1, keepdims=True)
    for metric in (balanced_accuracy(NoOptions()), f1(AverageOptions()), average_precision(NoOptions())):
        assert metric(targets, outputs) == pytest.approx(metric(targets, without))
    assert roc_auc(NoOptions())(targets, outputs) == 1.0


def test_where_no_class_can_be_ordered_the_score_is_that_of_chance():
    targets, outputs = np.zeros(3, int), np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]], np.float32)
    assert roc_auc(NoOptions())(targets, outputs) == 0.5
    nothing = np.zeros((3, 2), np.uint8)
    assert roc_auc(NoOptions())(nothing, outputs) == 0.5
    assert average_precision(NoOptions())(nothing, outputs) == 0.0


def test_labels_that_nobody_has_and_nobody_is_given_score_nothing():
    nothing, none_given = np.zeros((3, 2), np.uint8), np.zeros((3, 2), np.float32)
    for average in ("macro", "micro", "weighted"):
        assert f1(AverageOptions(average))(nothing, none_given) == 0.0
        assert recall(AverageOptions(average))(nothing, none_given + 1) == 0.0
    assert accuracy(NoOptions())(nothing, none_given) == 1.0


def test_targets_that_are_all_the_same_leave_nothing_to_explain():
    metric, same = r2(NoOptions()), np.full(5, 0.1)
    assert metric(same, np.full(5, 0.1)) == 1.0
    assert metric(same, np.full(5, 0.3, np.float32)) == 0.0
    assert metric(same[:1], np.array([0.3], np.float32)) == 0.0


def test_a_small_variance_far_from_zero_is_not_lost():
    targets = 1e6 + np.array([0.0, 1.0, 2.0, 3.0])
    assert r2(NoOptions())(targets, targets + np.array([0.5, -0.5, 0.5, -0.5])) == pytest.approx(1 - 1 / 5)


def test_an_unknown_average_is_refused():
    with pytest.raises(ValueError, match="one of macro, micro, weighted"):
        AverageOptions(average="marco")


@settings(deadline=None)
@given(cases())
def test_a_score_by_row_has_the_score_as_its_mean(case):
    kind, targets, outputs = case
    named = [(spec.name, metric) for spec, metric in built(kind) if hasattr(metric, "per_row")]
    assert [name for name, _ in named] == {
        "classification": ["accuracy", "log_loss", "brier_score", "top_5_accuracy"],
        "multilabel": ["accuracy", "hamming_loss", "log_loss", "brier_score"],
        "regression": ["mae"],
    }[kind]
    for _, metric in named:
        by_row = metric.per_row(targets, outputs)
        assert by_row.shape == (len(targets),)
        assert by_row.mean() == pytest.approx(metric(targets, outputs))


@settings(deadline=None)
@given(cases(), st.integers(0, 1000))
def test_a_row_with_a_weight_counts_as_that_many_rows(case, seed):
    kind, targets, outputs = case
    chosen = np.random.default_rng(seed).integers(0, len(targets), (3, len(targets)))
    weights = np.stack([np.bincount(each, minlength=len(targets)) for each in chosen]).astype(np.float64)
    for spec, metric in built(kind):
        if hasattr(metric, "weighted"):
            wanted = [metric(targets[each], outputs[each]) for each in chosen]
            found = metric.weighted(targets, outputs, weights)
            says = np.isfinite(found)  # of what says nothing, all rows have a score all the same
            assert found[says] == pytest.approx(np.array(wanted)[says], rel=1e-9, abs=1e-9), spec.name


def test_very_many_labels_are_counted_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    targets, outputs = (rng.random((50, 7)) < 0.3).astype(np.uint8), rng.random((50, 7)).astype(np.float32)
    whole = f1(AverageOptions())(targets, outputs)
    monkeypatch.setattr("seedbed.plugins.metrics.scores._CHUNK", 30)
    assert f1(AverageOptions())(targets, outputs) == whole


@settings(deadline=None)
@given(cases())
def test_right_answers_are_better_than_wrong_ones(case):
    kind, targets, outputs = case
    right = {
        "classification": lambda: np.eye(outputs.shape[-1], dtype=np.float32)[targets],
        "multilabel": lambda: targets.astype(np.float32),
        "regression": lambda: targets,
    }[kind]()
    for spec, metric in built(kind):
        sign = 1 if spec.direction == "max" else -1
        assert sign * metric(targets, right) >= sign * metric(targets, outputs), spec.name


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(cases(kinds=("classification",)))
@pytest.mark.filterwarnings("ignore")
def test_scores_of_classes_are_those_of_scikit_learn(case):
    import sklearn.metrics as theirs

    _, targets, outputs = case
    outputs = outputs.astype(np.float64)
    outputs /= outputs.sum(axis=1, keepdims=True)
    predicted, classes = outputs.argmax(axis=1), np.arange(outputs.shape[1])
    one_hot = np.eye(len(classes), dtype=int)[targets]
    ours = values_of("classification", targets, outputs)
    assert ours["accuracy"] == pytest.approx(theirs.accuracy_score(targets, predicted))
    assert ours["balanced_accuracy"] == pytest.approx(theirs.balanced_accuracy_score(targets, predicted))
    assert ours["log_loss"] == pytest.approx(theirs.log_loss(targets, outputs, labels=classes), rel=1e-4)
    squares = np.square(outputs - one_hot).sum(axis=1).mean() / (2 if len(classes) == 2 else 1)
    assert ours["brier_score"] == pytest.approx(squares)
    for average in ("macro", "weighted", "micro"):
        for name in ("f1", "precision", "recall"):
            their = getattr(theirs, f"{name}_score")(targets, predicted, average=average, zero_division=0)
            assert ours[f"{name}_{average}"] == pytest.approx(their), (name, average)
    _assert_order_is_theirs(one_hot, outputs, ours, theirs)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(cases(kinds=("multilabel",)))
@pytest.mark.filterwarnings("ignore")
def test_scores_of_labels_are_those_of_scikit_learn(case):
    import sklearn.metrics as theirs

    _, targets, outputs = case
    given = (outputs >= 0.5).astype(int)
    ours = values_of("multilabel", targets, outputs)
    assert ours["accuracy"] == pytest.approx(theirs.accuracy_score(targets, given))
    assert ours["hamming_loss"] == pytest.approx(theirs.hamming_loss(targets, given))
    occurs = np.flatnonzero((targets + given).any(axis=0))
    for average in ("macro", "weighted", "micro") if len(occurs) else ():
        for name in ("f1", "precision", "recall"):
            score = getattr(theirs, f"{name}_score")
            their = score(targets, given, average=average, labels=occurs, zero_division=0)
            assert ours[f"{name}_{average}"] == pytest.approx(their), (name, average)
    _assert_order_is_theirs(targets, outputs, ours, theirs)


def _assert_order_is_theirs(targets, outputs, ours, theirs):
    """Compare over the classes that can be ordered; the others are left out."""
    some, all_have = targets.any(axis=0), targets.all(axis=0)
    for name, score, counts in (
        ("roc_auc", theirs.roc_auc_score, some & ~all_have),
        ("average_precision", theirs.average_precision_score, some),
    ):
        if counts.any():
            their = [score(targets[:, each], outputs[:, each]) for each in np.flatnonzero(counts)]
            assert ours[name] == pytest.approx(np.mean(their)), name


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(cases(kinds=("regression",)).filter(lambda case: len(case[1]) > 1))
def test_scores_of_values_are_those_of_scikit_learn(case):
    import sklearn.metrics as theirs

    _, targets, outputs = case
    assert mae(NoOptions())(targets, outputs) == pytest.approx(theirs.mean_absolute_error(targets, outputs))
    assert rmse(NoOptions())(targets, outputs) == pytest.approx(theirs.root_mean_squared_error(targets, outputs))
    assert r2(NoOptions())(targets, outputs) == pytest.approx(theirs.r2_score(targets, outputs))


def test_metrics_are_declared_without_numpy_and_computed_without_scikit_learn():
    code = (
        "import sys, seedbed.plugins.metrics\n"
        "assert 'numpy' not in sys.modules\n"
        "import seedbed.plugins.metrics.scores, seedbed.plugins.metrics.orders, seedbed.plugins.metrics.distances\n"
        "assert not {'sklearn', 'torch', 'scipy'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
