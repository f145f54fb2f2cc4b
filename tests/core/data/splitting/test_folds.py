from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.data.splitting import folds as module
from seedbed.core.data.splitting.folds import choose_folds, fold_by_time, make_folds

rows = st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 12)), min_size=2, max_size=150)


def alone(codes: np.ndarray) -> np.ndarray:
    return np.full(len(codes), -1)


@given(codes=st.lists(st.integers(0, 6), min_size=2, max_size=200).map(np.array), folds=st.integers(2, 10))
def test_without_groups_folds_are_level_as_a_whole_and_in_each_class(codes: np.ndarray, folds: int) -> None:
    found = make_folds(codes, alone(codes), folds, np.random.default_rng(0))
    assert found.dtype == np.int8
    assert np.ptp(np.bincount(found, minlength=folds)) <= 1
    for each in np.unique(codes):
        assert np.ptp(np.bincount(found[codes == each], minlength=folds)) <= 1


@given(rows=rows, folds=st.integers(2, 10), seed=st.integers(0, 99), placed=st.sampled_from([0, 3, 50_000]))
def test_groups_are_in_one_fold(rows: list[tuple[int, int]], folds: int, seed: int, placed: int) -> None:
    codes, groups = np.array(rows).T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_PLACED", placed)  # groups beyond it are dealt out instead
        one, other = (make_folds(codes, groups, folds, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(one, other)
    assert one.min() >= 0
    assert one.max() < folds
    for group in np.unique(groups[groups >= 0]):
        assert len(set(one[groups == group])) == 1


def test_groups_are_shared_out_by_size_and_class() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 30, 120)
    groups = np.repeat(np.arange(120), sizes)
    codes = np.repeat(rng.integers(0, 3, 120), sizes)
    found = make_folds(codes, groups, 5, rng)
    assert np.ptp(np.bincount(found)) <= 0.02 * len(codes)
    for each in range(3):
        assert np.ptp(np.bincount(found[codes == each], minlength=5)) <= 0.1 * np.count_nonzero(codes == each)


def test_rows_alone_level_out_what_groups_leave_uneven() -> None:
    groups = np.array([0] * 40 + [-1] * 160)
    codes = np.array([0, 1] * 100)
    found = make_folds(codes, groups, 5, np.random.default_rng(0))
    assert np.bincount(found).tolist() == [40] * 5
    assert np.bincount(found[codes == 0]).tolist() == [20] * 5


def test_folds_by_time_are_blocks() -> None:
    times = np.array([3.0, 1, 2, 2, 5, 4, 2, 6])
    found = fold_by_time(times, alone(times), 4)
    assert found[np.argsort(times, kind="stable")].tolist() == sorted(found)
    assert len(set(found[times == 2])) == 1
    assert found.max() < 4


def test_a_group_is_in_the_block_of_its_latest_row() -> None:
    times = np.arange(20.0)
    groups = np.full(20, -1)
    groups[[0, 19]] = 3
    found = fold_by_time(times, groups, 4)
    assert found[0] == found[19] == 3


@given(st.integers(2, 10**7))
def test_fewer_folds_for_more_rows(rows: int) -> None:
    assert 2 <= choose_folds(rows) <= min(10, rows)
    assert choose_folds(rows * 100) <= choose_folds(max(rows, 10))
