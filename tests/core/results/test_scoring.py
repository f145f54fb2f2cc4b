from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from core.training.helpers import DictLookup, accuracy

from seedbed.core.results.scoring import score_all, score_each
from seedbed.core.specs import MetricSpec
from seedbed.core.task import Task

TASK = Task(modality="image", kind="classification", metric="accuracy", classes=("a", "b"))
TARGETS = np.array([0, 1, 1, 1])
FOUND = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]], dtype=np.float32)


def _metric(name, build, **settings):
    return MetricSpec(name=name, summary="A score.", build="fakes:metric", **settings), build


def test_every_metric_that_fits_the_task_is_computed():
    lookup = DictLookup(
        _metric("accuracy", accuracy),
        _metric("rows", lambda options: lambda targets, found: len(targets)),
        _metric("rmse", lambda options: lambda targets, found: 1.0, tasks=("regression",)),
    )
    scores = score_all(TARGETS, FOUND, TASK, lookup)
    assert scores == {"accuracy": 0.75, "rows": 4.0}
    assert all(type(each) is float for each in scores.values())


def test_what_is_the_same_for_every_model_of_few_classes_is_left_out_unless_it_decides():
    def lenient(options):
        def score(targets, found):
            return 1.0

        score.least_classes = 3
        return score

    lookup = DictLookup(_metric("accuracy", accuracy), _metric("lenient", lenient))
    assert score_all(TARGETS, FOUND, TASK, lookup) == {"accuracy": 0.75}
    assert score_all(TARGETS, FOUND, replace(TASK, metric="lenient"), lookup) == {"accuracy": 0.75, "lenient": 1.0}
    three = replace(TASK, classes=("a", "b", "c"))
    assert score_all(TARGETS, FOUND, three, lookup) == {"accuracy": 0.75, "lenient": 1.0}


def test_a_metric_that_raises_is_left_out_and_logged(caplog):
    def broken(options):
        return lambda targets, found: 1 / 0

    with caplog.at_level(logging.WARNING):
        found = score_all(TARGETS, FOUND, TASK, DictLookup(_metric("accuracy", accuracy), _metric("odd", broken)))
    assert found == {"accuracy": 0.75}
    assert "The metric odd failed and is left out." in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_metric_that_is_no_number_is_left_out_as_no_journal_could_keep_it(caplog):
    lookup = DictLookup(
        _metric("accuracy", accuracy), _metric("odd", lambda options: lambda targets, found: float("nan"))
    )
    with caplog.at_level(logging.WARNING):
        assert score_all(TARGETS, FOUND, TASK, lookup) == {"accuracy": 0.75}
    assert "odd" in caplog.text


def test_what_has_no_score_is_listed_with_the_reason():
    def broken(options):
        return lambda targets, found: 1 / 0

    lookup = DictLookup(
        _metric("accuracy", accuracy),
        _metric("odd", broken),
        _metric("endless", lambda options: lambda targets, found: float("inf")),
    )
    found = score_each(TARGETS, FOUND, TASK, lookup)
    assert found.values == score_all(TARGETS, FOUND, TASK, lookup) == {"accuracy": 0.75}
    assert found.skipped == {
        "odd": "ZeroDivisionError: division by zero",
        "endless": "it gave inf, which is no score",
    }
