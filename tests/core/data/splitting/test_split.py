from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.data.splitting.split import Splits, sort_naturally, split, take_stratified
from seedbed.core.data.targets import Targets
from seedbed.core.errors import DataError

CODES = {"train": 1, "valid": 2, "test": 3}
sizes = st.lists(st.integers(1, 60), min_size=2, max_size=12).filter(lambda counts: max(counts) > 1)


def rows_of(counts: list[int]) -> list[str]:
    return [str(label) for label, count in enumerate(counts) for _ in range(count)]


def classes_of(names: list[str]) -> Targets:
    classes = tuple(sorted(set(names), reverse=True))  # in an order that is not the one to come
    return Targets(
        kind="classification", values=np.array([classes.index(each) for each in names], int), classes=classes
    )


def divide(names: list[str], seed: int = 0, usable: np.ndarray | None = None, **parts: list[int]) -> Splits:
    codes = np.zeros(len(names), np.int8)
    for part, rows in parts.items():
        codes[rows] = CODES[part]
    return split(classes_of(names), codes, np.ones(len(names), bool) if usable is None else usable, seed)


@given(counts=sizes, seed=st.integers(0, 1000))
def test_the_parts_are_disjoint_whole_and_stratified(counts: list[int], seed: int) -> None:
    targets = rows_of(counts)
    splits = divide(targets, seed)
    assert sorted([*splits.train, *splits.valid]) == list(range(len(targets)))
    assert len(splits.test) == 0
    held = np.bincount(splits.targets[splits.valid], minlength=len(counts))
    for count, taken in zip(counts, held, strict=True):
        assert taken <= count // 2, "training keeps half of every class, and a single row always"
        assert taken >= min(2, -(-count // 4), count // 2)
        assert taken <= max(np.ceil(0.2 * count) + 1, 2)


@given(counts=sizes, seed=st.integers(0, 1000))
def test_the_seed_decides(counts: list[int], seed: int) -> None:
    one, other = (divide(rows_of(counts), seed) for _ in range(2))
    assert np.array_equal(one.valid, other.valid)
    assert np.array_equal(one.folds, other.folds)


def test_another_seed_gives_another_split() -> None:
    one, other = (divide(rows_of([50, 50]), seed) for seed in (0, 1))
    assert not np.array_equal(one.valid, other.valid)


def test_a_large_set_gives_at_most_five_thousand_rows() -> None:
    splits = divide(rows_of([6000] * 10))
    assert len(splits.valid) == 5000
    assert set(np.bincount(splits.targets[splits.valid])) == {500}


def test_parts_of_the_owner_stay_as_they_are() -> None:
    targets = rows_of([6, 6])
    splits = divide(targets, train=[0, 1, 6, 7], valid=[2, 8], test=[3, 9])
    assert splits.valid.tolist() == [2, 8]
    assert splits.test.tolist() == [3, 9]
    assert sorted(splits.train) == [0, 1, 4, 5, 6, 7, 10, 11]


def test_unusable_rows_belong_to_no_part() -> None:
    targets = rows_of([10, 10])
    usable = np.ones(20, bool)
    usable[[3, 15]] = False
    splits = divide(targets, usable=usable)
    assert not {3, 15} & {*splits.train, *splits.valid}
    assert splits.targets[[3, 15]].tolist() == [-1, -1]


def test_a_class_unseen_in_training_is_left_out_and_named() -> None:
    splits = divide([*rows_of([6, 6]), "new", "new"], test=[0, 12, 13])
    assert splits.classes == ("0", "1")
    assert splits.test.tolist() == [0]
    assert splits.targets[12:].tolist() == [-1, -1]
    (finding,) = [each for each in splits.findings if each.check == "unseen_classes"]
    assert finding.rows == ("new",)
    assert finding.count == 2


@pytest.mark.parametrize("targets", [["a"] * 5, []])
def test_fewer_than_two_classes_cannot_be_learnt(targets: list[str]) -> None:
    with pytest.raises(DataError, match="Two classes or more are needed"):
        divide(targets)


def test_what_keeps_classes_from_training_is_said() -> None:
    usable = np.array([True, True, False, True])
    with pytest.raises(
        DataError, match=r"class \(a\); of the others 1 cannot be used and 1 belong to validation or test"
    ):
        divide(["a", "a", "b", "b"], usable=usable, test=[3])


def test_rows_without_a_target_are_in_no_part() -> None:
    targets = classes_of(rows_of([10, 10]))
    targets.values[[2, 12]] = -1
    splits = split(targets, np.zeros(20, np.int8), np.ones(20, bool), seed=0)
    assert not {2, 12} & {*splits.train, *splits.valid}
    assert splits.targets[[2, 12]].tolist() == [-1, -1]


def test_classes_that_no_row_has_are_not_counted() -> None:
    targets = Targets(kind="classification", values=np.array([0, 0, 0, 2, 2, 2]), classes=("b", "ghost", "a"))
    splits = split(targets, np.zeros(6, np.int8), np.ones(6, bool), seed=0)
    assert splits.classes == ("a", "b")
    assert splits.targets.tolist() == [1, 1, 1, 0, 0, 0]


@given(counts=sizes, seed=st.integers(0, 1000), data=st.data())
def test_rows_not_to_be_trained_on_may_be_validated_on(counts: list[int], seed: int, data: st.DataObject) -> None:
    names = rows_of(counts)
    targets, rows = classes_of(names), len(names)
    trainable = ~np.isin(np.arange(rows), data.draw(st.lists(st.integers(0, rows - 1), max_size=rows // 3)))
    try:
        splits = split(targets, np.zeros(rows, np.int8), np.ones(rows, bool), seed, trainable=trainable)
    except DataError:
        left = np.bincount(targets.values[trainable], minlength=len(counts))
        assert np.count_nonzero(left) < 2 or left.max() < 2
        return
    assert trainable[splits.train].all()
    assert (splits.folds[~trainable] == -1).all()
    assert set(splits.targets[splits.valid]) <= set(splits.targets[splits.train])
    assert not set(splits.train) & set(splits.valid)


def test_a_share_of_the_rows_not_to_be_trained_on_is_validated_on() -> None:
    trainable = np.arange(400) % 4 > 0
    splits = split(classes_of(rows_of([200, 200])), np.zeros(400, np.int8), np.ones(400, bool), 0, trainable=trainable)
    assert len(splits.train) == 240
    assert len(splits.valid) == 80
    assert np.count_nonzero(~trainable[splits.valid]) == 20


def test_copies_of_test_rows_that_are_not_trained_on_are_not_validated_on_either() -> None:
    parts = np.zeros(100, np.int8)
    parts[:20] = 3
    trainable, duplicates = np.ones(100, bool), np.full(100, -1)
    trainable[60:80], duplicates[:20], duplicates[60:80] = False, np.arange(20), np.arange(20)
    targets = classes_of(["a", "b"] * 50)
    splits = split(targets, parts, np.ones(100, bool), 0, trainable=trainable, duplicates=duplicates)
    assert not set(range(60, 80)) & {*splits.train, *splits.valid}
    assert len(splits.leaked) == 0


def test_test_rows_known_from_training_are_told() -> None:
    parts = np.zeros(100, np.int8)
    parts[:20] = 3
    duplicates = np.full(100, -1)
    duplicates[[3, 4, 50]] = 7
    duplicates[[5, 6]] = 8  # twice in the test part, and nowhere else
    splits = split(classes_of(["a", "b"] * 50), parts, np.ones(100, bool), 0, duplicates=duplicates)
    assert splits.leaked.tolist() == [3, 4]


def test_single_rows_alone_leave_nothing_to_choose_by() -> None:
    with pytest.raises(DataError, match="Give two or more"):
        divide(["a", "b", "c"])


def test_a_draw_keeps_to_its_rows() -> None:
    rows = np.array([5, 7, 11, 13, 17, 19, 23, 29])
    drawn = take_stratified(rows, np.array([0, 0, 0, 0, 1, 1, 1, 1]), 4, np.random.default_rng(0))
    assert set(drawn) < set(rows)
    assert sum(row < 17 for row in drawn) == 2


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["10", "9", "1"], ("1", "9", "10")),
        (["2.5", "-1", "10"], ("-1", "2.5", "10")),
        (["img10", "img2", "Img1"], ("Img1", "img2", "img10")),
        (["a1b", "a", "a1", "1a", "²"], ("1a", "a", "a1", "a1b", "²")),
        (["b2", "b" + "1" * 5000, "b02", "b10"], ("b02", "b2", "b10", "b" + "1" * 5000)),
        ([], ()),
    ],
)
def test_classes_are_sorted_as_people_do(names: list[str], order: tuple[str, ...]) -> None:
    assert sort_naturally(names) == order
