from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.data.split import load_splits, save_splits, sort_naturally, split, take_stratified
from seedbed.core.errors import DataError

sizes = st.lists(st.integers(1, 60), min_size=2, max_size=12).filter(lambda counts: max(counts) > 1)


def rows_of(counts: list[int]) -> list[str]:
    return [str(label) for label, count in enumerate(counts) for _ in range(count)]


def halves(targets: list[str], **parts: list[int]):
    given_parts = [""] * len(targets)
    for part, rows in parts.items():
        for row in rows:
            given_parts[row] = part
    return split(targets, given_parts, np.ones(len(targets), bool), seed=0)


@given(counts=sizes, seed=st.integers(0, 1000))
def test_the_parts_are_disjoint_whole_and_stratified(counts: list[int], seed: int) -> None:
    targets = rows_of(counts)
    splits = split(targets, [""] * len(targets), np.ones(len(targets), bool), seed)
    assert sorted([*splits.train, *splits.valid]) == list(range(len(targets)))
    assert len(splits.test) == 0
    held = np.bincount(splits.targets[splits.valid], minlength=len(counts))
    for count, taken in zip(counts, held, strict=True):
        assert taken <= count // 2, "training keeps half of every class, and a single row always"
        assert taken >= min(2, -(-count // 4), count // 2)
        assert taken <= max(np.ceil(0.2 * count) + 1, 2)


@given(counts=sizes, seed=st.integers(0, 1000))
def test_the_seed_decides(counts: list[int], seed: int) -> None:
    targets = rows_of(counts)
    one, other = (split(targets, [""] * len(targets), np.ones(len(targets), bool), seed) for _ in range(2))
    assert np.array_equal(one.valid, other.valid)


def test_another_seed_gives_another_split() -> None:
    targets = rows_of([50, 50])
    one, other = (split(targets, [""] * 100, np.ones(100, bool), seed) for seed in (0, 1))
    assert not np.array_equal(one.valid, other.valid)


def test_a_large_set_gives_at_most_five_thousand_rows() -> None:
    splits = halves(rows_of([6000] * 10))
    assert len(splits.valid) == 5000
    assert set(np.bincount(splits.targets[splits.valid])) == {500}


def test_parts_of_the_owner_stay_as_they_are() -> None:
    targets = rows_of([6, 6])
    splits = halves(targets, train=[0, 1, 6, 7], valid=[2, 8], test=[3, 9])
    assert splits.valid.tolist() == [2, 8]
    assert splits.test.tolist() == [3, 9]
    assert sorted(splits.train) == [0, 1, 4, 5, 6, 7, 10, 11]


def test_unusable_rows_belong_to_no_part() -> None:
    targets = rows_of([10, 10])
    usable = np.ones(20, bool)
    usable[[3, 15]] = False
    splits = split(targets, [""] * 20, usable, seed=0)
    assert not {3, 15} & {*splits.train, *splits.valid}
    assert splits.targets[[3, 15]].tolist() == [-1, -1]


def test_a_class_unseen_in_training_is_left_out_and_named() -> None:
    splits = halves([*rows_of([6, 6]), "new", "new"], test=[0, 12, 13])
    assert splits.classes == ("0", "1")
    assert splits.test.tolist() == [0]
    assert splits.targets[12:].tolist() == [-1, -1]
    (finding,) = splits.findings
    assert finding.rows == ("new",)
    assert finding.count == 2


@pytest.mark.parametrize("targets", [["a"] * 5, []])
def test_fewer_than_two_classes_cannot_be_learnt(targets: list[str]) -> None:
    with pytest.raises(DataError, match="Two classes or more are needed"):
        halves(targets)


def test_what_keeps_classes_from_training_is_said() -> None:
    usable = np.array([True, True, False, True])
    with pytest.raises(DataError, match=r"class \(a\); 1 rows cannot be read and 1 belong to validation or test"):
        split(["a", "a", "b", "b"], ["", "", "", "test"], usable, seed=0)


def test_single_rows_alone_leave_nothing_to_choose_by() -> None:
    with pytest.raises(DataError, match="Give two or more"):
        halves(["a", "b", "c"])


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
        ([], ()),
    ],
)
def test_classes_are_sorted_as_people_do(names: list[str], order: tuple[str, ...]) -> None:
    assert sort_naturally(names) == order


def test_a_split_survives_its_file(tmp_path) -> None:
    before = halves([*rows_of([10, 10]), "Grüße an", "Grüße an"], test=[0, 19])
    save_splits(before, tmp_path / "data" / "splits.parquet")
    after = load_splits(tmp_path / "data" / "splits.parquet")
    assert after.classes == before.classes
    for part in ("train", "valid", "test"):
        assert np.array_equal(after.rows(part), before.rows(part))
        assert after.rows(part).dtype == np.int64
    assert np.array_equal(after.targets, before.targets)


@pytest.mark.parametrize("content", [None, b"", b"no parquet at all"])
def test_a_file_that_is_no_split_is_said(tmp_path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "splits.parquet").write_bytes(content)
    with pytest.raises(DataError, match="holds no split"):
        load_splits(tmp_path / "splits.parquet")


def test_a_foreign_table_is_no_split(tmp_path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"part": ["train"]}), tmp_path / "splits.parquet")
    with pytest.raises(DataError, match="holds no split"):
        load_splits(tmp_path / "splits.parquet")
