from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outcomes import outcome

from seedbed import NoOptions
from seedbed.core.data.dataset import ReadContext, Table
from seedbed.core.errors import DataError
from seedbed.plugins.readers import jsonlines, jsonrows
from seedbed.plugins.readers.jsonlines import build, peek


@pytest.fixture
def read(tmp_path):
    def read(content: object, name: str = "a.jsonl") -> Table:
        file = tmp_path / name
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return build(NoOptions()).read(str(file), ReadContext(cache=tmp_path / "cache"))

    return read


@pytest.mark.parametrize(
    ("values", "kind", "stored"),
    [
        ([1, 2], "int64", [1, 2]),
        ([1, 2.5, None], "double", [1.0, 2.5, None]),
        ([9007199254740993, 0.5], "double", [9007199254740992.0, 0.5]),
        ([10**400, 0.5], "double", [float("inf"), 0.5]),
        ([True, None], "bool", [True, None]),
        ([1, True], "string", ["1", "true"]),
        (["a", 1, 2.5, None], "string", ["a", "1", "2.5", None]),
        ([10**30, 1], "string", [str(10**30), "1"]),
        ([None, None], "string", [None, None]),
        ([{"k": [1]}, None], "string", ['{"k": [1]}', None]),
        ([[1, 2], [3]], "list<item: int64>", [[1, 2], [3]]),
        ([[1, 2.5], [], None], "list<item: double>", [[1.0, 2.5], [], None]),
        ([["a", "b"], ["c"]], "list<item: string>", [["a", "b"], ["c"]]),
        ([["a", 1], [None]], "list<item: string>", [["a", "1"], [None]]),
        ([[[1, 2], [3.5, None]]], "list<item: list<item: double>>", [[[1.0, 2.0], [3.5, None]]]),
        ([[[[[1]]]]], "list<item: list<item: list<item: string>>>", [[[["[1]"]]]]),
        ([[1], 2], "string", ["[1]", "2"]),
        ([[], []], "list<item: double>", [[], []]),
    ],
)
def test_types_fit_every_value(read, values: list[object], kind: str, stored: list[object]) -> None:
    table = read([{"v": value, "other": 0} for value in values])
    assert str(table.rows.data.table.schema.field("v").type) == kind
    assert table.rows["v"][:] == stored


def test_a_late_row_settles_a_type(read, monkeypatch) -> None:
    monkeypatch.setattr(jsonlines, "_BATCH_ROWS", 10)
    table = read([{"n": n} for n in range(100)] + [{"n": "x", "new": 1.5}])
    assert table.rows["n"][:] == [*map(str, range(100)), "x"]
    assert table.rows["new"][:] == [None] * 100 + [1.5]
    assert "became text in 1 column: 'n'" in table.findings[0].evidence


def test_nan_and_infinity_as_python_writes_them_are_numbers(read) -> None:
    table = read('{"s": [1, NaN, -Infinity]}\n{"s": [2]}\n')
    assert str(table.rows["s"][:]) == "[[1.0, nan, -inf], [2.0]]"


def test_of_equal_keys_the_last_counts(read) -> None:
    assert read('{"a": 1, "a": 2}\n').rows["a"][:] == [2]


def test_bad_lines_are_left_out_and_named(read) -> None:
    deep = '{"a":' + "[" * 50_000 + "]" * 50_000 + "}"
    lines = ['{"a": 1}', "", "null", '{"a": 2', "[1]", deep, '{"a": 3}', '{"a": 4}', '{"a": 5}', '{"a": 6}']
    table = read("\n".join(lines))
    assert table.rows["a"][:] == [1, 3, 4, 5, 6]
    (finding,) = table.findings
    assert (finding.rows, finding.count) == (("line 3", "line 4", "line 5", "line 6"), 4)
    assert "line 3 is no object but null; line 4 is no JSON" in finding.evidence


def test_findings_come_again_from_the_cache(read, tmp_path, monkeypatch) -> None:
    content = '{"a": 1}\nnull\n{"a": 2}\n'
    first = read(content)
    monkeypatch.setattr("seedbed.core.data.reading.arrowfile.Sink", None)  # nothing can be written any more
    again = build(NoOptions()).read(first.source, ReadContext(cache=tmp_path / "cache"))
    assert again.findings == first.findings != ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_are_read(read, encoding: str) -> None:
    assert read('{"text": "Café"}\n{"text": "日本"}\n'.encode(encoding)).rows["text"][:] == ["Café", "日本"]


def test_bytes_and_surrogates_that_are_no_text_are_replaced(read) -> None:
    assert read(b'{"t": "a\xffb"}\n{"t": "\\ud800"}\n').rows["t"][:] == ["a\ufffdb", "?"]


@pytest.mark.parametrize(
    "content",
    [
        '[{"a": 1},\n {"a": 2}]',
        '[{"a": 1}, {"a": 2}]',
        '{"data": [{"a": 1}, {"a": 2}], "version": 1}',
        '{\n"rows": [\n{"a": 1},\n{"a": 2}]}',
        '{"a": 1}\n{"a": 2}\n',
    ],
)
def test_a_json_file_may_hold_a_list_or_lines(read, content: str) -> None:
    assert read(content, "a.json").rows["a"][:] == [1, 2]


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (b"", "a.jsonl", "is empty"),
        (b" \n ", "a.jsonl", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "a.jsonl", "line 1 is no JSON"),
        (b"[1, 2]\n[3, 4]\n", "a.jsonl", "line 1 is no object but a list"),
        (b"text,label\nso good,pos\n", "a.jsonl", "Expected is one object a line"),
        (b"[" * 100_000, "a.json", "is nested too deep"),
        (b'[{"a": 1},', "a.json", "is no JSON"),
        (b"[]", "a.json", "has no rows"),
        (b"17", "a.json", "is a number, and not a list of rows"),
        (b"{}\n{}\n", "a.jsonl", "has no rows"),
        (b'{"a": {"0": 1}, "b": {"0": 2}}', "a.json", "one object with the keys a, b.*orient='records'"),
        (json.dumps({f"k{n}": n for n in range(10_001)}).encode(), "a.jsonl", "more than 10,000 different keys"),
    ],
)
def test_what_is_no_table_is_said_in_a_sentence(read, content: bytes, name: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read(content, name)


def test_a_list_too_large_for_memory_says_how_to_write_lines(read, monkeypatch) -> None:
    monkeypatch.setattr(jsonrows, "LARGEST_LIST_BYTES", 20)
    with pytest.raises(DataError, match=r"jq -c '\.\[\]' a\.json > a\.jsonl"):
        read('[{"a": 1}, {"a": 2}, {"a": 3}]', "a.json")


def test_a_line_without_end_is_not_gathered_in_memory(read, monkeypatch) -> None:
    monkeypatch.setattr(jsonrows, "LONGEST_LINE_BYTES", 1000)
    with pytest.raises(DataError, match="line 2 has more than 1,000 bytes"):
        read('{"a": 1}\n{"a": "' + "x" * 2000)


def test_peeking_gives_texts_and_numbers(tmp_path) -> None:
    (tmp_path / "a.jsonl").write_text('{"file": "a.png", "n": 7, "list": [1]}\n' * 500)
    assert peek(tmp_path / "a.jsonl") == {"file": ["a.png"] * 200, "n": ["7"] * 200}


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "", " a"]), VALUE, min_size=1), min_size=1, max_size=6))
def test_any_objects_are_a_table_with_a_row_each(tmp_path_factory, rows: list[dict[str, object]]) -> None:
    folder = tmp_path_factory.mktemp("a")  # a new one each time: equal sizes and times would be found in the cache
    file = folder / "a.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert len(build(NoOptions()).read(str(file), ReadContext(cache=folder / "cache"))) == len(rows)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=100) | st.text(st.sampled_from('{}[]":,1a\\\n'), max_size=40).map(str.encode))
def test_any_bytes_are_a_table_or_a_sentence(tmp_path, content: bytes) -> None:
    for name in ("a.jsonl", "a.json"):
        file = Path(tmp_path) / name
        file.write_bytes(content)
        assert outcome(build, file) in ("rows", "sentence")


def test_a_row_of_a_list_that_is_no_use_costs_no_other(read) -> None:
    table = read('[{"a": "x y"}, 7, {"a": "\\ud800"}]', "a.json")
    assert table.rows["a"] == ["x y", "?"]
    assert "line 2 is no object but a number" in table.findings[0].evidence


def test_a_row_of_a_list_may_be_as_long_as_a_line(read, monkeypatch) -> None:
    monkeypatch.setattr(jsonrows, "LONGEST_LINE_BYTES", 60)
    table = read(json.dumps([{"a": "x"}, {"a": "y" * 80}, {"a": "z"}]), "a.json")
    assert table.rows["a"] == ["x", "z"]
    assert "line 2 has more than 60 bytes" in table.findings[0].evidence


def test_a_list_with_what_only_python_writes_is_read_if_it_is_small(read, monkeypatch) -> None:
    content = '{"data": [{"a": NaN}, {"a": 1.5}], "n": 2}'
    assert read(content, "a.json").rows["a"][1] == 1.5
    monkeypatch.setattr(jsonrows, "LONGEST_LINE_BYTES", 10)
    with pytest.raises(DataError, match="is no JSON"):
        read(content + " ", "a.json")


def test_rows_of_several_channels_are_written_in_several_pieces(read) -> None:
    """As Python's objects 16,384 of them would take gigabytes."""
    table = read([{"series": [[0.5] * 100_000] * 4} for _ in range(8)])
    assert table.rows.data.table.column("series").num_chunks > 1
