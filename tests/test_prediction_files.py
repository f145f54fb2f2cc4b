from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from seedbed.core.data.inference.cells import separator_of, split_labels
from seedbed.core.errors import UsageError
from seedbed.prediction_files import covered, encode, prediction_rows, promise

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


def test_candidates_are_joined_in_a_cell_and_listed_in_json():
    sets = [["dog"], ["cat", "dog"], None]
    rows = prediction_rows(list("abc"), ["dog", None, None], None, ("cat", "dog"), candidates=sets)
    assert lines(rows) == [
        {"input": "a", "prediction": "dog", "candidates": "dog"},
        {"input": "b", "prediction": "", "candidates": "cat|dog"},
        {"input": "c", "prediction": "", "candidates": ""},
    ]
    assert [each["candidates"] for each in json.loads(encode(rows, "json"))] == sets


def test_candidates_are_joined_by_what_no_class_holds():
    rows = prediction_rows(["a"], [None], None, ("a|b", "c"), candidates=[["a|b", "c"]])
    assert lines(rows)[0]["candidates"] == "a|b;c"


def test_values_stand_between_low_and_high_and_what_cannot_be_read_nowhere():
    bounds = np.array([[0.5, 1.5], [np.nan, np.nan]])
    rows = prediction_rows(["a", "b"], [1.0, None], None, (), bounds=bounds)
    assert lines(rows) == [
        {"input": "a", "prediction": "1.0", "low": "0.5", "high": "1.5"},
        {"input": "b", "prediction": "", "low": "", "high": ""},
    ]


def test_what_is_promised_counts_the_unanswered_apart_from_the_unreadable():
    assert promise(["cat", None, None], 0.05, 1, is_number=False) == (
        "1 of 3 rows are left unanswered. Of 100 rows the truth is missing from the candidates in at most 5, "
        "if the new rows are like those of training."
    )
    assert promise([1.0, None], 0.025, 1, is_number=True).startswith(
        "Of 100 rows the truth lies outside of low to high in at most 2.5, if"
    )


def test_what_sets_came_to_is_said_in_a_sentence():
    found = {"level": 0.05, "coverage": 0.96, "strict": 0.96, "answered": 0.8, "error": 0.025}
    assert covered(found) == (
        "At --abstain 0.05: the candidates of 96.0% of the rows hold the truth; 80.0% are answered, 2.5% of these "
        "wrongly."
    )
    assert "held by the sets or intervals of 96.0%" in covered(found | {"error": None})
