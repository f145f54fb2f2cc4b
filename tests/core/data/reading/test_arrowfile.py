from __future__ import annotations

import os
import time
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed import Finding
from seedbed.core.data.reading import arrowfile
from seedbed.core.data.reading.arrowfile import Sink, file_stamp, fingerprint, store, unique_names
from seedbed.core.errors import DataError

FINDING = Finding(check="intake", severity="info", evidence="Two lines left out.", rows=("line 2", "line 3"), count=2)


def numbers(sink: Sink) -> None:
    for start in (0, 100, 200):
        sink.write(pa.record_batch({"n": list(range(start, start + 100)), "text": [f"t{start}"] * 100}))
    sink.findings.append(FINDING)


def never(sink: Sink) -> None:
    raise AssertionError("the rows are stored and need not be made again")


def test_rows_are_mapped_from_a_file_below_the_cache(tmp_path) -> None:
    stored = store(tmp_path, "key", numbers)
    (file,) = stored.rows.cache_files
    assert Path(file["filename"]).is_relative_to(tmp_path / "tables" / "key")
    assert stored.rows["n"][:] == list(range(300))


def test_what_is_stored_is_opened_again_with_its_findings(tmp_path) -> None:
    store(tmp_path, "key", numbers)
    again = store(tmp_path, "key", never)
    assert (len(again.rows), again.findings) == (300, (FINDING,))


def test_another_key_is_another_content(tmp_path) -> None:
    store(tmp_path, "key", numbers)
    with pytest.raises(AssertionError, match="need not be made"):
        store(tmp_path, "other", never)


@pytest.mark.parametrize("file", ["rows.arrow", "rows.json"])
@pytest.mark.parametrize("keep", [0, 100])
def test_a_damaged_folder_is_made_anew(tmp_path, file: str, keep: int) -> None:
    store(tmp_path, "key", numbers)
    damaged = tmp_path / "tables" / "key" / file
    damaged.write_bytes(damaged.read_bytes()[:keep])
    stored = store(tmp_path, "key", numbers)
    assert stored.rows["n"][:] == list(range(300))


def test_a_failure_leaves_nothing_behind(tmp_path) -> None:
    def fails(sink: Sink) -> None:
        numbers(sink)
        (sink.scratch / "notes").touch()
        raise DataError("bad line")

    with pytest.raises(DataError, match="bad line"):
        store(tmp_path, "key", fails)
    assert list((tmp_path / "tables").iterdir()) == []


def test_scratch_files_are_gone_when_all_is_written(tmp_path) -> None:
    def untidy(sink: Sink) -> None:
        (sink.scratch / "cells").write_text("for a while")
        numbers(sink)

    store(tmp_path, "key", untidy)
    assert sorted(path.name for path in (tmp_path / "tables").rglob("*")) == ["key", "rows.arrow", "rows.json"]


def test_what_killed_runs_left_is_cleared_after_a_day(tmp_path) -> None:
    old, fresh = (tmp_path / "tables" / name for name in (".partial-old", ".partial-fresh"))
    for folder in (old, fresh):
        folder.mkdir(parents=True)
    os.utime(old, (time.time() - 90_000,) * 2)
    store(tmp_path, "key", numbers)
    assert not old.exists()
    assert fresh.exists()


def test_too_little_room_is_said_before_anything_is_written(tmp_path) -> None:
    with pytest.raises(DataError, match=r"GiB left.*SEEDBED_HOME"):
        store(tmp_path, "key", never, needed_bytes=2**60)


def test_a_cache_that_is_a_file_is_said(tmp_path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(DataError, match=r"cannot be written to .* set SEEDBED_HOME"):
        store(tmp_path / "cache", "key", numbers)


def test_types_that_datasets_lacks_are_given_their_like(tmp_path) -> None:
    def fill(sink: Sink) -> None:
        sink.write(
            pa.record_batch(
                {
                    "dictionary": pa.array(["a", "b"]).dictionary_encode(),
                    "view": pa.array(["a", "b"], pa.string_view()),
                    "map": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
                    "nested": pa.array([["a"], None], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
                }
            )
        )

    rows = store(tmp_path, "key", fill).rows
    assert rows["dictionary"][:] == rows["view"][:] == ["a", "b"]
    assert rows["map"][:] == [[{"key": "k", "value": 1}], []]
    assert rows["nested"][:] == [["a"], None]


def test_a_type_without_a_like_names_its_column(tmp_path) -> None:
    interval = pa.array([(1, 2, 3)], pa.month_day_nano_interval())
    with pytest.raises(DataError, match="'wait' is of the type month_day_nano_interval"):
        store(tmp_path, "key", lambda sink: sink.write(pa.record_batch({"wait": interval})))


def test_a_file_that_changes_is_another_content(tmp_path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a")
    before = fingerprint(file_stamp(file))
    assert fingerprint(file_stamp(file)) == before
    file.write_text("ab")
    assert fingerprint(file_stamp(file)) != before


def test_links_in_a_circle_have_no_stamp(tmp_path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"a\.csv cannot be read"):
        file_stamp(tmp_path / "a.csv")


def test_a_version_tells_what_was_stored_by_an_older_one(monkeypatch) -> None:
    before = fingerprint("a")
    monkeypatch.setattr(arrowfile, "VERSION", arrowfile.VERSION + 1)
    assert fingerprint("a") != before


@given(st.lists(st.sampled_from(["", " ", "a", "a_2", "column_1", "column_2", "b\udcff"]), max_size=12))
def test_every_column_has_a_name_of_its_own(names: list[str]) -> None:
    unique = unique_names(names)
    assert len(set(unique)) == len(unique) == len(names)
    assert all(name and name.encode() for name in unique)


def test_names_that_are_fine_are_kept() -> None:
    assert unique_names(["a", "a", "a_2", ""]) == ["a", "a_3", "a_2", "column_4"]


def test_many_equal_names_are_told_apart_at_once() -> None:
    began = time.process_time()
    assert len(set(unique_names(["a"] * 20_000))) == 20_000
    assert time.process_time() - began < 2


def test_a_name_with_a_nul_can_be_stored_and_opened(tmp_path) -> None:
    (name,) = unique_names(["a\0b"])
    stored = store(tmp_path, "key", lambda sink: sink.write(pa.table({name: [1]})))
    assert stored.rows.to_dict() == {"a b": [1]}
