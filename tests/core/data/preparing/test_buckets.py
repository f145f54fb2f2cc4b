from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.data.preparing.buckets import bucketed, padding_waste


@given(
    lengths=st.lists(st.integers(0, 500), max_size=200).map(np.array),
    batch_size=st.integers(1, 40),
    max_tokens=st.one_of(st.none(), st.integers(1, 3000)),
    seed=st.integers(0, 3),
)
def test_an_epoch_has_every_row_once_and_keeps_its_bounds(lengths, batch_size, max_tokens, seed) -> None:
    lengths = lengths.astype(np.int64)
    batches = list(bucketed(lengths, batch_size, np.random.default_rng(seed), max_tokens=max_tokens))
    rows = np.concatenate([np.empty(0, dtype=np.int64), *batches])
    assert np.array_equal(np.sort(rows), np.arange(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        assert max_tokens is None or len(batch) == 1 or len(batch) * lengths[batch].max() <= max_tokens
    if max_tokens is None and batches:
        sizes = [len(batch) for batch in batches]
        assert max(sizes) - min(sizes) <= 1
        assert len(batches) == -(-len(lengths) // batch_size)


@pytest.fixture
def lengths() -> np.ndarray:
    return np.random.default_rng(0).lognormal(4, 1, 5000).astype(np.int64) + 1


@pytest.mark.parametrize("max_tokens", [None, 4096])
def test_little_is_padding(lengths: np.ndarray, max_tokens: int | None) -> None:
    rng = np.random.default_rng(1)
    waste = padding_waste(lengths, bucketed(lengths, 32, rng, max_tokens=max_tokens))
    assert padding_waste(lengths, np.array_split(rng.permutation(len(lengths)), 157)) > 0.6
    assert waste < 0.15


def test_epochs_differ_and_repeat_by_seed(lengths: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    first, second = list(bucketed(lengths, 32, rng)), list(bucketed(lengths, 32, rng))
    again = list(bucketed(lengths, 32, np.random.default_rng(1)))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    known = {frozenset(batch.tolist()) for batch in first}
    assert sum(frozenset(batch.tolist()) in known for batch in second) < 5


def test_rows_of_one_length_are_shuffled() -> None:
    batches = list(bucketed(np.zeros(100, dtype=np.int64), 10, np.random.default_rng(0)))
    assert not np.array_equal(np.concatenate(batches), np.arange(100))
    assert padding_waste(np.zeros(100, dtype=np.int64), batches) == 0
