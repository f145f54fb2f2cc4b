from __future__ import annotations

from collections.abc import Sequence

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.data.dataset import Dataset
from seedbed.core.data.preparing import stream
from seedbed.core.data.preparing.prepare_text import open_text, prepare_text, word_counts
from seedbed.core.errors import DataError, Interrupted


def texts(rows: Sequence[str | None], kind: pa.DataType | None = None) -> Dataset:
    table = pa.table({"text": pa.array(rows, kind or pa.string())})
    return Dataset(rows=datasets.Dataset(table), modality="text", source="somewhere", name="n")


def test_texts_are_measured_in_characters_and_words(tmp_path) -> None:
    prepared = prepare_text(texts(["two words", "café\tau  lait\n", "日本語ab 1", "x"]), tmp_path)
    assert prepared.characters().tolist() == [9, 14, 7, 1]
    assert word_counts(prepared).tolist() == [2, 3, 5, 1]
    assert prepared.unreadable == ()
    assert open_text(prepared.folder) == prepared


def test_empty_texts_are_unreadable(tmp_path) -> None:
    prepared = prepare_text(texts(["a", "", None, " \n\t", "\u00a0\u2003", "b"]), tmp_path)
    assert prepared.unreadable == tuple((row, "is empty") for row in (1, 2, 3, 4))
    assert prepared.characters().tolist() == [1, 0, 0, 0, 0, 1]
    assert word_counts(prepared).tolist() == [1, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(("rows", "sentence"), [([], "holds no texts"), (["", None], "All 2 texts .* --input")])
def test_data_without_text_is_a_sentence(tmp_path, rows, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        prepare_text(texts(rows), tmp_path)


def test_bytes_that_are_no_utf8_are_a_sentence(tmp_path) -> None:
    damaged = pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xe2\x28"))
    dataset = Dataset(rows=datasets.Dataset(pa.table({"text": damaged})), modality="text", source="s", name="n")
    with pytest.raises(DataError, match="UTF-8"):
        prepare_text(dataset, tmp_path)


def test_endless_texts_are_told(tmp_path) -> None:
    prepared = prepare_text(texts(["short", "x" * 1_000_001]), tmp_path)
    assert prepared.notes == (
        "1 of 2 texts have more than 1,000,000 characters; the longest, row 1, has 1,000,001. "
        "Models read the beginning of a text.",
    )


def test_the_second_time_nothing_is_measured(tmp_path, monkeypatch) -> None:
    dataset = texts(["a b", "c"])
    first = prepare_text(dataset, tmp_path)
    monkeypatch.setattr("seedbed.core.data.preparing.prepare_text._measure", None)  # whoever calls it fails
    assert prepare_text(dataset, tmp_path) == first


@pytest.mark.parametrize("file", ["characters.npy", "words.npy", "prepared.json"])
def test_a_damaged_folder_is_made_anew(tmp_path, file: str) -> None:
    dataset = texts(["a b", "c"])
    damaged = prepare_text(dataset, tmp_path).folder / file
    damaged.write_bytes(damaged.read_bytes()[:-4])
    with pytest.raises(DataError):
        open_text(damaged.parent)
    assert prepare_text(dataset, tmp_path).characters().tolist() == [3, 1]


def test_other_texts_or_bounds_are_other_data(tmp_path) -> None:
    tables = [["ab", "c"], ["a", "bc"], ["ab", "d"], ["ab", "c", ""]]
    assert len({prepare_text(texts(rows), tmp_path).fingerprint for rows in tables}) == len(tables)


def test_stopping_leaves_nothing_and_progress_ends_at_the_total(tmp_path) -> None:
    with pytest.raises(Interrupted):
        prepare_text(texts(["a", "b"]), tmp_path, cancelled=lambda: True)
    assert list(tmp_path.iterdir()) == []
    seen = []
    prepare_text(texts(["a", "b"]), tmp_path, report=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2, 2)


def words_of(text: str) -> int:
    """Count words the slow way, character by character."""
    count, before = 0, "space"
    for letter in text:
        kind = "space" if letter in " \t\n\r\f" else "alone" if "\u2e80" <= letter <= "\u9fff" else "letter"
        count += kind == "alone" or (kind == "letter" and before != "letter")
        before = kind
    return count


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.one_of(st.none(), st.text(max_size=12), st.text("ab \n\u3042é", max_size=12)), max_size=12),
    kind=st.sampled_from([pa.string(), pa.large_string()]),
    piece_bytes=st.sampled_from([1, 30, 10**6]),
)
def test_any_texts_are_measured_alike_however_they_lie(tmp_path_factory, rows, kind, piece_bytes: int) -> None:
    folder = tmp_path_factory.mktemp("cache")
    shown = [text or "" for text in rows]
    if not any(text.strip() for text in shown):
        with pytest.raises(DataError):
            prepare_text(texts(rows, kind), folder)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "PIECE_BYTES", piece_bytes)
        prepared = prepare_text(texts(rows, kind), folder)
    assert prepare_text(texts(shown, pa.string()), folder).fingerprint == prepared.fingerprint
    for row, text in enumerate(shown):
        assert prepared.usable()[row] == bool(prepared.characters()[row])
        if prepared.usable()[row]:
            assert prepared.characters()[row] == len(text)
            assert word_counts(prepared)[row] == words_of(text)
        else:
            assert not text.strip()
