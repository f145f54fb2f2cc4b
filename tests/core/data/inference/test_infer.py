from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest

from seedbed.core.data.inference.facts import measure_columns
from seedbed.core.data.inference.infer import Reading, check_names, infer, merged
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError, UnknownName, UsageError

TEXTS = [f"a short text that is number {n}" for n in range(300)]
RNG = np.random.default_rng(0)


def read(columns: dict, *, need_target: bool = True, **wanted: object) -> Reading:
    rows = datasets.Dataset(pa.table(columns))
    return infer(measure_columns(rows, Path("/nowhere")), Schema(**wanted), "data.csv", need_target=need_target)


def about(reading: Reading, column: str) -> str:
    (found,) = [f for f in reading.findings if f.evidence.startswith(f"Column `{column}`")]
    return f"{found.severity}: {found.evidence} {found.remedy}"


def kind_of(values: object, name: str = "label") -> str:
    return str(read({"text": TEXTS, name: values}).schema.kind)


def test_the_kind_follows_the_values() -> None:
    assert kind_of(["a", "b", "c"] * 100) == "classification"
    assert kind_of([True, False, True] * 100) == "classification"
    assert kind_of(RNG.integers(0, 3, 300)) == "classification"
    assert kind_of(RNG.integers(0, 3, 300).astype(float)) == "classification"
    assert kind_of(RNG.normal(size=300)) == "regression"
    assert kind_of(RNG.integers(0, 10_000, 300)) == "regression"
    assert kind_of([str(number) for number in RNG.normal(size=300)]) == "regression"
    assert kind_of([["a"], ["a", "b"], []] * 100) == "multilabel"
    assert kind_of(["a;b", "b", "c;a"] * 100) == "multilabel"


def test_many_class_numbers_are_classes_if_they_are_complete_and_recur() -> None:
    assert kind_of(np.arange(300) % 30) == "classification"
    assert kind_of(np.arange(300) % 30 * 2) == "regression"
    assert kind_of(np.arange(300) % 100) == "regression"


def test_a_close_call_names_the_other_kind() -> None:
    assert "Say --task" not in about(read({"text": TEXTS, "label": RNG.integers(0, 3, 300)}), "label")
    stars = about(read({"text": TEXTS, "stars": RNG.integers(1, 6, 300)}), "stars")
    assert stars.startswith("warning: Column `stars`: 5 values over 300 rows, whole numbers → classification")
    assert "If it is regression, say --task regression." in stars
    halves = about(read({"text": TEXTS, "label": RNG.integers(1, 10, 300) / 2}), "label")
    assert "If it is classification, say --task classification." in halves


def test_the_target_is_found_by_name_then_place_then_few_values() -> None:
    first = {"label": ["a", "b", "c"] * 100, "text": TEXTS, "size": RNG.integers(0, 9, 300)}
    assert read(first).schema.target == "label"
    last = {"this": ["a", "b", "c"] * 100, "text": TEXTS, "that": ["x", "y"] * 150}
    assert read(last).schema.target == "that"
    assert 'Or is it --target "this"?' in about(read(last), "that")
    middle = {"this": ["a", "b", "c"] * 100, "that": ["x", "y"] * 150, "text": TEXTS}
    assert read(middle).schema.target == "that"


@pytest.mark.parametrize(
    ("name", "values"),
    [("id", RNG.permutation(300)), ("row", np.arange(300)), ("label", ["one"] * 300), ("code", list(map(str, TEXTS)))],
)
def test_what_tells_rows_apart_or_is_constant_is_no_target(name: str, values: object) -> None:
    assert read({"text": TEXTS, "kind": ["a", "b"] * 150, name: values}).schema.target == "kind"


def test_flags_are_labels_of_one_row_on_request_alone() -> None:
    columns = {"text": TEXTS, "rude": [0, 1] * 150, "loud": [1, 0] * 150}
    reading = read(columns)
    assert (reading.schema.target, reading.schema.kind) == ("loud", "classification")
    assert '--target "loud,rude"' in about(reading, "loud")
    assert read(columns, target="rude,loud").targets == ("rude", "loud")
    with pytest.raises(DataError, match="holds yes or no as 1 or 0"):
        read({**columns, "size": [1, 5, 9] * 100}, target="rude,size")
    with pytest.raises(UsageError, match="learns one column, but --target names 2"):
        read(columns, target="rude,loud", kind="regression")


def test_no_target_lists_the_columns_with_their_facts() -> None:
    with pytest.raises(DataError, match=r"`number` \(integer, 1 value over 300 rows\).*--target"):
        read({"text": TEXTS, "number": [1] * 300})


def test_a_table_of_measurements_is_declined_in_words() -> None:
    columns = {"age": RNG.integers(0, 90, 300), "sex": ["m", "f"] * 150, "height": RNG.normal(size=300)}
    with pytest.raises(
        DataError, match=r"a table of numbers and categories: `age` \(integer.*tabular learner.*--input"
    ):
        read(columns)
    reading = read(columns, modality="series", inputs=("age", "height"), target="sex")
    assert (reading.layout, reading.schema.inputs) == ("wide", ("age", "height"))


def test_two_readings_of_the_input_are_told() -> None:
    columns = {"text": TEXTS, "sound": [[1.0, 2.0, 3.0]] * 300, "label": ["a", "b", "c"] * 100}
    reading = read(columns)
    assert reading.schema.modality == "series"
    assert "warning" in about(reading, "sound")
    assert "--modality text --input text" in about(reading, "sound")
    assert read(columns, modality="text").schema.inputs == ("text",)


def test_single_words_are_text_where_there_is_nothing_else() -> None:
    reading = read({"surname": [f"Smith{n}" for n in range(300)], "country": ["a", "b", "c"] * 100})
    assert reading.schema.inputs == ("surname",)
    assert about(reading, "surname").startswith("warning")


def series(outer: int | None, inner: int | None) -> list:
    rng = np.random.default_rng(0)
    sizes = [(outer or int(rng.integers(4, 20)), inner or int(rng.integers(4, 20))) for _ in range(300)]
    return [np.zeros(size).tolist() for size in sizes]


@pytest.mark.parametrize(
    ("outer", "inner", "layout"),
    [(3, 50, "channels"), (3, None, "channels"), (12, None, "channels"), (None, 3, "steps_first"),
     (50, 3, "steps_first"), (12, 10, "channels")],
)  # fmt: skip
def test_steps_are_told_from_channels_by_what_varies(outer: int | None, inner: int | None, layout: str) -> None:
    reading = read({"x": series(outer, inner), "label": ["a", "b", "c"] * 100})
    assert reading.layout == layout
    told = [f for f in reading.findings if "are read as" in f.evidence]
    assert bool(told) == (layout == "steps_first" or (outer or 0) > (inner or 99))


def test_a_layout_that_is_known_holds_for_rows_that_do_not_show_it() -> None:
    learnt = read({"x": series(None, 3), "label": ["a", "b", "c"] * 100}).schema
    one_row = {"x": [np.zeros((4, 3)).tolist()]}
    assert read(one_row, need_target=False).layout == "channels"
    again = read(
        one_row, need_target=False, **{name: getattr(learnt, name) for name in ("modality", "inputs", "layout")}
    )
    assert again.layout == "steps_first"


def test_a_layout_is_not_kept_for_other_columns() -> None:
    known = Schema(modality="series", inputs=("x",), target="label", layout="steps_first")
    assert merged(Schema(inputs=("y",)), known).layout == ""
    assert merged(Schema(modality="text"), known).layout == ""
    assert merged(Schema(target="other"), known).layout == "steps_first"


def test_columns_of_pixels_are_a_series_with_a_warning() -> None:
    reading = read({"label": RNG.integers(0, 3, 300), **{f"pixel{n}": RNG.integers(0, 255, 300) for n in range(16)}})
    assert len(reading.schema.inputs) == 16
    assert any("look like the pixels of images" in f.evidence for f in reading.findings)


def test_a_column_of_parts_is_taken_only_if_all_its_values_are_known() -> None:
    columns = {"text": TEXTS, "label": ["a", "b", "c"] * 100}
    assert read({**columns, "split": ["train", "test", "Validation"] * 100}).schema.part == "split"
    assert read({**columns, "split": ["train", "test", "unsup"] * 100}).schema.part == ""
    assert read({**columns, "fold": [0, 1, 2] * 100}).schema.part == ""
    with pytest.raises(DataError, match=r"such as 'unsup'.*Expected are train, valid and test"):
        read({**columns, "split": ["train", "test", "unsup"] * 100}, part="split")


def test_a_column_that_is_not_there_is_guessed_at() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'label'"):
        check_names(Schema(target="labl"), ["text", "label"], need_target=True)
    check_names(Schema(target="labl"), ["text", "label"], need_target=False)
    with pytest.raises(UsageError, match="cannot be input and target"):
        check_names(Schema(target="text", inputs=("text",)), ["text", "label"], need_target=True)
    with pytest.raises(UnknownName):
        check_names(Schema(inputs=("",)), ["text"], need_target=True)


def test_wishes_take_the_place_of_what_no_longer_fits() -> None:
    known = Schema(modality="image", inputs=("file",), target="label", kind="classification")
    assert merged(Schema(target="file"), known) == Schema(modality="image", target="file")
    assert merged(Schema(modality="text"), known).inputs == ()
    assert merged(Schema(inputs=("label",)), known) == Schema(inputs=("label",))


def test_counts_are_exact_and_claim_no_more() -> None:
    rows = datasets.Dataset(pa.table({"number": np.arange(70_000), "word": ["", "a"] * 35_000}))
    facts = measure_columns(rows, Path("/nowhere"))
    assert facts["number"].shown_distinct.endswith("values or more over 70,000 rows")
    assert facts["word"].missing == 35_000
    assert facts["word"].shown_distinct == "1 value over 35,000 rows"
