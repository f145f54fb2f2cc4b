from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch

from seedbed.core.training import log_ratios
from seedbed.core.training.log_ratios import column_weights, weighted
from seedbed.core.training.sparse import apply_linear
from seedbed.core.training.sparse_head import fit_sparse_head


def _rows(values):
    return scipy.sparse.csr_matrix(np.asarray(values, dtype=np.float32))


def test_a_column_of_one_class_weighs_more_than_one_of_both_and_none_is_lost():
    rows = _rows([[1, 1, 0], [1, 1, 0], [0, 1, 1], [0, 1, 0]])
    found = column_weights(rows, np.array([[1], [1], [0], [0]], dtype=np.float32))
    assert found[0] > found[2] > 0
    assert found[0] > found[1] > 0
    assert found.dtype == np.float32


def test_it_does_not_matter_which_of_two_classes_is_which():
    rows = scipy.sparse.random(30, 12, 0.3, format="csr", dtype=np.float32, random_state=0)
    label = (np.arange(30) % 3 == 0).astype(np.float32)[:, None]
    assert column_weights(rows, label) == pytest.approx(column_weights(rows, 1 - label), rel=1e-5)
    both = np.concatenate([label, 1 - label], 1)
    assert column_weights(rows, both) == pytest.approx(column_weights(rows, label), rel=1e-5)


def test_rows_keep_about_their_length():
    rows = scipy.sparse.random(200, 50, 0.2, format="csr", dtype=np.float32, random_state=0)
    label = (np.arange(200) % 2).astype(np.float32)[:, None]
    found = weighted(rows, column_weights(rows, label))
    assert found.multiply(found).sum() == pytest.approx(rows.multiply(rows).sum(), rel=1e-4)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_label_that_all_rows_have_or_none_gives_finite_weights(label):
    rows = _rows([[1, 0], [1, 1]])
    assert np.isfinite(column_weights(rows, np.full((2, 1), label, dtype=np.float32))).all()
    assert np.isfinite(column_weights(_rows(np.zeros((2, 2))), np.full((2, 1), label, dtype=np.float32))).all()


@pytest.mark.filterwarnings("error")
def test_rows_without_any_column_have_no_weights():
    assert column_weights(_rows(np.zeros((3, 0))), np.ones((3, 1), dtype=np.float32)).shape == (0,)


def test_few_values_at_a_time_give_the_same(monkeypatch):
    rows = scipy.sparse.random(200, 50, 0.2, format="csr", dtype=np.float32, random_state=0)
    label = (np.arange(200) % 2).astype(np.float32)[:, None]
    whole = column_weights(rows, label)
    monkeypatch.setattr(log_ratios, "_CHUNK", 37)
    assert np.array_equal(column_weights(rows, label), whole)
    assert np.array_equal(weighted(rows, whole).toarray(), rows.toarray() * whole)


def test_weighted_columns_are_products_and_the_rows_stay_as_they_were():
    rows = _rows([[1, 2], [0, 3]])
    assert weighted(rows, np.array([2, 10], dtype=np.float32)).toarray().tolist() == [[2, 20], [0, 30]]
    assert rows.toarray().tolist() == [[1, 2], [0, 3]]


def _told_by_ten_columns():
    """Nine hundred rows of 300 columns, of which the first ten tell two classes apart."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 900)
    values = (rng.random((900, 300)) < 0.1).astype(np.float32)
    for column in range(10):
        values[:, column] = rng.random(900) < np.where(labels == column % 2, 0.35, 0.1)
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)
    return torch.from_numpy(values), torch.from_numpy(labels)


@pytest.mark.parametrize(("wise", "is_used"), [(True, True), (False, False)])
def test_weights_are_used_where_they_lower_the_loss_on_held_out_rows(monkeypatch, wise, is_used):
    values, labels = _told_by_ten_columns()

    def fitted(weigh):
        monkeypatch.setattr("seedbed.core.training.sparse_head.column_weights", weigh)
        some = values[:300].to_sparse_csr()
        return fit_sparse_head(some, labels[:300], "classification", 2, torch.Generator().manual_seed(0))

    def told(rows, goals):
        # Columns change places within a fit; what tells the classes apart is seen in the rows themselves.
        apart = np.abs(rows.T @ (goals - goals.mean(0)))[:, 0] / np.sqrt(1 + np.bincount(rows.indices))
        keen = apart >= np.sort(apart)[-10]
        return np.where(keen == wise, 3.0, 0.03).astype(np.float32)

    plain, found = fitted(lambda rows, goals: np.ones(rows.shape[1], dtype=np.float32)), fitted(told)
    assert torch.equal(plain.weight, found.weight) is not is_used
    loss = [
        float(torch.nn.functional.cross_entropy(apply_linear(values[300:], each.weight, each.bias), labels[300:]))
        for each in (plain, found)
    ]
    assert loss[1] <= loss[0]
