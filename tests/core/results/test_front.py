from __future__ import annotations

import numpy as np
from core.results.ranked import ACCURACY, LOG_LOSS, entry, majority_entry, model
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.results.front import on_front
from seedbed.core.results.ordering import rank

POINTS = st.lists(
    st.tuples(st.sampled_from([0.5, 0.6, 0.7]), st.sampled_from([0.0, 0.001, 0.01, 0.02]), st.integers(0, 3)),
    max_size=12,
)


def is_superfluous(point, others):
    """By the definition, over all pairs."""

    def seen(each):
        return np.array([-each[0], each[1] or np.inf, each[2] or np.inf])

    return any((seen(other) <= seen(point)).all() and (seen(other) < seen(point)).any() for other in others)


@given(POINTS)
def test_on_the_front_is_what_nothing_makes_superfluous(points):
    worths, seconds, sizes = zip(*points, strict=True) if points else ((), (), ())
    assert on_front(worths, seconds, sizes) == [not is_superfluous(each, points) for each in points]


def test_times_that_differ_by_less_than_a_second_measurement_would_are_equal():
    assert on_front([0.9, 0.9], [0.01012, 0.01009], [10, 10]) == [True, True]
    assert on_front([0.9, 0.9], [0.0112, 0.0101], [10, 10]) == [False, True]


def test_the_board_marks_its_front_and_leaves_out_what_is_no_model():
    entries = [
        entry(0, model(0.95, 400, seed=0), latency_p50=0.02, size_bytes=900),
        entry(1, model(0.90, 400, seed=1), latency_p50=0.01, size_bytes=900),
        entry(2, model(0.80, 400, seed=2), size_bytes=100),
        entry(3, model(0.70, 400, seed=3), latency_p50=0.02, size_bytes=900),
        majority_entry(model(0.5, 400), (1, 1, 1)),
        entry(5, status="refused", reason="too large"),
    ]
    rows = rank(entries, ACCURACY, "max").rows
    assert {row.trial: row.on_front for row in rows} == {0: True, 1: True, 2: True, 3: False, -1: False, 5: False}


def test_a_better_error_is_a_lower_one():
    entries = [
        entry(number, model(skill, 400, seed=number), latency_p50=0.01, size_bytes=9)
        for number, skill in enumerate((0.9, 0.5))
    ]
    assert [row.on_front for row in rank(entries, LOG_LOSS, "min").rows] == [True, False]
