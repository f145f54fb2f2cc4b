from __future__ import annotations

import numpy as np
import pytest
from core.results.ranked import ACCURACY, LOG_LOSS, entry, majority_entry, model
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed import NoOptions
from seedbed.core.errors import DataError
from seedbed.core.results.leaderboard import NO_TRIAL, Leaderboard
from seedbed.core.results.ordering import rank
from seedbed.core.training.predictions import Predictions
from seedbed.plugins.metrics import AverageOptions
from seedbed.plugins.metrics.orders import roc_auc
from seedbed.plugins.metrics.scores import f1


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(any))
def test_the_majority_class_scores_its_frequency(counts):
    predictions = model(0.5, 31)
    baseline = majority_entry(predictions, counts)
    (row,) = rank([baseline], ACCURACY, "max").rows
    assert row.score == pytest.approx(np.mean(predictions.targets == np.argmax(counts)))
    assert (row.trial, row.candidate, row.role) == (NO_TRIAL, "majority class", "baseline")


@pytest.mark.parametrize("counts", [(1, 2), (0, 0, 0)])
def test_counts_of_other_classes_are_refused(counts):
    with pytest.raises(DataError, match="does not count the examples of 3 classes"):
        majority_entry(model(0.5), counts)


def test_best_is_a_row_with_a_checkpoint():
    weak = model(0.0)
    board = rank([majority_entry(weak, (1, 1, 1)), entry(7, weak)], ACCURACY, "max")
    assert [row.trial for row in board.rows] == [NO_TRIAL, 7]
    assert board.best.trial == 7
    assert not board.beats_baseline


def test_best_may_be_a_baseline_and_then_nothing_beats_it():
    board = rank([entry(0, model(0.9), role="baseline"), entry(1, model(0.6))], ACCURACY, "max")
    assert (board.best.trial, board.best.role) == (0, "baseline")
    assert not board.beats_baseline


def test_an_equal_score_does_not_beat_the_baseline():
    same = model(0.8)
    entries = [entry(0, same), entry(1, same, role="baseline", seconds=9.0)]
    assert rank(entries, ACCURACY, "max").rows[0].role == "candidate"
    assert not rank(entries, ACCURACY, "max").beats_baseline


def test_a_tie_at_the_best_possible_score_leaves_nothing_to_gain():
    right, wrong = model(1.0), model(0.8)
    perfect = Predictions(right.rows, right.targets, np.eye(3, dtype=np.float32)[right.targets])
    for metric, direction in ((ACCURACY, "max"), (LOG_LOSS, "min"), (f1(AverageOptions()), "max")):
        tied = [entry(0, perfect), entry(1, perfect, role="baseline")]
        assert rank(tied, metric, direction).is_saturated
        assert not rank([entry(0, wrong), entry(1, wrong, role="baseline")], metric, direction).is_saturated
        assert not rank([entry(0, perfect), entry(1, wrong, role="baseline")], metric, direction).is_saturated
        assert not rank([entry(0, perfect)], metric, direction).is_saturated


@pytest.mark.parametrize(("metric", "direction"), [(ACCURACY, "max"), (LOG_LOSS, "min")])
def test_a_better_candidate_beats_the_baseline_in_either_direction(metric, direction):
    good = model(0.95)
    assert rank([entry(0, good), majority_entry(good, (1, 1, 1))], metric, direction).beats_baseline


def test_a_board_without_a_candidate_beats_nothing():
    assert not rank([majority_entry(model(0.5), (1, 1, 1))], ACCURACY, "max").beats_baseline
    assert rank([entry(0, status="failed")], ACCURACY, "max").best is None
    assert rank([], ACCURACY, "max") == Leaderboard(rows=(), metric="", direction="max", examples=0)


def test_draws_without_a_positive_say_nothing_of_a_ranking():
    """Three positives of 200: one draw in twenty has none, in which a perfect order and none are the same."""
    targets = np.zeros(200, dtype=np.int64)
    targets[[10, 90, 150]] = 1
    positive = np.where(targets == 1, 0.9, np.linspace(0.1, 0.4, 200))
    perfect, constant = (
        Predictions(np.arange(200), targets, np.stack([1 - each, each], 1).astype(np.float32))
        for each in (positive, np.full(200, 0.5))
    )
    first, second = rank([entry(0, perfect), entry(1, constant)], roc_auc(NoOptions()), "max", draws=200).rows
    assert (first.score, first.corrected, first.low, first.tie_group) == (1.0, 1.0, 1.0, 1)
    assert (second.score, second.tie_group) == (0.5, 2)


def test_a_score_between_0_and_1_has_no_bounds_beyond():
    few = [entry(number, model(0.1, 12, classes=6, seed=number)) for number in range(8)]
    for row in rank(few, f1(AverageOptions()), "max").rows:
        assert 0.0 <= row.low <= row.score <= row.high <= 1.0
        assert row.corrected >= 0.0
