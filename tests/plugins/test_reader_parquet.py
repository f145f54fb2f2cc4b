from __future__ import annotations

import datetime
import decimal
import io
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from seedbed import NoOptions
from seedbed.core.data.dataset import ReadContext, Table
from seedbed.core.errors import DataError
from seedbed.plugins.readers.parquet import build, peek


@pytest.fixture
def read(tmp_path):
    def read(table: pa.Table | bytes, **options: object) -> Table:
        file = tmp_path / "a.parquet"
        if isinstance(table, bytes):
            file.write_bytes(table)
        else:
            pq.write_table(table, file, **options)
        return build(NoOptions()).read(str(file), ReadContext(cache=tmp_path / "cache"))

    return read


def whole(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def test_columns_of_all_kinds_are_kept(read) -> None:
    columns = {
        "text": ["a", None],
        "series": [[1.0, 2.0], [3.0]],
        "channels": [[[1.0], [2.0]], None],
        "price": [decimal.Decimal("1.50"), decimal.Decimal("2.25")],
        "day": [datetime.date(2020, 1, 1), None],
        "moment": [datetime.datetime(2020, 1, 1, 12), None],
        "image": [{"bytes": b"abc", "path": None}, {"bytes": None, "path": "1.png"}],
        "flag": [True, None],
    }
    table = read(pa.table(columns))
    assert table.rows.to_dict() == columns
    assert (table.name, table.folder is not None, table.findings) == ("a", True, ())


def test_dictionaries_become_what_they_stand_for(read) -> None:
    table = read(pa.table({"label": pa.array(["a", "b", "a"]).dictionary_encode()}))
    assert table.rows["label"][:] == ["a", "b", "a"]


def test_class_names_and_images_of_datasets_are_known(tmp_path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(buffer, "PNG")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    rows = {"image": [{"bytes": buffer.getvalue(), "path": None}], "label": [1]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "a.parquet")
    table = build(NoOptions()).read(str(tmp_path / "a.parquet"), ReadContext(cache=tmp_path / "cache"))
    assert table.rows.features["label"].names == ["cat", "dog"]
    assert isinstance(table.rows.features["image"], datasets.Image)


def test_metadata_that_does_not_fit_is_passed_over(read) -> None:
    for claim in (b"{", b'{"info": {"features": {"b": {"dtype": "int64", "_type": "Value"}}}}', b"[]"):
        table = read(pa.table({"a": [1]}).replace_schema_metadata({"huggingface": claim}))
        assert table.rows.to_dict() == {"a": [1]}


def test_many_row_groups_give_one_table_in_order(read) -> None:
    table = read(pa.table({"n": range(1000)}), row_group_size=70)
    assert table.rows["n"][:] == list(range(1000))


def test_large_cells_are_read_in_small_batches(read) -> None:
    table = read(pa.table({"image": [bytes(2_000_000)] * 20, "n": range(20)}), compression="none")
    batches = table.rows.data.table.column("n").chunks
    assert max(map(len, batches)) <= 5
    assert table.rows["n"][:] == list(range(20))


def test_equal_names_become_unique_and_are_told(read) -> None:
    table = read(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))
    assert table.rows.to_dict() == {"a": [1], "a_2": [2]}
    assert "a → a_2" in table.findings[0].evidence


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1xxxxPAR1", b"text,label\n1,2\n", bytes(1000)])
def test_what_is_no_parquet_is_said(read, content: bytes) -> None:
    with pytest.raises(DataError, match=r"a\.parquet is no Parquet file that can be read"):
        read(content)


def test_a_file_cut_off_anywhere_is_said(read) -> None:
    content = whole(pa.table({"text": ["some text"] * 50, "n": range(50)}))
    for end in range(0, len(content), 37):
        with pytest.raises(DataError, match="is no Parquet file"):
            read(content[:end])


def test_flipped_bytes_are_a_table_or_a_sentence(read) -> None:
    content = whole(pa.table({"text": ["some text", "more"] * 50, "n": range(100)}))
    outcomes = set()
    for place in range(4, len(content), 11):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        try:
            outcomes.add(len(read(bytes(damaged))) > 0)
        except DataError:
            outcomes.add("said")
    assert "said" in outcomes
    assert outcomes <= {True, "said"}


def test_a_table_without_rows_is_said(read) -> None:
    with pytest.raises(DataError, match="has 1 columns but 0 rows"):
        read(pa.table({"a": pa.array([], pa.int64())}))


def test_peeking_gives_texts_and_numbers(tmp_path) -> None:
    pq.write_table(pa.table({"id": range(500), "file": ["a.png"] * 500, "list": [[1]] * 500}), tmp_path / "a.parquet")
    found = peek(Path(tmp_path / "a.parquet"))
    assert (len(found["id"]), found["id"][1], found["file"][0], found["list"]) == (200, "1", "a.png", [])


def not_utf8(*cells: bytes) -> pa.Array:
    """Return texts as a program writes them that takes any bytes for text."""
    array = pa.array(cells, pa.binary())
    return pa.StringArray.from_buffers(len(array), *array.buffers()[1:], array.buffers()[0])


def test_texts_that_are_not_utf8_are_mended_and_told(read) -> None:
    table = read(pa.table({"text": not_utf8(b"caf\xe9", b"tea"), "n": [1, 2]}))
    assert table.rows.to_dict() == {"text": ["caf\ufffd", "tea"], "n": [1, 2]}
    (finding,) = table.findings
    assert "column 'text': 1 cell not in UTF-8" in finding.evidence
    assert (finding.count, finding.severity) == (1, "warning")


def test_lists_of_texts_that_are_not_utf8_are_refused(read) -> None:
    tags = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), not_utf8(b"a\xe9", b"b"))
    with pytest.raises(DataError, match=r"no Parquet file that can be read .*Invalid UTF8"):
        read(pa.table({"tags": tags}))


def test_dates_beyond_the_calendar_can_be_peeked_at(tmp_path) -> None:
    dates = pa.array([2**62, 2**62 - 1], pa.timestamp("us"))
    pq.write_table(pa.table({"when": dates, "file": ["a.png", "b.png"]}), tmp_path / "a.parquet")
    assert peek(tmp_path / "a.parquet") == {"when": [], "file": ["a.png", "b.png"]}
