from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest

from seedbed import NoOptions
from seedbed.core.data.dataset import ReadContext
from seedbed.core.data.inference.interpret import interpret
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError
from seedbed.plugins.readers import ucr

CLASSES = "@problemName Waves\n@timeStamps false\n@univariate true\n@classLabel true up down\n@data\n"
VALUES = "@problemName Heat\n@timeStamps false\n@dimensions 2\n@equalLength false\n@targetLabel true\n@data\n"


@pytest.fixture
def read(tmp_path):
    """Write a file and read it: `read(text)`; further files by name: `read(text, "A_TRAIN.ts", A_TEST_ts=…)`."""

    def run(text, name="Waves.ts", **others):
        for file, content in {name: text, **{key.replace("_ts", ".ts"): each for key, each in others.items()}}.items():
            (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
        return ucr.build(NoOptions()).read(str(tmp_path / name), ReadContext(cache=tmp_path / "cache"))

    return run


def _values(table, name):
    return table.rows.with_format("arrow")[:].column(name).to_pylist()


def _told(table):
    return [finding.evidence for finding in table.findings]


def test_a_file_of_classes(read):
    table = read("# a comment\n\n" + CLASSES + "1.0,2,3e0:up\n-1,-2,-3:down\n")
    assert _values(table, "series") == [[[1.0, 2.0, 3.0]], [[-1.0, -2.0, -3.0]]]
    assert _values(table, "target") == ["up", "down"]
    assert table.schema == Schema(modality="series", kind="classification", inputs=("series",), target="target")
    assert (table.name, table.findings) == ("Waves", ())


def test_a_file_of_values_and_several_dimensions_of_unequal_length(read):
    table = read(VALUES + "1,2:3,4:0.5\n1,2,3:4,5,6:-1e3\n")
    assert [np.shape(each) for each in _values(table, "series")] == [(2, 2), (2, 3)]
    assert _values(table, "target") == [0.5, -1000.0]
    assert table.schema.kind == "regression"


def test_labels_that_are_not_listed_leave_the_task_open(read):
    table = read("@classLabel true\n@data\n1,2:1\n3,4:2\n")
    assert (table.schema.kind, _values(table, "target")) == (None, ["1", "2"])


def test_a_file_without_targets_is_read_as_well(read):
    table = read("@classLabel false\n@data\n1,2:3,4\n")
    assert (table.schema.target, _values(table, "series")) == ("", [[[1.0, 2.0], [3.0, 4.0]]])


def test_missing_values_and_targets_stay_missing(read):
    table = read(CLASSES + "1,?,NaN, 4:up\n1,2,3,4:?\n")
    first = np.array(_values(table, "series")[0][0])
    assert np.isnan(first[1:3]).all()
    assert first[3] == 4
    assert _values(table, "target") == ["up", None]


def test_times_are_set_aside_and_told(read):
    head = "@timeStamps true\n@dimensions 2\n@classLabel true a b\n@data\n"
    text = head + "(2004-10-01 09:00:00,1.5),(2004-10-01 10:00:00,2.5):(0,3),(1,?):a\n(0,1):(0.5,2):b\n"
    table = read(text)
    rows = _values(table, "series")
    assert rows[0][0] == [1.5, 2.5]
    assert rows[0][1][0] == 3
    assert np.isnan(rows[0][1][1])
    assert (rows[1], _values(table, "target")) == ([[1.0], [2.0]], ["a", "b"])
    assert "times are set aside" in _told(table)[0]


def test_a_dimension_that_ends_early_is_filled_with_missing_values(read):
    table = read(VALUES + "1,2,3:4:0.5\n1,2:3,4:1\n")
    row = _values(table, "series")[0]
    assert row[0] == [1, 2, 3]
    assert row[1][0] == 4
    assert np.isnan(row[1][1:]).all()
    assert table.findings[0].rows == ("Waves.ts, line 7",)


def test_the_test_file_beside_a_training_file_is_the_test_part(read):
    table = read(CLASSES + "1,2:up\n3,4:down\n", "Waves_TRAIN.ts", Waves_TEST_ts=CLASSES + "5,6:up\n")
    assert _values(table, "part") == ["train", "train", "test"]
    assert _values(table, "target") == ["up", "down", "up"]
    assert table.schema.part == "part"
    assert _told(table) == ["Waves_TEST.ts beside Waves_TRAIN.ts is taken for the test part."]


def test_a_test_file_alone_or_a_training_file_alone_has_no_parts(read):
    assert read(CLASSES + "1,2:up\n", "Waves_TEST.ts").schema.part == ""
    assert "part" not in read(CLASSES + "1,2:up\n", "Other_TRAIN.ts").rows.column_names


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,x,3:up", "line 7 has 'x' among its values"),
        ("1,2,3", "line 7 has no target after a colon"),
        ("1,2:3,4:up", "line 7 has 2 dimensions, not 1"),
        (":up", "line 7 has no values"),
    ],
)
def test_lines_that_are_no_rows_are_left_out_and_told_by_number(read, line, reason):
    table = read(CLASSES + f"1,2,3:up\n{line}\n4,5,6:down\n")
    assert len(table) == 2
    finding = table.findings[0]
    assert (finding.rows, finding.count, finding.severity) == (("Waves.ts, line 7",), 1, "warning")
    assert f"1 of 3 lines are left out; {reason}" in finding.evidence


def test_a_target_that_is_no_number_is_told_in_regression(read):
    assert "has the target 'warm', which is no number" in _told(read(VALUES + "1:2:3.5\n1:2:warm\n"))[0]


def test_what_the_header_promises_is_held_against_the_rows(read):
    table = read("@seriesLength 3\n@classLabel true a b\n@data\n1,2,3:a\n1,2:b\n1,2,3:c\n")
    assert len(table) == 3
    assert any("1 of 3 rows are not of the 3 steps that @seriesLength says" in each for each in _told(table))
    assert any("a class that @classLabel does not list, as 'c'" in each for each in _told(table))


def test_a_line_without_its_bracket_is_left_out(read):
    table = read("@timeStamps true\n@classLabel true a b\n@data\n(0,1),(1,2):a\n(0,1),(1,2:a\n")
    assert "has a bracket that is not closed" in _told(table)[0]


def test_a_second_read_tells_the_same_from_the_cache(read, tmp_path, monkeypatch):
    first = read(CLASSES + "1,2,3:up\nrubbish\n")
    monkeypatch.setattr("seedbed.core.data.reading.arrowfile.Sink", None)  # nothing can be written any more
    second = ucr.build(NoOptions()).read(first.source, ReadContext(cache=tmp_path / "cache"))
    assert first.findings == second.findings != ()
    assert first.rows.to_dict() == second.rows.to_dict()


def test_many_rows_are_written_in_batches_and_keep_their_order(read, monkeypatch):
    monkeypatch.setattr(ucr, "BATCH_BYTES", 100)
    table = read(CLASSES + "".join(f"{number},{number}:up\n" for number in range(200)))
    assert table.rows.data.table.column("series").num_chunks > 5
    assert [row[0][0] for row in _values(table, "series")] == list(range(200))


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_marks_of_windows_make_no_difference(read, ending, mark):
    text = (CLASSES + "1,2:up\n").replace("\n", ending).encode()
    assert _values(read(mark + text), "target") == ["up"]


def test_labels_in_latin_1_are_read(read):
    text = "@classLabel true schön trüb\n@data\n1,2:schön\n".encode("latin-1")
    assert _values(read(text), "target") == ["schön"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has no @data"),
        ("@classLabel true a b\n", "has no @data"),
        ("export const answer: number = 42;\n", "line 1: 'export const .*is no line of a header"),
        (b"\x47\x40\x00" + bytes(200), "has bytes that are no text"),
        (CLASSES, "has no row that can be read"),
        (CLASSES + "rubbish\n", "has no row that can be read. Line 6 has no target"),
        (b"\xff\xfe@\x00d\x00", "bytes that are no text"),
    ],
    ids=["empty", "header only", "TypeScript", "a film", "no rows", "no good row", "UTF-16"],
)
def test_what_is_no_such_file_is_refused_with_what_was_expected(read, content, words):
    with pytest.raises(DataError, match=words) as refusal:
        read(content)
    assert "@data" in str(refusal.value)


def test_a_line_without_an_end_is_refused(read, monkeypatch):
    monkeypatch.setattr(ucr, "MOST_LINE_BYTES", 1000)
    with pytest.raises(DataError, match="more than 1,000 bytes"):
        read(CLASSES + "1," * 1000)


def test_a_file_that_is_not_there_is_bad_data(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        ucr.build(NoOptions()).read(str(tmp_path / "none.ts"), ReadContext(cache=tmp_path))


def test_a_file_cut_or_changed_anywhere_ends_in_a_table_or_a_sentence(read):
    whole, rng = (VALUES + "1,2,3:4,5,6:0.5\n(1,2),3:4:1\n" * 3).encode(), random.Random(0)
    read_count = 0
    for attempt in range(200):
        content = bytearray(whole)
        if attempt % 2:
            del content[rng.randrange(len(content)) :]
        else:
            content[rng.randrange(len(content))] = rng.randrange(256)
        try:
            read_count += len(read(bytes(content))) > 0
        except DataError:
            continue
    assert 0 < read_count < 200


def test_what_was_read_can_be_interpreted(read, tmp_path):
    rng = np.random.default_rng(0)
    rows = "".join(",".join(f"{v:.3f}" for v in rng.normal(size=20)) + f":{('up', 'down')[n % 2]}\n" for n in range(12))
    dataset = interpret(read(CLASSES + rows), Schema(), Path(tmp_path))
    assert (dataset.modality, dataset.kind, len(dataset)) == ("series", "classification", 12)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_beside_it_is_no_test_part(read, tmp_path):
    os.mkfifo(tmp_path / "Waves_TEST.ts")
    table = read(CLASSES + "1,2,3:up\n3,2,1:down\n", "Waves_TRAIN.ts")
    assert (len(table), table.schema.part) == (2, "")
