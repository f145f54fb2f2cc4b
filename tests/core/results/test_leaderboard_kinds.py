from __future__ import annotations

import numpy as np
import pytest

from seedbed.core.data.profile import Profile
from seedbed.core.errors import DataError
from seedbed.core.results.entries import baseline_entry
from seedbed.core.results.leaderboard import NO_TRIAL, Entry
from seedbed.core.results.ordering import rank
from seedbed.core.specs import NoOptions
from seedbed.core.task import Task
from seedbed.core.training.predictions import Predictions
from seedbed.plugins.metrics.distances import mae, r2, rmse
from seedbed.plugins.metrics.orders import average_precision
from seedbed.plugins.metrics.scores import accuracy, brier_score, hamming_loss, log_loss

RMSE = rmse(NoOptions())


def values(noise, *, unit=1.0, rows=120, seed=0):
    targets = np.random.default_rng(99).normal(5, 2, rows)
    found = targets + np.random.default_rng(seed).normal(0, noise, rows)
    return Predictions(np.arange(rows), targets * unit, found * unit)


def labels(noise, *, rows=120, seed=0):
    targets = (np.random.default_rng(99).random((rows, 3)) < [0.7, 0.4, 0.1]).astype(np.uint8)
    found = np.clip(targets * 0.8 + 0.1 + np.random.default_rng(seed).normal(0, noise, targets.shape), 0, 1)
    return Predictions(np.arange(rows), targets, found)


def entry(trial, predictions, role="candidate"):
    return Entry(
        trial=trial, status="finished", role=role, label=f"model {trial}", seconds=1.0, predictions=predictions
    )


def profile(kind, **facts):
    names = () if kind == "regression" else ("a", "b", "c")
    task = Task(modality="text", kind=kind, metric="any", classes=names)
    return Profile(task=task, examples=300, train=200, valid=100, test=0, **facts)


@pytest.mark.parametrize("unit", [2.0**-30, 2.0**30])
def test_errors_are_ranked_alike_in_every_unit(unit):
    def ranked(unit):
        given = [values(noise, unit=unit, seed=seed) for seed, noise in enumerate((1.0, 0.2, 0.25, 1.05))]
        return rank([entry(number, each) for number, each in enumerate(given)], RMSE, "min").rows

    rows, usual = ranked(unit), ranked(1.0)
    assert [(row.trial, row.tie_group) for row in rows] == [(row.trial, row.tie_group) for row in usual]
    assert [row.best_probability for row in rows] == [row.best_probability for row in usual]
    assert [row.low / unit for row in rows] == pytest.approx([row.low for row in usual])
    assert {row.tie_group for row in usual if row.trial in (0, 3)} == {usual[-1].tie_group}
    assert all(row.low < row.score < row.high for row in rows)


def test_the_training_mean_is_what_values_are_measured_against():
    found = values(0.5)
    baseline = baseline_entry(found, profile("regression", target_mean=5.0))
    board = rank([entry(0, found), baseline], RMSE, "min")
    assert [(row.trial, row.candidate) for row in board.rows] == [(0, "model 0"), (NO_TRIAL, "training mean")]
    assert board.rows[1].score == pytest.approx(np.sqrt(np.square(found.targets - 5).mean()))
    assert board.beats_baseline
    assert not rank([entry(0, values(9.0)), baseline], RMSE, "min").beats_baseline


def test_each_labels_share_is_what_labels_are_measured_against():
    found = labels(0.2)
    baseline = baseline_entry(found, profile("multilabel", class_counts=(140, 100, 20)))
    assert baseline.label == "label shares"
    assert baseline.predictions.outputs[[0, -1]] == pytest.approx(np.array([[0.7, 0.5, 0.1]] * 2))
    board = rank([entry(0, found), baseline], average_precision(NoOptions()), "max")
    assert board.rows[1].score == pytest.approx(found.targets.mean())  # equal scores order nothing
    assert board.beats_baseline


@pytest.mark.parametrize(
    ("given", "facts"),
    [
        (values(1.0), profile("multilabel", class_counts=(1, 1, 1))),
        (labels(1.0), profile("regression")),
        (labels(1.0), profile("multilabel", class_counts=(1, 1))),
    ],
)
def test_a_baseline_of_another_task_is_refused(given, facts):
    with pytest.raises(DataError, match="begin the run again"):
        baseline_entry(given, facts)


def test_equal_scores_of_labels_are_ordered_by_their_log_loss():
    sure, unsure = labels(0.0), labels(0.0)
    unsure = Predictions(unsure.rows, unsure.targets, unsure.outputs * 0.5 + 0.25)
    board = rank([entry(0, unsure), entry(1, sure)], accuracy(NoOptions()), "max")
    assert [(row.trial, row.score) for row in board.rows] == [(1, 1.0), (0, 1.0)]


def test_equal_scores_of_values_are_ordered_by_their_squared_error():
    targets = np.zeros(4)
    even = Predictions(np.arange(4), targets, np.array([1.0, -1.0, 1.0, -1.0]))
    uneven = Predictions(np.arange(4), targets, np.array([0.0, 0.0, 0.0, 4.0]))
    board = rank([entry(0, uneven), entry(1, even)], mae(NoOptions()), "min")
    assert [(row.trial, row.score) for row in board.rows] == [(1, 1.0), (0, 1.0)]


@pytest.mark.parametrize(
    ("metric", "direction", "given"),
    [
        (mae(NoOptions()), "min", values(0.0)),
        (hamming_loss(NoOptions()), "min", labels(0.0)),
        (RMSE, "min", values(0.0)),
    ],
)
def test_no_error_at_all_is_not_taken_for_a_share_of_the_rows(metric, direction, given):
    (row,) = rank([entry(0, given)], metric, direction).rows
    assert (row.low, row.score, row.high) == pytest.approx((0, 0, 0), abs=1e-6)


@pytest.mark.parametrize("metric", [log_loss(NoOptions()), brier_score(NoOptions())])
def test_a_loss_of_nothing_has_no_interval_of_shares(metric):
    right = Predictions(np.arange(30), np.arange(30) % 2, np.eye(2)[np.arange(30) % 2])
    (row,) = rank([entry(0, right)], metric, "min").rows
    assert row.high == row.score == 0


def test_a_share_of_rows_with_all_labels_right_is_never_certain():
    (row,) = rank([entry(0, labels(0.0, rows=30))], accuracy(NoOptions()), "max").rows
    assert (row.high, row.low) == (1.0, pytest.approx(0.886, abs=0.001))


def test_explained_variance_below_zero_is_ranked_too():
    board = rank([entry(0, values(9.0)), entry(1, values(0.1))], r2(NoOptions()), "max")
    assert [row.trial for row in board.rows] == [1, 0]
    assert board.rows[1].high < 0 < board.rows[0].low < 1


def test_tiny_errors_are_not_rounded_away():
    (row,) = rank([entry(0, values(0.3, unit=1e-9))], RMSE, "min").to_json()
    assert row["score"] == pytest.approx(3e-10, rel=0.2)
    assert 0 < row["low"] < row["score"] < row["high"]
