from __future__ import annotations

from itertools import islice

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.data.feeding.source import epochs, in_order_of_length


class Even:
    def lengths(self):
        return None


class Uneven:
    def __init__(self, lengths):
        self._lengths = np.asarray(lengths)

    def lengths(self):
        return self._lengths


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


@settings(deadline=None, max_examples=60)
@given(rows=st.integers(1, 40), batch_size=st.integers(1, 50), passes=st.integers(1, 6))
def test_all_batches_are_full_and_no_row_is_seen_twice_more_than_another(rows, batch_size, passes):
    numbers = torch.arange(100, 100 + rows)
    count = -(-rows * passes // batch_size)
    batches = list(islice(epochs(Even(), numbers, batch_size, _generator()), count))
    assert {len(each) for each in batches} == {batch_size}
    seen = torch.cat(batches).tolist()
    assert set(seen) <= set(numbers.tolist())
    for start in range(0, len(seen) - rows + 1, rows):
        assert sorted(seen[start : start + rows]) == numbers.tolist()


def test_each_epoch_has_an_order_of_its_own_that_the_seed_decides():
    rows = torch.arange(32)
    one, same = (list(islice(epochs(Even(), rows, 32, _generator(5)), 3)) for _ in range(2))
    other = next(epochs(Even(), rows, 32, _generator(6)))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one[0], other)


def test_rows_of_unequal_length_come_in_batches_of_like_length_each_once_an_epoch():
    lengths = np.random.default_rng(0).integers(1, 1000, 103)
    rows = torch.arange(3, 103)
    batches = epochs(Uneven(lengths), rows, 10, _generator())
    one, other = ([next(batches) for _ in range(10)] for _ in range(2))
    for epoch in (one, other):
        assert sorted(torch.cat(epoch).tolist()) == rows.tolist()
        spread = [np.ptp(lengths[each.numpy()]) for each in epoch]
        assert max(spread) < 400
    assert not torch.equal(torch.cat(one), torch.cat(other))


def test_the_seed_decides_the_order_of_rows_of_unequal_length():
    lengths, rows = np.arange(1, 31), torch.arange(30)
    one, same, other = (next(epochs(Uneven(lengths), rows, 8, _generator(seed))) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_rows_of_equal_length_come_in_full_batches():
    batches = list(islice(epochs(Uneven(np.full(10, 7)), torch.arange(10), 4, _generator()), 5))
    assert {len(each) for each in batches} == {4}


def test_the_longest_come_first_where_lengths_differ():
    order = in_order_of_length(Uneven([3, 9, 1, 9]), torch.tensor([0, 1, 2, 3]))
    assert order.tolist() == [1, 3, 0, 2]
    assert in_order_of_length(Even(), torch.arange(3)) is None
