from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.data.inference.cells import (
    is_code,
    is_moment,
    is_number,
    is_series,
    parse_series,
    separator_of,
    split_labels,
)

numbers = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8)


@settings(deadline=None)
@given(st.lists(numbers, min_size=1, max_size=4))
def test_lists_as_json_writes_them_are_read_back(channels) -> None:
    found = parse_series(str(channels))
    assert found is not None
    assert [each.tolist() for each in found] == channels


@settings(deadline=None)
@given(numbers.filter(lambda each: len(each) > 1), st.sampled_from([",", " ", ", ", ";", "|", "\t", ":"]))
def test_numbers_between_any_separators_are_one_channel(values, separator) -> None:
    (channel,) = parse_series(separator.join(map(repr, values)))
    assert channel.tolist() == values


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_text_is_too_odd_to_be_parsed(text) -> None:
    found = parse_series(text)
    assert found is None or all(each.dtype == np.float32 for each in found)
    assert is_series(text) in (True, False)


@pytest.mark.parametrize(
    ("cell", "channels"),
    [
        ("[1. 2.\n 3.]", [[1, 2, 3]]),
        ("[[1 2]\n [3 4]]", [[1, 2], [3, 4]]),
        ("1,2,3:4,5,6", [[1, 2, 3], [4, 5, 6]]),
        ("1 2;3 4", [[1, 2], [3, 4]]),
        ("[]", [[]]),
        ("(1, 2)", [[1, 2]]),
        ("[1e400, 2]", [[math.inf, 2]]),
    ],
)
def test_what_numpy_and_other_programs_print_is_read(cell: str, channels: list) -> None:
    assert [each.tolist() for each in parse_series(cell)] == channels


def test_missing_values_are_nan_and_keep_their_place() -> None:
    for cell in ("[1, null, 3]", "1,?,3", "1,,3", "1 nan 3"):
        (channel,) = parse_series(cell)
        assert np.array_equal(channel, [1, np.nan, 3], equal_nan=True), cell


@pytest.mark.parametrize("cell", ["", "cat", "1 2 cat", "[1, [2, 3]]x", "[[[1]]]", "[" * 100_000, "1, 2 3"])
def test_what_is_no_series_is_none(cell: str) -> None:
    assert parse_series(cell) is None


def test_a_cell_is_told_from_what_looks_alike() -> None:
    assert is_series("0.5 1.5 2.5 3.5")
    assert is_series("[1, 2]")
    assert not is_series("555 123 4567")
    assert not is_series("2020-01-01 12:30")
    assert not is_series("12:30:45")
    assert is_series("1 2 3 4 5 6.12e", is_cut=True)
    assert not is_number("1 2")
    assert is_moment("3.12.2020")
    assert is_code("123e4567-e89b-12d3-a456-426614174000")


def test_labels_recur_in_combinations() -> None:
    assert separator_of(["a|b", "b", "a|c", "c|b", "a"] * 3) == "|"
    assert separator_of(["Sports, outdoors", "Food"] * 9) == ""
    assert separator_of(["one thing, another", "yet more, or less", "this, that"]) == ""
    assert separator_of([";", ";"]) == ""


def test_quotes_and_brackets_of_printed_lists_are_no_part_of_labels() -> None:
    assert split_labels("['a', 'b']", "|") == ["a", "b"]
    assert split_labels("a | b|a|", "|") == ["a", "b"]
    assert split_labels("a, b", "") == ["a, b"]
