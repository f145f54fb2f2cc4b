from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seedbed.core.data.splitting.split import Splits, load_splits, save_splits
from seedbed.core.errors import DataError

TARGETS = {
    "classification": (np.array([0, 1, -1, 0, 1, 0]), ("a", "Grüße an")),
    "regression": (np.array([0.1, -3e10, np.nan, 1 / 3, 0, 7]), ()),
    "multilabel": (
        np.array([[0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]], np.uint8),
        ("x", "y", "z"),
    ),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_a_split_survives_its_file(tmp_path: Path, kind: str) -> None:
    targets, classes = TARGETS[kind]
    before = Splits(
        train=np.array([0, 3]),
        valid=np.array([1]),
        test=np.array([4, 5]),
        targets=targets,
        classes=classes,
        kind=kind,
        folds=np.array([0, 1, -1, 1, -1, -1], np.int8),
        leaked=np.array([5]),
    )
    save_splits(before, tmp_path / "data" / "splits.parquet")
    after = load_splits(tmp_path / "data" / "splits.parquet")
    assert (after.classes, after.kind) == (classes, kind)
    for part in ("train", "valid", "test"):
        assert np.array_equal(after.rows(part), before.rows(part))
        assert after.rows(part).dtype == np.int64
    assert after.targets.dtype == targets.dtype
    assert np.array_equal(after.targets, targets, equal_nan=kind == "regression")
    assert after.folds.tolist() == before.folds.tolist()
    assert after.folds.dtype == np.int8
    assert after.leaked.tolist() == [5]


def test_a_file_of_before_there_were_folds_is_read(tmp_path: Path) -> None:
    table = pa.table({"row": [0, 1, 2], "part": ["train", "valid", ""], "target": [0, 1, -1]})
    pq.write_table(table.replace_schema_metadata({b"seedbed.classes": b'["a", "b"]'}), tmp_path / "splits.parquet")
    splits = load_splits(tmp_path / "splits.parquet")
    assert splits.kind == "classification"
    assert splits.train.tolist() == [0]
    assert splits.folds.tolist() == [-1, -1, -1]
    assert splits.leaked.tolist() == []


@pytest.mark.parametrize("content", [None, b"", b"no parquet at all"])
def test_a_file_that_is_no_split_is_said(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "splits.parquet").write_bytes(content)
    with pytest.raises(DataError, match="holds no split"):
        load_splits(tmp_path / "splits.parquet")


@pytest.mark.parametrize(
    ("columns", "facts"),
    [
        ({"part": ["train"]}, {}),
        ({"part": ["train"], "target": ["a"]}, {b"seedbed.classes": b'["a"]'}),
        ({"part": [1], "target": [0]}, {b"seedbed.classes": b'["a"]'}),
        ({"part": ["train"], "target": [0]}, {b"seedbed.classes": b'["a"]', b"seedbed.kind": b"multilabel"}),
        ({"part": ["train"], "target": [0]}, {b"seedbed.classes": b'["a"]', b"seedbed.kind": b"guess"}),
        ({"part": ["train"], "target": [None]}, {b"seedbed.classes": b"[1]"}),
    ],
)
def test_a_foreign_table_is_no_split(tmp_path: Path, columns: dict, facts: dict) -> None:
    pq.write_table(pa.table(columns).replace_schema_metadata(facts), tmp_path / "splits.parquet")
    with pytest.raises(DataError, match="holds no split"):
        load_splits(tmp_path / "splits.parquet")
