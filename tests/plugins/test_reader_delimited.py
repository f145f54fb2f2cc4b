from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outcomes import outcome

from seedbed import NoOptions
from seedbed.core.data.dataset import ReadContext, Table
from seedbed.core.errors import DataError
from seedbed.plugins.readers import cells, dialect
from seedbed.plugins.readers.cells import BadLines, NeedsCare, carefully, quickly
from seedbed.plugins.readers.delimited import build, peek
from seedbed.plugins.readers.dialect import sniff
from seedbed.plugins.readers.survey import survey


@pytest.fixture
def read(tmp_path):
    def read(content: str | bytes, name: str = "a.csv") -> Table:
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return build(NoOptions()).read(str(file), ReadContext(cache=tmp_path / "cache"))

    return read


def columns(table: Table) -> dict[str, list[object]]:
    return table.rows.to_dict()


def types(table: Table) -> list[str]:
    return [str(field.type) for field in table.rows.data.table.schema]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-2", "+3", ""], "int64"),
        (["1", "2.5", "1e-3", ".5"], "double"),
        (["1", "inf", "NaN"], "double"),
        (["True", "false", "NA"], "bool"),
        (["007", "8"], "string"),
        (["1", "2", "x"], "string"),
        (["12345678901234567890", "1"], "string"),
        (["0x1F", "1"], "string"),
        (["NA", "?"], "string"),
        (["[1, 2, 3]", "[4]"], "string"),
        (["2020-01-01", "2021-01-01"], "string"),
        (["", ""], "string"),
    ],
)
def test_types_fit_every_cell(read, cells: list[str], kind: str) -> None:
    table = read("a,b\n" + "".join(f'"{cell}",x\n' for cell in cells))
    assert types(table)[0] == kind
    assert len(table) == len(cells)


def test_a_late_row_settles_a_type(read, monkeypatch) -> None:
    monkeypatch.setattr(cells, "BATCH_BYTES", 100)
    table = read("n,m,w\n" + "1,2,3\n" * 1000 + "x,2.5,4\n")
    assert types(table) == ["string", "double", "int64"]
    assert columns(table)["m"][-1] == 2.5


def test_markers_of_missing_numbers_are_told(read) -> None:
    table = read("n,t\n1,NA\nNA,b\n3,c\n")
    assert columns(table) == {"n": [1, None, 3], "t": ["NA", "b", "c"]}
    assert "column 'n': 1 cell such as 'NA'" in table.findings[0].evidence


def test_empty_cells_are_null(read) -> None:
    assert columns(read('a,b\n,""\nx,y\n')) == {"a": [None, "x"], "b": [None, "y"]}


@pytest.mark.parametrize("delimiter", list(",;\t|"))
def test_the_delimiter_is_found(read, delimiter: str) -> None:
    lines = [("id", "text"), ("a", '"so, so; good"'), ("b", '"bad | worse"')]
    table = read("\n".join(delimiter.join(line) for line in lines))
    assert columns(table) == {"id": ["a", "b"], "text": ["so, so; good", "bad | worse"]}


def test_a_delimiter_other_than_the_suffix_says_is_told_with_evidence(read) -> None:
    (finding,) = read("a;b\n1;2\n3;4\n").findings
    assert (finding.check, finding.severity) == ("intake", "info")
    assert "';' between cells, 100% of the first 3 lines agree" in finding.evidence


def test_quotes_that_quote_nothing_are_plain_signs(read) -> None:
    table = read('t\tl\n"unclosed\tx\n5" pipe\ty\n"again\tx\nplain\tx\n', "a.tsv")
    assert columns(table)["t"] == ['"unclosed', '5" pipe', '"again', "plain"]


def test_quotes_after_a_space_quote(read) -> None:
    assert columns(read('a, b\n1, "x, y"\n2, "z"\n')) == {"a": [1, 2], "b": ["x, y", "z"]}


def test_excels_first_line_is_no_row(read) -> None:
    assert columns(read("sep=;\na;b\n1;2\n")) == {"a": [1], "b": [2]}


def test_a_lone_column_of_prose_is_not_cut_at_commas(read) -> None:
    assert columns(read("text\nhello, world, hi\nbye\nmany, commas\n"))["text"][0] == "hello, world, hi"


def test_data_in_the_first_line_is_kept_and_told(read) -> None:
    table = read("good film,pos\nbad film,neg\nok film,pos\nmeh,neg\n")
    assert columns(table)["column_2"] == ["pos", "neg", "pos", "neg"]
    (finding,) = table.findings
    assert finding.severity == "warning"
    assert "cell 2, 'pos', comes again 1 times below" in finding.evidence


@pytest.mark.parametrize("names", ["0,1,2", "id,2019,2020,2021", "text,label", "x,y"])
def test_names_are_not_taken_for_data(read, names: str) -> None:
    width = names.count(",") + 1
    table = read(f"{names}\n" + "".join(",".join([str(n)] * width) + "\n" for n in range(4, 9)))
    assert table.rows.column_names == names.split(",")


def test_names_are_made_unique_and_told(read) -> None:
    table = read("a,a,,b\n1,2,3,4\n")
    assert table.rows.column_names == ["a", "a_2", "column_3", "b"]
    assert "a → a_2, empty → column_3" in table.findings[0].evidence


def test_row_numbers_without_a_name_get_one(read) -> None:
    assert read("a,b\nr1,1,2\nr2,3,4\nr3,5,6\n").rows.column_names == ["column_1", "a", "b"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_encodings_are_read(read, encoding: str) -> None:
    table = read("text,label\n“Café”… naïve,1\n".encode(encoding))
    assert columns(table) == {"text": ["“Café”… naïve"], "label": [1]}
    assert ("Windows-1252" in "".join(each.evidence for each in table.findings)) == (encoding == "cp1252")


def test_a_stray_byte_does_not_change_the_encoding_of_all(read) -> None:
    table = read("text,label\naé ü 日本 ö,1\n".encode() + b"x\xffy,2\n")
    assert columns(table)["text"] == ["aé ü 日本 ö", "x\ufffdy"]
    assert "UTF-8 but for some bytes (byte 0xFF" in table.findings[0].evidence


def test_an_encoding_is_judged_by_the_whole_file(read, monkeypatch) -> None:
    monkeypatch.setattr("seedbed.plugins.readers.survey._CHUNK_BYTES", 1000)
    table = read(b"text,label\n" + b"plain,1\n" * 1000 + "café,2\n".encode("cp1252"))
    assert columns(table)["text"][-1] == "café"


def test_bad_lines_are_left_out_and_named(read) -> None:
    table = read("a,b\n1,2\n3\n4,5\n6,7,8\n9,10\n")
    assert columns(table)["a"] == [1, 4, 9]
    (finding,) = table.findings
    assert (finding.rows, finding.count) == (("line 3", "line 5"), 2)
    assert "line 3 has 1 cell, not 2; line 5 has 3 cells, not 2" in finding.evidence


def test_bad_lines_are_named_rightly_behind_cells_of_several_lines(read) -> None:
    table = read('a,b\n"x\n\ny",2\n3\n4,5\n')
    assert columns(table)["a"] == ["x\n\ny", "4"]
    assert table.findings[0].rows == ("line 5",)


def test_a_forgotten_quote_costs_its_own_line(read) -> None:
    table = read('a,b\n1,"abc\n2,def\n3,ghi\n')
    assert columns(table) == {"a": [2, 3], "b": ["def", "ghi"]}
    assert "line 2 opens a quote that is not closed" in table.findings[0].evidence


def test_a_forgotten_quote_far_from_the_next_costs_its_own_line(read, monkeypatch) -> None:
    monkeypatch.setattr(cells, "LONGEST_QUOTED_BYTES", 1000)
    monkeypatch.setattr(cells, "MOST_LINES_IN_A_ROW", 50)
    table = read('a,b\n1,"abc\n' + "2,def\n" * 500 + '3,"ghi"\n')
    assert len(table) == 501
    assert "opens a quote that the next 50 lines do not close" in table.findings[0].evidence


def test_mostly_bad_lines_are_bad_data(read) -> None:
    with pytest.raises(
        DataError, match=r"Most lines .* line 3 has 2 cells, not 3.* Expected are 3 cells in each: a, b, c"
    ):
        read("a,b,c\n1,2,3\n1,2\n1,2,3,4\n1\n1,2,3\n1,2,3,4,5\n1,2\n")


def test_findings_come_again_from_the_cache(read, tmp_path, monkeypatch) -> None:
    content = "a,b\n1,2\n3\n4,5\n"
    first = read(content)
    monkeypatch.setattr("seedbed.core.data.reading.arrowfile.Sink", None)  # nothing can be written any more
    again = build(NoOptions()).read(first.source, ReadContext(cache=tmp_path / "cache"))
    assert again.findings == first.findings != ()


def test_large_cells_and_cells_of_many_lines_are_kept(read) -> None:
    long, tall = "z" * 100_000, "q\n" * 5_000
    table = read(f'a,b\n{long},"{tall}"\nx,y\n')
    assert columns(table) == {"a": [long, "x"], "b": [tall, "y"]}


def test_line_ends_of_all_kinds_are_read(read) -> None:
    for end in ("\n", "\r\n", "\r"):
        assert columns(read(f"a,b{end}1,2{end}3,4{end}")) == {"a": [1, 3], "b": [2, 4]}


def test_a_compressed_file_is_read(read) -> None:
    assert columns(read(gzip.compress(b"a,b\n1,2\n"), "a.csv.gz")) == {"a": [1], "b": [2]}


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (b"", "a.csv", "is empty"),
        (b"\n\n  \n", "a.csv", "is empty"),
        (b"a,b\n", "a.csv", "no rows below it"),
        (b"a,b\n" * 10 + b"1,\0\n", "a.csv", "NUL byte at position 42"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, "a.csv", "is no text"),
        ("a,b\n1,2\n".encode("utf-16-le"), "a.csv", "Is it UTF-16 without its mark"),
        (b"PK\x03\x04\x14", "a.csv", "Excel workbook; save it as CSV"),
        (b"PAR1\x15", "a.csv", r"end in \.parquet"),
        (gzip.compress(b"a,b\n1,2\n" * 999)[:-9], "a.csv.gz", "cannot be read to its end"),
        (b"a,b\n1,2\n", "a.csv.gz", "cannot be read to its end"),
        (b"a,b,c,d\n1,2\n3,4\n", "a.csv", "names 4 columns in its first line, but most lines have 2 cells"),
        (
            ",".join(f"c{n}" for n in range(10_001)).encode() + b"\n" + b"1," * 10_000,
            "a.csv",
            "10,001 columns; at most 10,000",
        ),
    ],
)
def test_what_is_no_table_is_said_in_a_sentence(read, content: bytes, name: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read(content, name)


def test_a_line_without_end_is_not_gathered_in_memory(read, monkeypatch) -> None:
    monkeypatch.setattr("seedbed.plugins.readers.survey.LONGEST_LINE_BYTES", 10_000_000)
    with pytest.raises(DataError, match="has a line of more than 10,000,000 bytes"):
        read(b"a,b\n" + b"x" * 20_000_000)


def test_a_missing_file_is_said(tmp_path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        build(NoOptions()).read(str(tmp_path / "none.csv"), ReadContext(cache=tmp_path))


def test_peeking_gives_the_first_rows_as_they_are_written(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("id,label\n" + "007,x\n" * 500)
    assert peek(tmp_path / "a.csv") == {"id": ["007"] * 199, "label": ["x"] * 199}


CELL = st.text(st.sampled_from(["a", "1", " ", ",", ";", '"', "'", "\n", "\r", "é", "日"]), max_size=6)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=8))
def test_both_ways_of_reading_give_what_was_written(tmp_path, rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["name", "of a", "column"], *rows])
    file = tmp_path / "a.csv"
    file.write_text(text.getvalue(), newline="")
    seen = survey(file)
    dialect = sniff(file, seen.encoding)
    wanted = [[cell or None for cell in row] for row in rows]
    for way in (quickly, carefully):
        bad = BadLines()
        try:
            found = [list(row.values()) for batch in way(file, dialect, seen, bad) for row in batch.to_pylist()]
        except NeedsCare:  # cells that begin with a space and a quote
            continue
        assert (found[-len(wanted) :], bad.count) == (wanted, 0)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from(["a", "1", ",", '"', "\n", "\r", " "]), max_size=60))
def test_both_ways_of_reading_agree_where_the_quick_one_is_sure(tmp_path, text: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a,b\n" + text, newline="")
    seen = survey(file)
    try:
        dialect = sniff(file, seen.encoding)
        quick, bad = [], BadLines()
        for batch in quickly(file, dialect, seen, bad):
            quick += batch.to_pylist()
    except (NeedsCare, DataError):
        return
    careful, also_bad = [], BadLines()
    for batch in carefully(file, dialect, seen, also_bad):
        careful += batch.to_pylist()
    assert (quick, bad.count) == (careful, also_bad.count)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_a_sentence(tmp_path, content: bytes) -> None:
    file = Path(tmp_path) / "a.csv"
    file.write_bytes(content)
    assert outcome(build, file) in ("rows", "sentence")


@pytest.mark.parametrize("length", [140_000, 2_000_000], ids=["beyond csv's limit", "beyond the sample"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"], ids=["quickly", "carefully"])
def test_a_first_cell_of_any_length_is_kept(read, length: int, encoding: str) -> None:
    cell = "é " * (length // 2)
    found = columns(read(f"text,label\n{cell}.,x\nshort,y\n".encode(encoding)))
    assert found == {"text": [f"{cell}.", "short"], "label": ["x", "y"]}


def test_the_limit_of_cells_of_the_whole_process_stays(read) -> None:
    before = csv.field_size_limit()
    read("text,label\n" + "a " * before + ",x\n")
    assert csv.field_size_limit() == before


def test_a_first_row_without_end_is_said(read, monkeypatch) -> None:
    monkeypatch.setattr(dialect, "SAMPLE_BYTES", 1000)
    monkeypatch.setattr(dialect, "_LARGEST_SAMPLE_BYTES", 4000)
    with pytest.raises(DataError, match="one line with cells in its first 4,000 bytes"):
        read('text,label\n"' + "a,b\n" * 2000)
