from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from seedbed.core.data.inference.interpret import interpret
from seedbed.core.data.reading.objects import table_of
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError, SeedbedError

RNG = np.random.default_rng(0)


def _pixels(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def _values(table, name):
    return table.rows.with_format("arrow")[:].column(name).to_pylist()


def _types(table):
    return {name: str(feature) for name, feature in table.rows.features.items()}


def _picture(cell):
    import io

    return np.asarray(Image.open(io.BytesIO(cell["bytes"])))


class Frame:
    """What polars and others offer: arrow, and nothing else."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


class Tensor:
    """What torch and others offer: an array on request."""

    def __init__(self, array, fails=False):
        self._array, self._fails = array, fails
        self.ndim, self.shape = array.ndim, array.shape

    def __array__(self, dtype=None, copy=None):
        if self._fails:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        return self._array


def test_a_frame_keeps_its_columns_and_types():
    frame = pd.DataFrame(
        {
            "text": ["a good film", None, "dull"],
            "label": pd.Categorical(["x", "y", "x"]),
            "score": [1.0, np.nan, 3.0],
            "when": pd.to_datetime(["2024-01-01", None, "2024-01-03"]),
            "code": pd.array([1, None, 3], dtype="Int64"),
        }
    )
    table = table_of(frame)
    assert _values(table, "text") == ["a good film", None, "dull"]
    assert _values(table, "label") == ["x", "y", "x"]
    assert _values(table, "score") == [1.0, None, 3.0]
    assert _values(table, "code") == [1, None, 3]
    assert _types(table)["when"].startswith("Value('timestamp")
    assert (table.source, table.schema) == ("memory", Schema())


def test_cells_of_a_frame_may_be_lists_or_arrays_of_unequal_length():
    frame = pd.DataFrame({"a": [[1, 2], [3]], "b": [np.array([1.0, 2.0]), np.array([3.0])]})
    frame["c"] = [np.ones((2, 3)), np.zeros((2, 5))]
    table = table_of(frame)
    assert _values(table, "a") == [[1, 2], [3]]
    assert _values(table, "b") == [[[1.0, 2.0]], [[3.0]]]
    assert [np.shape(each) for each in _values(table, "c")] == [(2, 3), (2, 5)]


def test_names_of_columns_become_strings_of_their_own():
    frame = pd.DataFrame([[1, 2, 3]], columns=["a", "a", 7])
    assert table_of(frame).rows.column_names == ["a", "a_2", "7"]
    many = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("x", 0), ("x", 1)]))
    assert table_of(many).rows.column_names == ["x.0", "x.1"]


def test_a_series_of_pandas_is_one_column():
    table = table_of(pd.Series(["some text", "more text"]), [0, 1])
    assert table.rows.column_names == ["input", "target"]
    assert table.schema == Schema(inputs=("input",), target="target")


def test_a_dict_of_columns_may_mix_lists_arrays_and_tensors():
    table = table_of({"x": np.ones((2, 9)), "y": ["a", "b"], "t": Tensor(np.array([1, 2])), "p": (Path("a"), None)})
    assert _types(table) == {
        "x": "List(Value('float64'))",
        "y": "Value('string')",
        "t": "Value('int64')",
        "p": "Value('string')",
    }


def test_a_short_array_beside_the_inputs_is_a_column_of_lists():
    table = table_of({"image": _pixels(2, 8, 8), "box": np.ones((2, 4))})
    assert _values(table, "box") == [[1.0] * 4] * 2
    assert np.array_equal(_picture(_values(table, "image")[0]).shape, (8, 8))


def test_zeros_and_ones_under_the_name_of_a_target_are_labels():
    table = table_of({"text": ["a", "b"], "labels": np.array([[1, 1], [0, 0]])})
    assert _values(table, "labels") == [["0", "1"], []]


def test_a_dict_of_arrays_may_name_the_parts():
    table = table_of({"x_train": _pixels(3, 8, 8), "y_train": [0, 1, 0], "x_test": _pixels(1, 8, 8)} | {"y_test": [1]})
    assert len(table) == 4
    assert table.schema.part == "part"


def test_a_bunch_of_scikit_learn_is_understood():
    bunch = {
        "data": RNG.random((6, 64)),
        "images": RNG.random((6, 8, 8)),
        "target": np.arange(6) % 2,
        "target_names": np.array(["even", "odd"]),
        "DESCR": "words",
    }
    table = table_of(bunch)
    assert table.schema == Schema(modality="image", inputs=("images",), target="target")
    assert _values(table, "target") == ["even", "odd"] * 3
    assert "`data` might be, too" in table.findings[0].evidence


def test_records_may_lack_keys():
    table = table_of([{"a": 1, "b": "x"}, {"a": 2}, {"b": "y", "c": [1.5]}])
    assert table.rows.to_list() == [
        {"a": 1, "b": "x", "c": None},
        {"a": 2, "b": None, "c": None},
        {"a": None, "b": "y", "c": [1.5]},
    ]


def test_an_array_of_images_with_targets():
    pixels = _pixels(3, 8, 9, 3)
    table = table_of(pixels, np.array([0, 1, 0]))
    assert table.schema == Schema(modality=None, inputs=("input",), target="target")
    assert _types(table)["input"] == "Image(mode=None, decode=False)"
    assert all(np.array_equal(_picture(a), b) for a, b in zip(_values(table, "input"), pixels, strict=True))


def test_an_array_of_series_is_taken_without_loss():
    array = RNG.normal(size=(4, 2, 50)).astype(np.float32)
    assert np.array_equal(np.array(_values(table_of(array), "input"), dtype=np.float32), array)


def test_the_users_word_on_an_array_wins():
    array = RNG.random((3, 16, 16))
    assert "Image" in _types(table_of(array))["input"]
    assert "List" in _types(table_of(array, modality="series"))["input"]


@pytest.mark.parametrize(
    ("targets", "expected", "kind"),
    [
        ([0, 1], [0, 1], None),
        (["a", "b"], ["a", "b"], None),
        (np.array([[0.5], [1.5]]), [0.5, 1.5], None),
        (np.array([[1, 0], [0, 1]]), ["0", "1"], "classification"),
        (np.array([[1, 1], [0, 1]]), [["0", "1"], ["1"]], "multilabel"),
        ([["a", "b"], []], [["a", "b"], []], None),
        (pd.Series([2, 3], index=[7, 8]), [2, 3], None),
        (Tensor(np.array([4, 5])), [4, 5], None),
        (pa.array([1, None]), [1, None], None),
    ],
    ids=["numbers", "names", "one column", "one-hot", "labels", "lists", "pandas", "tensor", "arrow"],
)
def test_targets_come_in_many_forms(targets, expected, kind):
    table = table_of(["one text", "two texts"], targets)
    assert (_values(table, "target"), table.schema.kind) == (expected, kind)


def test_targets_do_not_take_the_place_of_a_column():
    table = table_of({"target": ["x", "y"]}, [1, 2])
    assert (table.rows.column_names, table.schema.target) == (["target", "target_2"], "target_2")


def test_a_list_of_pictures_paths_and_arrays_is_one_of_images():
    pixels = _pixels(6, 4, 3)
    table = table_of([Image.fromarray(pixels), "cat.png", pixels, None])
    first, second, third, last = _values(table, "input")
    assert np.array_equal(_picture(first), pixels)
    assert np.array_equal(_picture(third), pixels)
    assert second == {"bytes": None, "path": "cat.png"}
    assert last == {"bytes": None, "path": None}


def test_a_list_of_arrays_of_several_sizes_is_one_of_images_or_series():
    assert "Image" in _types(table_of([_pixels(8, 9), _pixels(10, 12)]))["input"]
    assert "Image" in _types(table_of([RNG.random((8, 9, 3)), RNG.random((10, 12, 3))]))["input"]
    assert "List(List" in _types(table_of([np.ones(3), np.ones(5)]))["input"]


def test_arrow_and_what_speaks_it_are_taken_as_they_are():
    table = pa.table({"a": pa.array(["x", "y"]).dictionary_encode(), "b": [[1.0], [2.0]]})
    for given_table in (table, Frame(table), table.to_batches()[0]):
        read = table_of(given_table)
        assert read.rows.to_dict() == {"a": ["x", "y"], "b": [[1.0], [2.0]]}
    assert table_of(Frame(pa.chunked_array([["p", "q"]]))).rows.to_dict() == {"input": ["p", "q"]}


def test_sets_of_datasets_keep_their_splits():
    import datasets

    one = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "y": [0, 1, 0]})
    assert table_of(one.select([2, 0])).rows["text"][:] == ["c", "a"]
    both = table_of(datasets.DatasetDict({"train": one, "test": one.select([1])}))
    assert both.rows["part"][:] == ["train"] * 3 + ["test"]
    assert table_of(one.select([2, 0]), ["p", "q"]).rows.to_dict() == {
        "text": ["c", "a"], "y": [0, 0], "target": ["p", "q"]
    }  # fmt: skip


def test_equal_content_has_an_equal_fingerprint_and_other_content_another():
    def stamp(*texts):
        return table_of({"a": list(texts)}).rows._fingerprint

    assert stamp("x", "y") == stamp("x", "y")
    assert len({stamp("x", "y"), stamp("y", "x"), stamp("x"), stamp("xy")}) == 4
    whole = pa.table({"a": ["x", "y", "x", "y"]})
    assert table_of(whole.slice(2)).rows._fingerprint == table_of(whole.slice(0, 2)).rows._fingerprint


def test_values_of_several_types_become_strings_and_numbers_stay_numbers():
    table = table_of(
        {"a": [1, "x", None], "b": [1, 2.5, True], "c": [10**30, 1, None], "d": [date(2024, 1, 1), 2, "\ud800"]}
    )
    assert _values(table, "a") == ["1", "x", None]
    assert _values(table, "b") == [1.0, 2.5, 1.0]
    assert _values(table, "c") == [1e30, 1.0, None]
    assert _values(table, "d") == ["2024-01-01", "2", "\\ud800"]


def _stream():
    import datasets

    return datasets.Dataset.from_dict({"a": [1]}).to_iterable_dataset()


def _nested(depth):
    cell: object = 1
    for _ in range(depth):
        cell = [cell]
    return [cell]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (5, "Data of the type int cannot be read. Give a pandas or polars DataFrame"),
        (None, "NoneType cannot be read"),
        ("photos/", "is a single value; an address"),
        ([], "no rows"),
        ({}, "no columns"),
        (pd.DataFrame(), "no columns"),
        ({"a": 5}, "column 'a' is of the type int; give a list"),
        ({"a": [1], "b": [1, 2]}, "different lengths: 'a' 1, 'b' 2"),
        ({"a": [object()]}, "holds a object in row 0"),
        ({"a": [[1], "x"]}, "holds a list in row 0"),
        (_nested(5000), "nests lists more than 6 deep"),
        (np.ones(4)[0:0].reshape(0, 2, 2), "holds nothing"),
        (np.ones((5, 3)), "rows of 3 numbers are no images, and very short for series"),
        (np.full((2, 4, 4, 3), -7.5), "Scale them"),
        (np.ones((2, 5, 5, 9)), "1, 3 or 4 channels"),
        (np.full((2, 9), np.nan), "no finite number"),
        (Tensor(np.ones((2, 9)), fails=True), "does not become a NumPy array .*cuda"),
        ((each for each in "ab"), "generator cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_way_out(data, words):
    with pytest.raises(DataError, match=words):
        table_of(data)


def test_halves_between_0_and_255_are_pixels():
    assert len(table_of(np.full((2, 4, 4, 3), 7.5))) == 2


def test_a_stream_is_refused_with_a_way_out():
    with pytest.raises(DataError, match=r"without\s+streaming=True"):
        table_of(_stream())


@pytest.mark.parametrize(
    ("targets", "words"), [([1], "2 inputs but 1 targets"), ("label", "give one for each row"), (7, "of the type int")]
)
def test_targets_that_do_not_fit_are_refused(targets, words):
    with pytest.raises(DataError, match=words):
        table_of(["a", "b"], targets)


CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.binary(max_size=4), st.dates(),
    st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=3), st.none()), max_size=3),
    st.lists(st.lists(st.floats(), max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.just(np.float32(1.5)), st.just(np.ones(3)), st.just(np.ones((2, 9))), st.just(pd.NA), st.just(object()),
)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(st.dictionaries(st.sampled_from(["a", "b", "", "label"]), CELLS, max_size=4), max_size=8),
    as_frame=st.booleans(),
)
def test_whatever_the_cells_hold_there_is_a_table_or_a_sentence(rows, as_frame):
    try:
        table = table_of(pd.DataFrame(rows) if as_frame else rows)
    except SeedbedError:
        return
    assert len(table) == len(rows)
    assert table.rows.with_format("arrow")[:].num_rows == len(rows)


def test_what_was_read_can_be_interpreted(tmp_path):
    images = interpret(table_of(_pixels(12, 8, 8), np.arange(12) % 2), Schema(), tmp_path)
    assert (images.modality, images.kind, len(images)) == ("image", "classification", 12)
    series = interpret(table_of(RNG.normal(size=(12, 2, 40)), RNG.normal(size=12)), Schema(), tmp_path)
    assert (series.modality, series.kind) == ("series", "regression")
    films = [f"a good film, number {number}" for number in range(12)]
    texts = interpret(table_of({"text": films, "label": ["x", "y"] * 6}), Schema(), tmp_path)
    assert (texts.modality, texts.kind) == ("text", "classification")
