from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.data.splitting.split import Splits, split
from seedbed.core.data.targets import Targets
from seedbed.core.errors import DataError


def divide(order: np.ndarray, codes: np.ndarray | None = None, parts: np.ndarray | None = None, **more) -> Splits:
    codes = np.arange(len(order)) % 2 if codes is None else codes
    targets = Targets(kind="classification", values=codes, classes=tuple("abc")[: int(codes.max()) + 1])
    parts = np.zeros(len(order), np.int8) if parts is None else parts
    return split(targets, parts, np.ones(len(order), bool), 0, order=order, **more)


def test_the_latest_fifth_is_validated_on() -> None:
    order = np.random.default_rng(0).permutation(100).astype(float)
    splits = divide(order)
    assert sorted(order[splits.valid]) == list(range(80, 100))
    assert np.all(np.diff(splits.valid) > 0)
    assert not [each for each in splits.findings if each.check == "split_order"]


@given(times=st.lists(st.integers(0, 8), min_size=6, max_size=120))
def test_equal_times_never_straddle(times: list[int]) -> None:
    order = np.array(times, dtype=float)
    try:
        splits = divide(order)
    except DataError:
        moments = np.unique(order)
        assert len(moments) == 1 or any(len(set(np.flatnonzero(order < each) % 2)) < 2 for each in moments[1:])
        return
    assert order[splits.train].max() < order[splits.valid].min()
    sizes = np.cumsum(np.unique(order, return_counts=True)[1][:0:-1])
    wanted = round(0.2 * len(order))
    assert abs(len(splits.valid) - wanted) == np.abs(sizes - wanted).min()


def test_folds_are_blocks_of_time() -> None:
    order = np.random.default_rng(0).permutation(100).astype(float)
    folds = divide(order).folds[np.argsort(order)]
    assert folds.tolist() == np.repeat(np.arange(10), 10).tolist()


def test_a_group_goes_by_its_latest_row_and_what_is_not_kept_is_said() -> None:
    groups = np.full(100, -1)
    groups[[3, 99]] = 0  # early and late: to validation
    groups[[4, 50]] = 1
    splits = divide(np.arange(100.0), groups=groups)
    assert {3, 99} <= set(splits.valid)
    assert {4, 50} <= set(splits.train)
    (finding,) = [each for each in splits.findings if each.check == "split_order"]
    assert finding.evidence.startswith(f"1 of {len(splits.valid)} validation rows do not come after all of training")


def test_an_own_test_part_that_is_earlier_is_said() -> None:
    parts = np.zeros(100, np.int8)
    parts[:10] = 3
    splits = divide(np.arange(100.0), parts=parts)
    assert splits.test.tolist() == list(range(10))
    (finding,) = [each for each in splits.findings if each.check == "split_order"]
    assert "10 of 10 test rows" in finding.evidence
    assert "the part is your own" in finding.evidence


def test_rows_of_unknown_order_are_trained_on_and_counted() -> None:
    order = np.arange(100.0)
    order[90:] = np.nan
    splits = divide(order)
    assert set(range(90, 100)) <= set(splits.train)
    assert splits.valid.tolist() == list(range(70, 90))
    (finding,) = [each for each in splits.findings if each.check == "split_order"]
    assert finding.count == 10


def test_one_time_for_all_is_no_order() -> None:
    with pytest.raises(DataError, match="All 10 training rows have one and the same order"):
        divide(np.zeros(10))


def test_classes_that_only_come_last_are_left_out_and_named() -> None:
    codes = np.arange(100) % 2
    codes[[95, 97]] = 2
    splits = divide(np.arange(100.0), codes)
    assert splits.classes == ("a", "b")
    assert not {95, 97} & {*splits.train, *splits.valid}
    (finding,) = [each for each in splits.findings if each.check == "unseen_classes"]
    assert finding.rows == ("c",)


def test_one_class_before_the_last_fifth_cannot_be_learnt() -> None:
    with pytest.raises(DataError, match=r"1 class \(a\); of the others 20 were taken for validation"):
        divide(np.arange(100.0), np.arange(100) // 80)


def test_classes_of_other_times_have_nothing_in_common() -> None:
    codes = np.arange(100) % 2
    codes[80:] = 2
    with pytest.raises(DataError, match="no class in common"):
        divide(np.arange(100.0), codes)
