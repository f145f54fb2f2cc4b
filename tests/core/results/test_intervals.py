from __future__ import annotations

import numpy as np
import pytest
from core.results.ranked import ACCURACY, LOG_LOSS, entry, model

from seedbed.core.results.intervals import intervals, wilson
from seedbed.core.results.ordering import rank

SAMPLES = np.linspace(0.7, 0.9, 1001)[:, None]


def bounds(score, corrected, sign, **more):
    low, high = intervals(np.array([score]), np.array([corrected]), SAMPLES, sign, **more)
    return low[0], high[0]


def test_a_score_that_was_not_picked_has_the_interval_of_its_draws():
    assert bounds(0.8, 0.8, 1.0) == pytest.approx((0.705, 0.895))


def test_the_interval_reaches_towards_the_worse_by_the_optimism_and_no_further_the_other_way():
    assert bounds(0.8, 0.75, 1.0) == pytest.approx((0.655, 0.895))
    assert bounds(0.8, 0.85, -1.0) == pytest.approx((0.705, 0.945))


def test_shares_of_rows_have_wilsons_interval():
    assert bounds(1.0, 1.0, 1.0, shares_of=30) == pytest.approx((0.886, 1.0), abs=0.001)
    low, high = bounds(0.9, 0.85, 1.0, shares_of=200)
    assert low == wilson(np.array([0.85]), 200)[0][0]
    assert high == wilson(np.array([0.9]), 200)[1][0]


def test_a_score_outside_its_draws_still_lies_in_its_interval():
    assert bounds(0.95, 0.95, 1.0) == pytest.approx((0.705, 0.95))


@pytest.mark.parametrize(("metric", "direction"), [(ACCURACY, "max"), (LOG_LOSS, "min")])
def test_among_many_the_first_has_a_longer_interval_than_alone(metric, direction):
    entries = [entry(number, model(0.7, seed=number)) for number in range(30)]
    first = rank(entries, metric, direction, draws=300).rows[0]
    (alone,) = rank([entries[first.trial]], metric, direction, draws=300).rows
    assert first.high - first.low > 1.15 * (alone.high - alone.low)


def test_the_truly_best_model_lies_in_its_interval_and_so_does_the_one_that_was_picked():
    """40 boards of 20 models that are alike: the first trial stands for the best, which no luck has chosen."""
    fixed, picked, naive = [], [], []
    for board in range(40):
        entries = [entry(20 * board + number, model(0.8, 150, seed=20 * board + number)) for number in range(20)]
        rows = rank(entries, ACCURACY, "max", draws=100).rows
        (row,) = [each for each in rows if each.trial == 20 * board]
        fixed.append(row.low <= 0.8 <= row.high)
        picked.append(rows[0].low <= 0.8 <= rows[0].high)
        naive.append(wilson(np.array([rows[0].score]), 150)[0][0] <= 0.8)
    assert np.mean(fixed) >= 0.9
    assert np.mean(picked) >= 0.9
    assert np.mean(naive) < 0.8
