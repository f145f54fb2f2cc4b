from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.data.inference.channels import from_cells, from_channels, from_lists, from_steps, from_wide

values = st.lists(st.integers(-9, 9), max_size=4)
nested = st.lists(st.none() | st.lists(values, max_size=3), min_size=1, max_size=6)
NESTED = pa.list_(pa.list_(pa.int64()))


def evened(channels: list[list[float]]) -> list[list[float]]:
    longest = max(map(len, channels), default=0)
    return [[float(value) for value in each] + [math.nan] * (longest - len(each)) for each in channels]


def same(found: pa.Array, expected: list) -> bool:
    return repr(found.to_pylist()) == repr(expected)


@settings(deadline=None)  # the first example also imports pyarrow
@given(nested)
def test_channels_of_a_row_come_out_of_one_length(rows) -> None:
    found = from_channels(pa.array(rows, NESTED))
    assert same(found.rows, [None if row is None else evened(row) for row in rows])
    assert found.uneven.tolist() == [bool(row) and len(set(map(len, row))) > 1 for row in rows]


@settings(deadline=None)  # the first example also imports pyarrow
@given(nested)
def test_a_slice_of_a_column_is_read_as_the_column_is(rows) -> None:
    whole = pa.array([[[7, 7]], *rows], NESTED)
    assert same(from_channels(whole[1:]).rows, from_channels(pa.array(rows, NESTED)).rows.to_pylist())


@settings(deadline=None)  # the first example also imports pyarrow
@given(st.lists(st.tuples(st.none() | values, st.none() | values), min_size=1, max_size=6))
def test_lists_of_several_columns_are_channels(rows) -> None:
    columns = [pa.array([row[place] for row in rows], pa.list_(pa.int64())) for place in (0, 1)]
    expected = [None if row == (None, None) else evened([each or [] for each in row]) for row in rows]
    assert same(from_lists(columns).rows, expected)


@settings(deadline=None)  # the first example also imports pyarrow
@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.integers(1, 3))
def test_steps_are_turned_into_channels(lengths, width) -> None:
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 9, (length, width)).astype(float) for length in lengths]
    found = from_steps(pa.array([row.tolist() for row in rows], pa.list_(pa.list_(pa.float64()))), width)
    assert same(found.rows, [row.T.tolist() if len(row) else [] for row in rows])


def test_a_step_that_lacks_values_is_filled_and_told() -> None:
    found = from_steps(pa.array([[[1.0, 2.0], [3.0]], [[4.0, 5.0]]]), 2)
    assert same(found.rows, [[[1.0, 3.0], [2.0, math.nan]], [[4.0], [5.0]]])
    assert found.uneven.tolist() == [True, False]


def test_columns_are_steps_and_a_row_ends_with_its_last_value() -> None:
    steps = [pa.array([1, None, None]), pa.array([2, 5, None]), pa.array([None, None, None], pa.int64())]
    assert same(from_wide([steps]).rows, [[[1.0, 2.0]], [[math.nan, 5.0]], None])
    both = from_wide([steps, [pa.array([1.0, 1.0, 1.0])] * 3]).rows
    assert same(both[2:], [[[math.nan] * 3, [1.0] * 3]])


def test_cells_that_do_not_parse_are_missing_and_marked() -> None:
    found = from_cells([pa.array(["1 2 3", "cat", None]), pa.array(["[4]", "1 2", ""])])
    assert same(found.rows, [[[1.0, 2.0, 3.0], [4.0, math.nan, math.nan]], None, None])
    assert found.odd.tolist() == [False, True, False]
    assert found.uneven.tolist() == [True, False, False]
