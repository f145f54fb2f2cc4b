from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from seedbed.core.data.inference.cells import separator_of, split_labels
from seedbed.core.errors import UsageError
from seedbed.prediction_files import encode, prediction_rows

CLASSES = ("action", "drama", "war")


def lines(rows):
    return list(csv.DictReader(io.StringIO(encode(rows, "csv").decode())))


def test_labels_are_joined_in_a_cell_and_listed_in_json():
    outputs = np.array([[0.75, 0.5, 0.25], [0.0, 0.0, 0.0]], np.float32)
    rows = prediction_rows(["a", "b"], [["action", "drama"], []], outputs, CLASSES)
    assert lines(rows) == [
        {"input": "a", "prediction": "action;drama", "p_action": "0.75", "p_drama": "0.5", "p_war": "0.25"},
        {"input": "b", "prediction": "", "p_action": "0.0", "p_drama": "0.0", "p_war": "0.0"},
    ]
    for form in ("json", "jsonl"):
        text = encode(rows, form).decode()
        found = json.loads(text) if form == "json" else [json.loads(line) for line in text.splitlines()]
        assert [each["prediction"] for each in found] == [["action", "drama"], []]


@pytest.mark.parametrize(
    ("classes", "cell"),
    [
        (("a", "b;c"), "a|b;c"),
        (("a|b", "c;d"), "a|b,c;d"),
        (("a|b,", "c;d"), '["a|b,", "c;d"]'),
    ],
)
def test_a_separator_that_a_label_holds_is_not_used(classes, cell):
    (row,) = lines(prediction_rows(["x"], [list(classes)], None, classes))
    assert row["prediction"] == cell


def test_joined_labels_are_read_again_as_labels():
    given = [["action", "war"], ["drama"], ["action", "drama"], ["war", "drama"]] * 5
    cells = [row["prediction"] for row in lines(prediction_rows(list("abcd") * 5, given, None, CLASSES))]
    assert [split_labels(cell, separator_of(cells)) for cell in cells] == given


def test_a_value_is_a_number_in_every_form():
    rows = prediction_rows(["a", "b", "c"], [np.float32(0.1), 3.0, None], None, ())
    assert [row["prediction"] for row in lines(rows)] == ["0.100000001", "3.0", ""]
    assert [each["prediction"] for each in json.loads(encode(rows, "json"))] == [0.100000001, 3.0, None]


def test_values_have_no_probabilities():
    with pytest.raises(UsageError, match="leave --proba out"):
        prediction_rows(["a"], [0.5], np.array([0.5], np.float32), ())


@pytest.mark.parametrize("found", ["cat", 1.5, ["cat"]])
def test_what_cannot_be_read_is_empty_and_null(found):
    rows = prediction_rows(["a", "b"], [None, found], None, ("cat",))
    assert lines(rows)[0]["prediction"] == ""
    assert json.loads(encode(rows, "json"))[0]["prediction"] is None
