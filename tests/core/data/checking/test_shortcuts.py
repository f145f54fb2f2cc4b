from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.data.checking.shortcuts import correlation, numbered, telling

ROWS = 400


def classes(count: int = 3, rows: int = ROWS) -> np.ndarray:
    return np.random.default_rng(1).integers(0, count, rows)


def coded(values: list[str]) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def test_a_copy_of_the_target_tells_all_of_it() -> None:
    found = telling(classes(), classes())
    assert found is not None
    assert found.accuracy == 1
    assert found.gain == 1


def test_a_hashed_copy_tells_as_much_as_the_target_itself() -> None:
    hashed = coded([hashlib.sha256(str(value).encode()).hexdigest() for value in classes()])
    found = telling(hashed, classes())
    assert found is not None
    assert found.gain == 1


def test_a_near_copy_tells_nearly_all_of_it() -> None:
    targets = classes(2, 4000)
    near = np.where(np.random.default_rng(2).random(4000) < 0.02, 1 - targets, targets)
    found = telling(near, targets)
    assert found is not None
    assert found.accuracy == pytest.approx(0.98, abs=0.01)
    assert 0.9 < found.gain < 1


def test_a_number_that_differs_in_every_row_tells_nothing() -> None:
    found = telling(np.arange(ROWS), classes())
    assert found is not None
    assert found.gain == 0
    assert found.accuracy == found.majority


def test_chance_tells_nothing_worth_a_word() -> None:
    found = telling(np.random.default_rng(3).integers(0, 150, ROWS), classes())
    assert found is not None
    assert found.gain < 0.2


def test_the_largest_class_is_no_merit_of_the_fact() -> None:
    targets = (np.arange(ROWS) % 20 == 0).astype(np.int64)
    found = telling(np.zeros(ROWS, dtype=np.int64), targets)
    assert found is not None
    assert found.majority == pytest.approx(0.95, abs=0.03)
    assert found.gain == 0


def test_rows_without_fact_or_target_are_left_out() -> None:
    facts, targets = classes(), classes()
    facts[:100] = -1
    targets[300:] = -1
    found = telling(facts, targets)
    assert found is not None
    assert found.rows == 100  # half of the 200 that have both
    assert found.gain == 1


@pytest.mark.parametrize(
    ("facts", "targets"),
    [
        (np.arange(39), np.arange(39) % 2),
        (np.arange(ROWS) % 3, np.zeros(ROWS, dtype=np.int64)),
        (np.full(ROWS, -1), np.arange(ROWS) % 2),
        (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)),
    ],
    ids=["too few rows", "one class", "no facts", "no rows"],
)
def test_where_nothing_can_be_judged_nothing_is_said(facts, targets) -> None:
    assert telling(facts, targets) is None


def test_of_a_great_many_rows_a_sample_is_judged(monkeypatch) -> None:
    monkeypatch.setattr("seedbed.core.data.checking.shortcuts._MOST_ROWS", 100)
    found = telling(classes(), classes())
    assert found is not None
    assert found.rows == 50


@settings(max_examples=50, deadline=None)
@given(
    facts=st.lists(st.integers(-1, 6), min_size=60, max_size=120),
    seed=st.integers(0, 1000),
)
def test_shares_are_shares_and_equal_rows_give_equal_answers(facts: list[int], seed: int) -> None:
    targets = np.random.default_rng(seed).integers(-1, 3, len(facts))
    found = telling(np.array(facts), targets, seed)
    assert found == telling(np.array(facts), targets, seed)
    if found is not None:
        assert 0 <= found.accuracy <= 1
        assert 0 <= found.majority <= 1
        assert 0 <= found.gain <= 1
        assert 20 <= found.rows <= (len(facts) + 1) // 2


def test_a_column_that_follows_another_is_fully_correlated_whichever_way() -> None:
    values = np.random.default_rng(0).normal(size=100)
    assert correlation(3 * values - 7, values) == pytest.approx(1)
    assert correlation(-values, values) == pytest.approx(1)


def test_columns_apart_are_hardly_correlated() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 1000))
    found = correlation(first, second)
    assert found is not None
    assert found < 0.15


def test_correlation_goes_by_the_rows_where_both_are_finite() -> None:
    values = np.random.default_rng(0).normal(size=100)
    facts = values.copy()
    facts[:20], facts[20], facts[21] = np.nan, np.inf, -np.inf
    assert correlation(facts, values) == pytest.approx(1)
    facts[: 100 - 39] = np.nan
    assert correlation(facts, values) is None


def test_what_never_changes_is_correlated_with_nothing() -> None:
    values = np.random.default_rng(0).normal(size=100)
    assert correlation(np.full(100, 2.5), values) is None
    assert correlation(values, np.full(100, 2.5)) is None
    assert correlation(np.full(100, 0.1), np.full(100, 0.3)) is None  # whose deviations are not quite 0


def test_few_values_are_numbered_each_and_many_by_quantile() -> None:
    assert numbered(np.array([30, 10, 30, 20])).tolist() == [2, 0, 2, 1]
    many = np.arange(1000)
    numbers = numbered(many, most=10)
    assert (np.diff(numbers) >= 0).all()
    assert np.bincount(numbers).tolist() == [100] * 10


def test_quantiles_that_fall_together_leave_no_gap_below_zero() -> None:
    values = np.concatenate([np.zeros(900, dtype=np.int64), np.arange(1, 101)])
    numbers = numbered(values, most=10)
    assert numbers.min() >= 0
    assert len(np.unique(numbers)) >= 2
    assert len(np.unique(numbers[:900])) == 1


def test_equal_rows_of_numbers_are_numbered_alike() -> None:
    sizes = np.array([[10, 20], [20, 10], [10, 20]], dtype=np.int32)
    first, second, third = numbered(sizes).tolist()
    assert first == third != second


def test_no_values_have_no_numbers() -> None:
    assert numbered(np.empty(0, dtype=np.int64)).tolist() == []
    assert numbered(np.empty((0, 2), dtype=np.int32)).tolist() == []
