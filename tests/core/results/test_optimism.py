from __future__ import annotations

import numpy as np
import pytest
from core.results.ranked import ACCURACY, LOG_LOSS, entry, model
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.results.optimism import corrected
from seedbed.core.results.ordering import rank
from seedbed.plugins.metrics import AverageOptions
from seedbed.plugins.metrics.scores import f1

METRICS = [(ACCURACY, "max"), (LOG_LOSS, "min"), (f1(AverageOptions()), "max")]


def board_of(skills, metric=ACCURACY, direction="max", *, examples=200, start=0, draws=300):
    entries = [
        entry(start + number, model(skill, examples, seed=start + number)) for number, skill in enumerate(skills)
    ]
    return rank(entries, metric, direction, draws=draws).rows


@pytest.mark.parametrize(("metric", "direction"), METRICS)
def test_a_model_alone_was_not_picked_and_keeps_its_score(metric, direction):
    (row,) = board_of([0.8], metric, direction)
    assert row.corrected == pytest.approx(row.score, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.sampled_from(METRICS), st.integers(1, 40))
def test_no_score_becomes_better_and_no_row_overtakes_another(skills, metric, examples):
    rows = board_of(skills, *metric, examples=examples, draws=40)
    sign = 1 if metric[1] == "max" else -1
    values = [sign * row.corrected for row in rows]
    assert values == sorted(values, reverse=True)
    for row in rows:
        assert sign * row.corrected <= sign * row.score + 1e-12
        assert row.low <= row.corrected <= row.high


def test_of_models_that_are_all_alike_the_first_is_worth_what_all_are():
    """Over 12 boards of 40 models that are right on 80 % of the rows, each by its own luck."""
    firsts = [board_of([0.8] * 40, start=40 * number, draws=200)[0] for number in range(12)]
    assert np.mean([row.score for row in firsts]) > 0.85
    assert np.mean([row.corrected for row in firsts]) == pytest.approx(0.8, abs=0.012)


def test_what_is_far_ahead_of_all_others_owes_next_to_nothing_to_luck():
    first, *_ = board_of([0.95, 0.5, 0.5, 0.5])
    assert first.score - first.corrected < 0.005


def test_the_optimism_is_taken_from_the_rows_that_were_not_drawn():
    """Two models, each the best in one of two draws, and on the other rows of that draw the worse."""
    scores = np.array([0.6, 0.6])
    inside, outside = np.array([[0.8, 0.4], [0.4, 0.8]]), np.array([[0.5, 0.7], [0.7, 0.5]])
    assert corrected(scores, inside, outside, 1.0) == pytest.approx([0.5, 0.5])
    assert corrected(scores, inside, outside, -1.0) == pytest.approx([0.7, 0.7])


def test_rows_that_are_easy_for_all_are_no_optimism():
    scores = np.array([0.8, 0.6])
    inside, outside = np.array([[0.8, 0.6]]), np.array([[0.5, 0.3]])
    assert corrected(scores, inside, outside, 1.0) == pytest.approx(scores)
