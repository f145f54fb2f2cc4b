from __future__ import annotations

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.data.dataset import Dataset
from seedbed.core.data.targets import Targets, targets_of
from seedbed.core.task import TaskKind


def dataset(values: list, kind: TaskKind, type_: pa.DataType) -> Dataset:
    rows = datasets.Dataset(pa.table({"target": pa.array(values, type_), "part": [""] * len(values)}))
    return Dataset(rows=rows, modality="text", source="here", name="here", kind=kind)


def test_classes_are_numbered_and_what_is_missing_has_none() -> None:
    found = targets_of(dataset(["b", "a", None, "", "b"], "classification", pa.string()))
    assert [found.classes[code] if code >= 0 else None for code in found.values] == ["b", "a", None, None, "b"]
    assert set(found.classes) == {"a", "b"}
    assert found.known().tolist() == [True, True, False, False, True]


def test_values_that_are_no_numbers_are_missing() -> None:
    found = targets_of(dataset([1.5, None, float("inf"), float("nan")], "regression", pa.float64()))
    assert found.known().tolist() == [True, False, False, False]
    assert found.values[0] == 1.5


def test_several_labels_become_a_matrix() -> None:
    found = targets_of(dataset([["a", "b"], [], None, ["b", ""]], "multilabel", pa.list_(pa.string())))
    assert set(found.classes) == {"a", "b"}
    columns = [found.classes.index("a"), found.classes.index("b")]
    assert found.values[:, columns].tolist() == [[1, 1], [0, 0], [0, 0], [0, 1]]
    assert found.known().all()


@given(st.lists(st.sampled_from(["a", "b", "B", "c", None]), min_size=1, max_size=30))
def test_renaming_merges_classes_and_loses_no_row(names: list[str | None]) -> None:
    before = targets_of(dataset(names, "classification", pa.string()))
    after = before.renamed({"B": "b"})
    told = [after.classes[code] if code >= 0 else None for code in after.values]
    assert told == ["b" if name == "B" else name for name in names]
    assert after.counts().sum() == before.counts().sum()


def test_renaming_merges_labels() -> None:
    before = targets_of(dataset([["a"], ["A"], ["a", "A"], []], "multilabel", pa.list_(pa.string())))
    assert before.renamed({"A": "a"}).values.tolist() == [[1], [1], [1], [0]]


def test_rows_can_be_given_other_classes() -> None:
    before = targets_of(dataset(["a", "b", "a"], "classification", pa.string()))
    after = before.relabelled(np.array([0]), ("b",))
    assert [after.classes[code] for code in after.values] == ["b", "b", "a"]
    assert [before.classes[code] for code in before.values] == ["a", "b", "a"]


def test_values_are_stratified_by_decile() -> None:
    strata = Targets(kind="regression", values=np.append(np.arange(100.0), np.nan)).strata()
    assert np.bincount(strata[:100]).tolist() == pytest.approx([10] * 10, abs=1)
    assert strata[100] == -1


def test_labels_are_stratified_by_the_rarest() -> None:
    values = np.array([[1, 0], [1, 0], [1, 1], [0, 0]], np.uint8)
    strata = Targets(kind="multilabel", values=values, classes=("common", "rare")).strata()
    assert strata[0] == strata[1]
    assert len({int(strata[0]), int(strata[2]), int(strata[3])}) == 3


def test_values_have_no_classes_to_count() -> None:
    assert len(Targets(kind="regression", values=np.array([1.5, 2.5])).counts(np.array([0]))) == 0
