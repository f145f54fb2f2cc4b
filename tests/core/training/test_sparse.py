from __future__ import annotations

import torch
from torch import nn

from seedbed.core.training.assemble import Net
from seedbed.core.training.sparse import is_sparse, stacked


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
    taken = dense[order].split(3)
    assert torch.equal(stacked(taken, order), dense)
    assert torch.equal(stacked([each.to_sparse_csr() for each in taken], order).to_dense(), dense)


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
