"""Splits of values and of several labels a row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.data.splitting.split import Splits, split
from seedbed.core.data.targets import Targets
from seedbed.core.errors import DataError


def values(numbers: np.ndarray, parts: np.ndarray | None = None, seed: int = 0, **more) -> Splits:
    targets = Targets(kind="regression", values=np.asarray(numbers, float))
    parts = np.zeros(len(numbers), np.int8) if parts is None else parts
    return split(targets, parts, np.ones(len(numbers), bool), seed, **more)


def labels(matrix: np.ndarray, parts: np.ndarray | None = None, seed: int = 0, **more) -> Splits:
    targets = Targets(
        kind="multilabel", values=matrix, classes=tuple(f"label{each}" for each in range(matrix.shape[1]))[::-1]
    )
    parts = np.zeros(len(matrix), np.int8) if parts is None else parts
    return split(targets, parts, np.ones(len(matrix), bool), seed, **more)


@given(
    numbers=st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=300, unique=True),
    seed=st.integers(0, 99),
)
def test_a_fifth_of_the_values_is_taken_from_all_over_their_range(numbers: list[float], seed: int) -> None:
    splits = values(np.array(numbers), seed=seed)
    assert sorted([*splits.train, *splits.valid]) == list(range(len(numbers)))
    assert 0.1 <= len(splits.valid) / len(numbers) <= 0.4
    assert splits.targets.dtype == np.float64
    assert splits.classes == ()
    if len(numbers) >= 100:
        decile = np.argsort(np.argsort(numbers)) * 10 // len(numbers)
        assert np.bincount(decile[splits.valid], minlength=10).min() >= 1
    assert np.array_equal(splits.valid, values(np.array(numbers), seed=seed).valid)


def test_missing_values_are_in_no_part() -> None:
    numbers = np.arange(50.0)
    numbers[[4, 40]] = np.nan
    splits = values(numbers)
    assert not {4, 40} & {*splits.train, *splits.valid}
    assert np.isnan(splits.targets[[4, 40]]).all()
    assert np.array_equal(splits.targets[splits.train], numbers[splits.train])


@given(sizes=st.lists(st.integers(2, 20), min_size=2, max_size=40), seed=st.integers(0, 99))
def test_values_that_are_one_for_a_group_are_split_by_group(sizes: list[int], seed: int) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    splits = values(groups * 1.5, groups=groups, seed=seed)
    assert len(splits.valid)
    assert not set(groups[splits.train]) & set(groups[splits.valid])


@pytest.mark.parametrize(
    ("numbers", "said"),
    [([3.0] * 20, "They all have the value 3"), ([3.0], "1 usable training rows"), ([np.nan] * 4, "4 have no target")],
)
def test_values_that_cannot_be_learnt_are_said(numbers: list[float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        values(np.array(numbers))


@given(
    matrix=st.integers(1, 5).flatmap(
        lambda width: st.lists(st.lists(st.integers(0, 1), min_size=width, max_size=width), min_size=4, max_size=80)
    ),
    seed=st.integers(0, 99),
)
def test_every_label_of_two_rows_or_more_stays_in_training(matrix: list[list[int]], seed: int) -> None:
    rows = np.array(matrix, np.uint8)
    try:
        splits = labels(rows, seed=seed)
    except DataError:
        assert not rows.any() or len(rows) < 10
        return
    assert sorted([*splits.train, *splits.valid]) == list(range(len(rows)))
    assert len(splits.valid) <= len(rows) // 2
    assert splits.targets[splits.train].any(axis=0).all()
    assert len(splits.classes) == np.count_nonzero(rows.any(axis=0))


def test_labels_keep_their_shares() -> None:
    rng = np.random.default_rng(0)
    rows = (rng.random((2000, 6)) < [0.5, 0.3, 0.1, 0.05, 0.02, 0.005]).astype(np.uint8)
    splits = labels(rows)
    assert len(splits.valid) == 400
    names = [int(name.removeprefix("label")) for name in splits.classes]
    shares = splits.targets[splits.valid].sum(axis=0) / splits.targets.sum(axis=0)
    assert names == sorted(names)
    assert np.all(np.abs(shares - 0.2) < [0.1] + [0.06] * 5), "the rarest label, now first, has some ten rows"


def test_labels_that_training_lacks_are_left_out_but_not_their_rows() -> None:
    rows = np.tile(np.array([[0, 0, 1], [0, 1, 0]], np.uint8), (20, 1))
    rows[:4, 0] = 1
    parts = np.zeros(40, np.int8)
    parts[:10] = 3
    splits = labels(rows, parts)
    assert splits.classes == ("label0", "label1")
    assert splits.targets.shape == (40, 2)
    assert splits.targets[0].tolist() == [1, 0]
    assert splits.test.tolist() == list(range(10))
    (finding,) = [each for each in splits.findings if each.check == "unseen_classes"]
    assert (finding.rows, finding.count) == (("label2",), 4)


def test_labels_and_groups_go_together() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), 5)
    rows = (rng.random((300, 4)) < 0.3).astype(np.uint8)
    splits = labels(rows, groups=groups)
    assert not set(groups[splits.train]) & set(groups[splits.valid])
    assert 0.12 <= len(splits.valid) / 300 <= 0.28


def test_a_label_that_goes_with_rarer_ones_stays_in_training() -> None:
    rows = np.zeros((40, 5), np.uint8)
    rows[:, 0] = 1
    rows[[0, 2, 4], 1] = 1
    rows[[0, 1], 2] = rows[[2, 3], 3] = rows[[4, 5], 4] = 1  # of each two one is drawn: at times all of label 1
    for seed in range(40):
        splits = labels(rows, seed=seed)
        assert splits.targets[splits.train].any(axis=0).all()
        assert splits.targets.shape == (40, 5)
    groups = np.repeat(np.arange(20), 2)
    assert all(labels(rows, seed=seed, groups=groups).targets.shape == (40, 5) for seed in range(40))


def test_rows_without_any_label_cannot_be_learnt_from() -> None:
    with pytest.raises(DataError, match=r"0 labels.*and a label, are needed"):
        labels(np.zeros((20, 2), np.uint8))
