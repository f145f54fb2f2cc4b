"""Sparse features beside dense ones: hashed n-grams have a quarter of a million columns, nearly all of them 0."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def is_sparse(features: Tensor) -> bool:
    """Whether features (N, F) are stored as compressed rows (CSR)."""
    return features.layout == torch.sparse_csr


def apply_linear(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return features (N, F), dense or sparse CSR, @ weight (K, F) transposed + bias (K,)."""
    return torch.addmm(bias, features, weight.T) if len(features) else features.new_zeros(0, len(weight))


def stacked(batches: Sequence[Tensor], order: Tensor | None) -> Tensor:
    """Join batches of rows into one tensor, dense or CSR; `order` (N,) says which row each of them is."""
    if not batches:
        return torch.empty(0)
    if is_sparse(batches[0]):
        return _rows_of_csr(batches, order)
    joined = torch.cat(list(batches))
    if order is None:
        return joined
    found = torch.empty_like(joined)
    found[order] = joined
    return found


def _rows_of_csr(batches: Sequence[Tensor], order: Tensor | None) -> Tensor:
    counts = torch.cat([each.crow_indices().diff() for each in batches])
    columns = torch.cat([each.col_indices() for each in batches])
    values = torch.cat([each.values() for each in batches])
    if order is not None:
        places = torch.empty_like(order)
        places[order] = torch.arange(len(order))
        begins = counts.cumsum(0) - counts
        counts, begins = counts[places], begins[places]
        taken = torch.repeat_interleave(begins - (counts.cumsum(0) - counts), counts) + torch.arange(int(counts.sum()))
        columns, values = columns[taken], values[taken]
    ends = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    shape = (len(counts), batches[0].shape[1])
    return torch.sparse_csr_tensor(ends, columns, values, shape, check_invariants=False)
