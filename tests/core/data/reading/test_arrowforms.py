from __future__ import annotations

import datasets
import pyarrow as pa

from seedbed.core.data.reading.arrowforms import named, scan


def rows() -> datasets.Dataset:
    return datasets.Dataset.from_dict({"n": list(range(300)), "m": [0.5] * 300})


def test_scanning_goes_through_all_rows_in_order():
    batches = list(scan(rows(), ["n"], 64))
    assert max(len(array) for (array,) in batches) <= 64
    assert [n for (array,) in batches for n in array.to_pylist()] == list(range(300))


def test_scanning_follows_a_choice_of_rows():
    chosen = rows().select([250, 3, 99])
    assert [n for (array,) in scan(chosen, ["n"]) for n in array.to_pylist()] == [250, 3, 99]


def test_scanning_gives_the_columns_in_the_order_asked_for():
    ((first, second),) = scan(rows().select(range(2)), ["m", "n"])
    assert (first.to_pylist(), second.to_pylist()) == ([0.5, 0.5], [0, 1])


def test_what_is_no_index_of_a_class_has_no_name():
    assert named(pa.array([1, -1, 2, None, 0]), ["a", "b"]).to_pylist() == ["b", None, None, None, "a"]
