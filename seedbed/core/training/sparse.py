"""Sparse features beside dense ones: hashed n-grams have a quarter of a million columns, nearly all of them 0."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def is_sparse(features: Tensor) -> bool:
    """Whether features (N, F) are stored as compressed rows (CSR)."""
    return features.layout == torch.sparse_csr


def apply_linear(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return features (N, F), dense or sparse CSR, @ weight (K, F) transposed + bias (K,)."""
    return torch.addmm(bias, features, weight.T) if len(features) else features.new_zeros(0, len(weight))


def compact(features: Tensor) -> Tensor:
    """Return features with column numbers of 32 bits where they are sparse: a third less to hold than with 64."""
    if not is_sparse(features):
        return features
    index = _index_type(features.values().numel(), features.shape[1])
    parts = (features.crow_indices().to(index), features.col_indices().to(index), features.values())
    return torch.sparse_csr_tensor(*parts, features.shape, check_invariants=False)


def stacked(batches: list[Tensor], order: Tensor | None) -> Tensor:
    """Join batches of rows into one tensor, dense or CSR; `order` (N,) says which row each of them is.

    Sparse batches are taken from the list as they are joined, so that they take no memory any more.
    """
    if not batches:
        return torch.empty(0)
    if is_sparse(batches[0]):
        return _rows_of_csr(batches, order)
    joined = torch.cat(batches)
    if order is None:
        return joined
    found = torch.empty_like(joined)
    found[order] = joined
    return found


def _rows_of_csr(batches: list[Tensor], order: Tensor | None) -> Tensor:
    width, dtype = batches[0].shape[1], batches[0].values().dtype
    counts = torch.cat([each.crow_indices().diff() for each in batches]).long()
    order = torch.arange(len(counts)) if order is None else order
    places = torch.empty_like(counts)
    places[order] = counts
    ends = torch.cat([counts.new_zeros(1), places.cumsum(0)])
    total, end = int(ends[-1]), len(order)
    index = _index_type(total, width)
    columns, values = torch.empty(total, dtype=index), torch.empty(total, dtype=dtype)
    while batches:
        batch = batches.pop()
        rows, end = order[end - len(batch) : end], end - len(batch)
        offsets = batch.crow_indices().long()
        taken = torch.repeat_interleave(ends[rows] - offsets[:-1], offsets.diff()) + torch.arange(int(offsets[-1]))
        columns[taken], values[taken] = batch.col_indices().to(index), batch.values()
    return torch.sparse_csr_tensor(ends.to(index), columns, values, (len(order), width), check_invariants=False)


def _index_type(values: int, width: int) -> torch.dtype:
    return torch.int32 if max(values, width) < 2**31 else torch.int64


def sample_within(features: Tensor, most_rows: int, most_values: int, generator: torch.Generator) -> np.ndarray | None:
    """Return the rows, rising, of a random sample of CSR features with no more rows and values; None: all of them."""
    counts = features.crow_indices().diff().numpy()
    if len(counts) <= most_rows and counts.sum(dtype=np.int64) <= most_values:
        return None
    order = torch.randperm(len(counts), generator=generator).numpy()
    affordable = int(np.count_nonzero(np.cumsum(counts[order], dtype=np.int64) <= most_values))
    found: np.ndarray = np.sort(order[: min(affordable, most_rows)])
    return found
