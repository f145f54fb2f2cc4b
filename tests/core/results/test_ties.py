from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.results.ties import chances_to_be_best, tie_groups


def gains(*means, scatter=0.01, draws=400):
    """Independent scores about these means."""
    rng = np.random.default_rng(0)
    return np.array(means) + scatter * rng.normal(size=(draws, len(means)))


def test_a_group_ends_where_the_distance_to_its_leader_is_sure():
    assert tie_groups(gains(0.90, 0.89, 0.80, 0.79), 1e-9) == [1, 1, 2, 2]


def test_a_group_is_measured_by_its_leader_and_not_by_who_came_last():
    """0.02 is within noise of 0.01 apart, 0.04 is not."""
    assert tie_groups(gains(0.90, 0.88, 0.86), 1e-9) == [1, 1, 2]


def test_what_is_no_difference_makes_no_group():
    assert tie_groups(np.array([[0.9, 0.9 - 1e-12]]), 1e-9) == [1, 1]
    assert tie_groups(np.array([[0.9, 0.9 - 1e-12]]), 1e-15) == [1, 2]


def test_a_shared_first_place_counts_in_parts():
    assert chances_to_be_best(np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]), 1e-9) == pytest.approx([0.75, 0.25, 0.0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_chances_sum_to_one(means):
    assert chances_to_be_best(gains(*means, draws=20), 1e-9).sum() == pytest.approx(1)
