from __future__ import annotations

import numpy as np
import pytest
from core.results.ranked import ACCURACY, LOG_LOSS, entry, majority_entry, model
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.errors import DataError
from seedbed.core.results.leaderboard import NO_TRIAL, Leaderboard
from seedbed.core.results.ordering import rank
from seedbed.core.training.predictions import Predictions
from seedbed.plugins.metrics import AverageOptions
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
