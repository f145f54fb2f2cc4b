from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.specs import NoOptions
from seedbed.plugins.metrics import AverageOptions, TopKOptions, register_metrics, scores

TARGETS = np.array([0, 0, 1, 2])
PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.2, 0.5, 0.3], [0.5, 0.3, 0.2]], np.float32)


def built():
    for spec in register_metrics():
        yield spec, getattr(scores, spec.build.partition(":")[2])(spec.options())


@st.composite
def answers(draw):
    classes = draw(st.integers(2, 5))
    examples = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    targets = rng.integers(0, draw(st.integers(1, classes)), examples)  # some classes may be missing
    return targets, rng.dirichlet(np.ones(classes), examples).astype(np.float32)


def test_values_on_four_rows():
    found = {spec.name: metric(TARGETS, PROBABILITIES) for spec, metric in built()}
    assert found["accuracy"] == 2 / 4
    assert found["balanced_accuracy"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert found["recall"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert found["precision"] == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert found["f1"] == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)
    assert found["log_loss"] == pytest.approx(-np.mean(np.log([0.7, 0.3, 0.5, 0.2])), rel=1e-6)
    assert found["top_k"] == 1.0


def test_two_guesses_find_more_than_one():
    assert scores.top_k(TopKOptions(k=2))(TARGETS, PROBABILITIES) == 3 / 4


def test_two_guesses_of_a_model_that_knows_nothing_are_two_guesses():
    same = np.full((3, 3), 1 / 3, np.float32)
    assert scores.top_k(TopKOptions(k=2))(np.array([0, 1, 2]), same) == pytest.approx(2 / 3)


def test_a_certain_error_costs_much_but_not_infinity():
    metric = scores.log_loss(NoOptions())
    assert 15 < metric(np.array([0]), np.array([[0.0, 1.0]], np.float32)) < 17


@settings(deadline=None)
@given(answers())
def test_a_score_by_row_has_the_score_as_its_mean(given_answers):
    targets, probabilities = given_answers
    named = [(spec.name, metric) for spec, metric in built() if hasattr(metric, "per_row")]
    assert [name for name, _ in named] == ["accuracy", "log_loss", "top_k"]
    for _, metric in named:
        by_row = metric.per_row(targets, probabilities)
        assert by_row.shape == targets.shape
        assert by_row.mean() == pytest.approx(metric(targets, probabilities))


@settings(deadline=None)
@given(answers())
def test_right_answers_are_better_than_wrong_ones(given_answers):
    targets, probabilities = given_answers
    right = np.eye(probabilities.shape[1], dtype=np.float32)[targets]
    for spec, metric in built():
        sign = 1 if spec.direction == "max" else -1
        assert sign * metric(targets, right) >= sign * metric(targets, probabilities)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(answers())
@pytest.mark.filterwarnings("ignore")
def test_scores_are_those_of_scikit_learn(given_answers):
    import sklearn.metrics as theirs

    targets, probabilities = given_answers
    predicted, classes = probabilities.argmax(axis=1), np.arange(probabilities.shape[1])
    ours = {spec.name: metric(targets, probabilities) for spec, metric in built()}
    assert ours["accuracy"] == pytest.approx(theirs.accuracy_score(targets, predicted))
    assert ours["balanced_accuracy"] == pytest.approx(theirs.balanced_accuracy_score(targets, predicted))
    assert ours["log_loss"] == pytest.approx(theirs.log_loss(targets, probabilities, labels=classes), rel=1e-4)
    for average in ("macro", "weighted", "micro"):
        for name in ("f1", "precision", "recall"):
            their = getattr(theirs, f"{name}_score")(targets, predicted, average=average, zero_division=0)
            our = getattr(scores, name)(AverageOptions(average=average))(targets, probabilities)
            assert our == pytest.approx(their), (name, average)


def test_metrics_are_declared_without_numpy_and_computed_without_scikit_learn():
    code = (
        "import sys, seedbed.plugins.metrics\n"
        "assert 'numpy' not in sys.modules\n"
        "import seedbed.plugins.metrics.scores\n"
        "assert not {'sklearn', 'torch', 'scipy'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
