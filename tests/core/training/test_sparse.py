from __future__ import annotations

import pytest
import torch
from torch import nn

from seedbed.core.training.assemble import Net
from seedbed.core.training.sparse import compact, is_sparse, sample_within, stacked


def _matrix(rows=7, seed=0):
    dense = torch.randn(rows, 5, generator=torch.Generator().manual_seed(seed))
    return dense * (dense > 0.3)


def test_sparse_batches_join_into_the_rows_of_the_whole():
    dense = _matrix()
    dense[2] = 0
    batches = [each.to_sparse_csr() for each in dense.split(3)]
    joined = stacked(batches, None)
    assert is_sparse(joined)
    assert torch.equal(joined.to_dense(), dense)


def test_rows_go_back_to_their_places_sparse_or_dense():
    dense, order = _matrix(), torch.tensor([3, 0, 6, 2, 5, 1, 4])
    taken = list(dense[order].split(3))
    assert torch.equal(stacked(taken, order), dense)
    assert torch.equal(stacked([each.to_sparse_csr() for each in taken], order).to_dense(), dense)


@pytest.mark.parametrize("order", [None, torch.tensor([3, 0, 6, 2, 5, 1, 4])])
def test_joined_batches_and_wide_column_numbers_take_no_memory_any_more(order):
    dense = _matrix()
    batches = [compact(each.to_sparse_csr()) for each in (dense if order is None else dense[order]).split(2)]
    assert {each.col_indices().dtype for each in batches} == {torch.int32}
    joined = stacked(batches, order)
    assert not batches
    assert (joined.crow_indices().dtype, joined.col_indices().dtype) == (torch.int32, torch.int32)
    assert torch.equal(joined.to_dense(), dense)


def test_dense_features_are_compact_as_they_are():
    dense = _matrix()
    assert compact(dense) is dense


def test_a_sample_has_no_more_rows_and_values_than_asked_for():
    features = _matrix(rows=60).to_sparse_csr()
    counts = features.crow_indices().diff()
    assert sample_within(features, 60, int(counts.sum()), torch.Generator()) is None
    by_rows = sample_within(features, 17, 10_000, torch.Generator().manual_seed(0))
    by_values = sample_within(features, 60, 40, torch.Generator().manual_seed(0))
    assert len(by_rows) == len(set(by_rows)) == 17
    assert 35 <= int(counts[by_values].sum()) <= 40
    assert (by_values[1:] > by_values[:-1]).all()


def test_no_batches_give_no_rows():
    assert len(stacked([], None)) == 0


def test_a_head_takes_sparse_features_as_it_takes_dense_ones():
    class Sparse(nn.Module):
        def forward(self, inputs):
            return inputs.to_sparse_csr()

    dense = _matrix()
    one, other = Net(Sparse(), 5, 3).eval(), Net(nn.Identity(), 5, 3).eval()
    with torch.no_grad():
        one.head.weight.normal_(), one.head.bias.normal_()
        other.head.load_state_dict(one.head.state_dict())
        assert torch.allclose(one(dense), other(dense), atol=1e-6)
