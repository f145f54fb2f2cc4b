from __future__ import annotations

from collections.abc import Callable, Sequence

import datasets
import numpy as np
import pyarrow as pa
import pytest
from datasets.features.features import Array2DExtensionType
from prepared_files import prepared_series

from seedbed import Dataset, Finding, NoOptions
from seedbed.core.data.check import input_of
from seedbed.core.data.prepared import Prepared, PreparedText
from seedbed.core.data.repair import Repair, repaired
from seedbed.core.data.targets import Targets
from seedbed.plugins.checks import values as module
from seedbed.plugins.checks.values import constant_columns, constant_series, missing_values, unequal_lengths

NAN = float("nan")
Told = Callable[..., list[Finding | Repair]]


def look(build: Callable, prepared: Prepared, modality: str, columns: dict[str, object]) -> list[Finding | Repair]:
    table = pa.table({**columns, "target": ["a"] * prepared.rows, "part": [""] * prepared.rows})
    dataset = Dataset(rows=datasets.Dataset(table), modality=modality, source="here", name="here")
    return list(build(NoOptions())(input_of(dataset, prepared)))


@pytest.fixture
def of_columns(tmp_path) -> Told:
    """What a check says of a table of texts with these columns beside them."""

    def find(build: Callable, columns: dict[str, Sequence], texts: Sequence | None = None) -> list[Finding | Repair]:
        count = len(next(iter(columns.values()), texts or []))
        np.save(tmp_path / "characters.npy", np.full(count, 5, dtype=np.int32))
        texts = [f"text {row}" for row in range(count)] if texts is None else texts
        beside = {f"column:{name}": values for name, values in columns.items()}
        return look(build, PreparedText(folder=tmp_path, rows=count, fingerprint=""), "text", {"text": texts, **beside})

    return find


@pytest.fixture
def of_series(tmp_path) -> Told:
    """What a check says of series, each an array (T,) or (T, C); an empty one is unreadable."""

    def find(build: Callable, series: Sequence[Sequence]) -> list[Finding | Repair]:
        steps = [np.asarray(each, dtype=np.float32) for each in series]
        width = next((each.shape[1] for each in steps if each.ndim == 2), 1)
        steps = [each.reshape(len(each), width) for each in steps]
        empty = [(row, "holds no values") for row, each in enumerate(steps) if not len(each)]
        prepared = prepared_series(tmp_path, steps, empty)
        return look(build, prepared, "series", {"series": [each.T.tolist() for each in steps]})

    return find


def test_columns_with_one_value_throughout_are_named(of_columns) -> None:
    (finding,) = of_columns(
        constant_columns, {"year": [2020] * 5, "name": list("abcde"), "city": ["Rome"] * 5, "on": [True] * 5}
    )
    assert finding.severity == "info"
    assert finding.rows == ("year", "city", "on")
    assert finding.count == 3
    assert "year, city, on" in finding.evidence


def test_a_column_that_differs_in_its_last_row_is_not_constant(of_columns) -> None:
    assert of_columns(constant_columns, {"year": [2020] * 4 + [2021]}) == []


def test_a_column_with_gaps_is_not_constant(of_columns) -> None:
    assert of_columns(constant_columns, {"year": [2020, None, 2020], "none": pa.array([None] * 3, pa.string())}) == []


def test_one_row_is_too_few_to_call_a_column_constant(of_columns) -> None:
    assert of_columns(constant_columns, {"year": [2020]}) == []


def test_a_column_in_many_pieces_is_read_to_its_end(of_columns) -> None:
    pieces = pa.chunked_array([[1, 1], pa.array([], pa.int64()), [1], [2]])
    assert of_columns(constant_columns, {"same until the end": pieces}) == []
    (finding,) = of_columns(constant_columns, {"same": pa.chunked_array([[1, 1], pa.array([], pa.int64()), [1, 1]])})
    assert finding.rows == ("same",)


def test_the_target_and_the_parts_are_no_business_of_this_check(of_columns) -> None:
    assert of_columns(constant_columns, {"name": list("abc")}) == []  # the target of all rows is "a"


def test_texts_that_are_all_the_same_are_an_error(of_columns) -> None:
    found = of_columns(constant_columns, {"year": [1, 2, 3]}, ["the same"] * 3)
    assert [(each.severity, each.rows) for each in found] == [("error", ())]
    assert "--input" in found[0].remedy


ODD_COLUMNS = [
    pa.nulls(4),
    [[1, 2]] * 4,
    [{"a": 1}] * 4,
    pa.array([b"\xff"] * 4),
    pa.array([b"\xff"] * 4, pa.large_binary()),
    np.ones(4, dtype=np.float16),
    pa.ExtensionArray.from_storage(
        Array2DExtensionType((1, 2), "float32"), pa.array([[[1.0, 2.0]]] * 4, pa.list_(pa.list_(pa.float32())))
    ),
]
NAMES_OF_ODD = ["nulls", "lists", "structs", "bytes", "large bytes", "halves", "matrices"]


@pytest.mark.parametrize("values", ODD_COLUMNS, ids=NAMES_OF_ODD)
@pytest.mark.parametrize("build", [constant_columns, missing_values])
def test_a_column_of_any_type_does_not_hide_another(of_columns, build, values) -> None:
    plain = [7] * 4 if build is constant_columns else [None, 1, 2, 3]
    (finding,) = of_columns(build, {"odd": values, "plain": plain})
    assert "plain" in finding.rows


@pytest.mark.parametrize(
    "values",
    [pa.array(["a"] * 4).dictionary_encode(), pa.array(["a"] * 4, pa.large_string()), [0.1] * 4],
    ids=["dictionary", "large strings", "fractions"],
)
def test_one_value_is_one_value_however_it_is_stored(of_columns, values) -> None:
    (finding,) = of_columns(constant_columns, {"same": values})
    assert finding.rows == ("same",)


def test_missing_cells_are_counted_for_each_column(of_columns) -> None:
    (finding,) = of_columns(missing_values, {"age": [1, None, 3, None], "name": list("abcd"), "city": [None, *"xyz"]})
    assert finding.severity == "info"
    assert finding.rows == ("age", "city")
    assert finding.count == 2
    assert "'age' (2, 50.0%)" in finding.evidence
    assert "'city' (1, 25.0%)" in finding.evidence


def test_cells_that_are_no_numbers_and_empty_strings_are_missing_too(of_columns) -> None:
    (finding,) = of_columns(missing_values, {"age": [1.0, NAN, 3.0], "city": ["Rome", "", ""]})
    assert "'age' (1, 33.3%)" in finding.evidence
    assert "'city' (2, 66.7%)" in finding.evidence


def test_whole_columns_are_not_worth_a_word(of_columns) -> None:
    assert of_columns(missing_values, {"age": [1.5, 2.5], "name": ["a", "b"]}) == []


def test_of_many_columns_the_first_are_shown_and_all_are_named(of_columns) -> None:
    (finding,) = of_columns(missing_values, {f"c{number}": [None, 1] for number in range(30)})
    assert finding.count == 30
    assert len(finding.rows) == 30
    assert "'c9'" in finding.evidence
    assert "'c10'" not in finding.evidence
    assert finding.evidence.endswith("…")


def test_series_with_values_that_are_missing_are_named_with_the_share(of_series) -> None:
    (finding,) = of_series(missing_values, [[1, 2, NAN, 4], [1, 2, 3, 4], [NAN, NAN, 3, 4]])
    assert finding.rows == ("row 0", "row 2")
    assert finding.count == 2
    assert "2 of 3 series" in finding.evidence
    assert "25.00% of all values" in finding.evidence
    assert finding.severity == "warning"


def test_a_few_missing_values_are_told_as_a_note(of_series) -> None:
    (finding,) = of_series(missing_values, [[1, NAN, *range(98)], list(range(100))])
    assert finding.severity == "info"
    assert finding.rows == ("row 0",)


def test_missing_values_are_found_in_any_channel_and_at_the_ends_of_rows(of_series) -> None:
    (finding,) = of_series(missing_values, [[[1, 2], [3, NAN]], [[5, 6], [7, 8]], [[NAN, 1], [2, 3]]])
    assert finding.rows == ("row 0", "row 2")


def test_whole_series_are_not_worth_a_word(of_series) -> None:
    assert of_series(missing_values, [[1, 2], [3, 4]]) == []
    assert of_series(constant_series, [[1, 2], [3, 4]]) == []
    assert of_series(unequal_lengths, [[1, 2], [3, 4]]) == []


def test_series_that_never_change_are_found_and_may_be_left_out(of_series) -> None:
    (found,) = of_series(constant_series, [[1, 2, 3], [5, 5, 5], [0, 0], [1, 1, 2]])
    assert isinstance(found, Repair)
    assert found.finding.rows == ("row 1", "row 2")
    assert found.finding.severity == "warning"
    assert found.drop.tolist() == [1, 2]
    assert not found.is_safe


def test_series_side_by_side_are_judged_each_for_itself(of_series) -> None:
    (found,) = of_series(constant_series, [[1, 1], [2, 2], [2, 3], [3, 3], [4, 4]])
    assert found.drop.tolist() == [0, 1, 3, 4]


def test_a_series_with_one_channel_that_changes_is_not_constant(of_series) -> None:
    (found,) = of_series(constant_series, [[[1, 7], [2, 7]], [[1, 7], [1, 7]]])
    assert found.drop.tolist() == [1]


def test_series_of_one_step_are_not_called_constant(of_series) -> None:
    assert of_series(constant_series, [[5], [6], [1, 2]]) == []


def test_a_channel_that_is_missing_throughout_does_not_change(of_series) -> None:
    (found,) = of_series(constant_series, [[[1, NAN], [1, NAN]], [[1, NAN], [1, 5]]])
    assert found.drop.tolist() == [0]


def test_series_that_cannot_be_used_are_left_to_others(of_series) -> None:
    (found,) = of_series(constant_series, [[], [5, 5], []])
    assert found.drop.tolist() == [1]
    assert of_series(unequal_lengths, [[], [5, 5], [1, 2]]) == []


@pytest.mark.parametrize("at_once", [1, 2, 3, 7])
def test_it_does_not_matter_where_the_blocks_end(of_series, monkeypatch, at_once) -> None:
    monkeypatch.setattr(module, "_VALUES_AT_ONCE", at_once)
    series = [[1, 1, 1], [1, 2], [2, 2, 2, 2], [3], [NAN, 4], [4, 4], [4, 4, 4, 5]]
    (gaps,) = of_series(missing_values, series)
    assert gaps.rows == ("row 4",)
    (constant,) = of_series(constant_series, series)
    assert constant.drop.tolist() == [0, 2, 5]


def test_leaving_constant_series_out_leaves_the_others_in(of_series) -> None:
    (found,) = of_series(constant_series, [[1, 2], [5, 5]])
    targets = Targets(kind="classification", values=np.zeros(2, dtype=np.int64), classes=("a",))
    assert repaired([found], targets, np.ones(2, dtype=bool), "safe").usable.tolist() == [True, True]
    assert repaired([found], targets, np.ones(2, dtype=bool), "all").usable.tolist() == [True, False]


def test_unequal_lengths_are_told_with_the_span_and_the_usual(of_series) -> None:
    (finding,) = of_series(unequal_lengths, [range(10), range(12), range(14)])
    assert finding.severity == "info"
    assert "from 10 to 14 steps" in finding.evidence
    assert "up to 12" in finding.evidence
    assert finding.rows == ()


def test_series_far_from_the_usual_length_are_named(of_series) -> None:
    usual = [range(20)] * 60
    (finding,) = of_series(unequal_lengths, [range(4), *usual, range(81), range(80), range(5)])
    assert finding.rows == ("row 0", "row 61")
    assert finding.count == 2
    assert finding.severity == "info"


def test_many_far_from_the_usual_length_are_a_warning(of_series) -> None:
    (finding,) = of_series(unequal_lengths, [range(20)] * 8 + [range(2)] * 2)
    assert finding.severity == "warning"
    assert finding.count == 2


def test_of_many_rows_some_are_named_and_all_counted(of_series, monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_NAMED", 3)
    (found,) = of_series(constant_series, [[1, 1]] * 5 + [[1, 2]])
    assert (len(found.finding.rows), found.finding.count, len(found.drop)) == (3, 5, 5)
    (gaps,) = of_series(missing_values, [[NAN, 1]] * 5)
    assert (len(gaps.rows), gaps.count) == (3, 5)


@pytest.mark.parametrize("build", [constant_series, unequal_lengths])
def test_what_is_asked_of_series_is_not_asked_of_texts(of_columns, build) -> None:
    assert of_columns(build, {"a": [1, 2]}) == []
