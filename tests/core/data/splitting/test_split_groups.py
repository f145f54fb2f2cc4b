from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.data.splitting.draw import take_grouped
from seedbed.core.data.splitting.split import Splits, split
from seedbed.core.data.targets import Targets
from seedbed.core.errors import DataError

tables = st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 15)), min_size=4, max_size=200)


def divide(codes: np.ndarray, groups: np.ndarray, parts: np.ndarray | None = None, seed: int = 0, **more) -> Splits:
    targets = Targets(kind="classification", values=codes, classes=tuple("abcdefgh")[: int(codes.max()) + 1])
    parts = np.zeros(len(codes), np.int8) if parts is None else parts
    return split(targets, parts, np.ones(len(codes), bool), seed, groups=groups, **more)


def of(splits: Splits, check: str) -> list:
    return [each for each in splits.findings if each.check == check]


@given(table=tables, seed=st.integers(0, 99))
def test_groups_never_straddle_and_training_keeps_every_class(table: list[tuple[int, int]], seed: int) -> None:
    codes, groups = np.array(table, dtype=np.int64).T
    units = [groups == group for group in np.unique(groups[groups >= 0])]
    units += [np.arange(len(codes)) == row for row in np.flatnonzero(groups < 0)]
    has_spare = any(all(np.count_nonzero((codes == each) & ~mine) for each in codes[mine]) for mine in units)
    if len(np.unique(codes)) < 2 or not has_spare:
        with pytest.raises(DataError):
            divide(codes, groups, seed=seed)
        return
    splits = divide(codes, groups * 1_000_003, seed=seed)  # numbers need not be small
    assert sorted([*splits.train, *splits.valid]) == list(range(len(codes)))
    assert not set(groups[splits.train][groups[splits.train] >= 0]) & set(groups[splits.valid])
    assert set(codes[splits.valid]) <= set(codes[splits.train]) == set(codes)
    assert splits.findings == divide(codes, groups * 1_000_003, seed=seed).findings
    for group in np.unique(groups[groups >= 0]):
        assert len(set(splits.folds[groups == group])) == 1


@given(seed=st.integers(0, 1000))
def test_size_and_class_shares_are_met_as_well_as_groups_allow(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 20, 200)
    groups = np.repeat(np.arange(200), sizes)
    codes = np.repeat(rng.choice(3, 200, p=[0.6, 0.3, 0.1]), sizes)
    splits = divide(codes, groups, seed=seed)
    assert 0.15 <= len(splits.valid) / len(codes) <= 0.25
    for each in range(3):
        assert 0.08 <= np.count_nonzero(codes[splits.valid] == each) / np.count_nonzero(codes == each) <= 0.32


def test_large_groups_have_their_share_in_validation() -> None:
    sizes = np.array([30] * 20 + [2] * 200)
    groups = np.repeat(np.arange(220), sizes)
    codes = np.arange(len(groups)) % 2
    taken = [len(set(groups[divide(codes, groups, seed=seed).valid]) & set(range(20))) for seed in range(40)]
    assert 2 <= np.mean(taken) <= 6, "a fifth of the twenty"


def test_a_few_groups_among_many_rows_are_not_preferred() -> None:
    groups = np.full(1000, -1)
    groups[:40] = np.arange(40) // 2
    codes = np.arange(1000) // 5 % 2
    taken = [np.count_nonzero(divide(codes, groups, seed=seed).valid < 40) for seed in range(30)]
    assert len(divide(codes, groups).valid) == 200
    assert 5 <= np.mean(taken) <= 11, "a fifth of the forty"


def test_where_no_group_is_small_enough_the_least_bad_one_is_taken() -> None:
    splits = divide(np.arange(100) % 2, np.arange(100) // 60)
    assert splits.valid.tolist() == list(range(60, 100))


def test_groups_that_cannot_be_parted_are_said() -> None:
    with pytest.raises(DataError, match="are in 2 groups that cannot be parted without a class being lost"):
        divide(np.arange(100) // 50, np.arange(100) // 50)


def test_rows_of_no_part_go_with_the_validation_row_of_their_group() -> None:
    parts, groups = np.zeros(60, np.int8), np.full(60, -1)
    parts[:20], parts[20:30] = 2, 1
    groups[[0, 40, 41]], groups[[1, 20]] = 5, 6
    splits = divide(np.arange(60) % 2, groups, parts)
    assert {40, 41} <= set(splits.valid)
    assert 20 in splits.train, "what is given stays"
    moved, shared = sorted(of(splits, "split_groups"), key=lambda each: each.severity)
    assert (moved.severity, moved.count) == ("info", 2)
    assert shared.evidence.startswith("1 of 22 validation rows are of groups that training has rows of too (1 groups)")


def test_rows_of_no_part_stay_out_of_a_test_part_and_it_is_said() -> None:
    parts, groups = np.zeros(60, np.int8), np.full(60, -1)
    parts[:10] = 3
    groups[[0, 1, 40, 41]] = 5
    splits = divide(np.arange(60) % 2, groups, parts, duplicates=groups)
    assert splits.test.tolist() == list(range(10))
    assert ({40, 41} <= set(splits.train)) != ({40, 41} <= set(splits.valid))
    assert splits.leaked.tolist() == [0, 1]


def test_test_rows_of_groups_in_training_are_said() -> None:
    parts = np.array([0] * 50 + [3] * 10, np.int8)
    splits = divide(np.arange(60) % 2, np.arange(60) % 10, parts)
    (finding,) = of(splits, "split_groups")
    assert finding.severity == "warning"
    assert finding.count == 8, "two of the ten groups are in validation"


def test_rows_not_to_be_trained_on_follow_their_group() -> None:
    groups = np.repeat(np.arange(50), 4)
    trainable = np.arange(200) % 4 > 0
    splits = divide(np.arange(200) // 4 % 2, groups, trainable=trainable)
    assert trainable[splits.train].all()
    for group in np.unique(groups[splits.valid]):
        assert np.isin(np.flatnonzero(groups == group), splits.valid).all()
    assert not set(groups[splits.train]) & set(groups[splits.valid])


def test_of_very_many_groups_a_sample_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seedbed.core.data.splitting.draw.MOST_OFFERED", 60)
    rows = np.arange(1000)
    drawn = take_grouped(rows, rows // 2 % 2, rows // 2, 100, np.random.default_rng(0))
    assert len(drawn) == 100
    assert (drawn.reshape(-1, 2) // 2 == drawn[::2, None] // 2).all()
