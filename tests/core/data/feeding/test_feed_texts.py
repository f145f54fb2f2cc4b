from __future__ import annotations

import datasets
import numpy as np
import pyarrow as pa
import pytest
import torch

from seedbed.core.data.dataset import Dataset
from seedbed.core.data.feeding.opening import open_source
from seedbed.core.data.preparing import lay_texts as module
from seedbed.core.data.preparing.lay_texts import lay_texts, open_texts
from seedbed.core.data.preparing.prepare_again import feed_texts
from seedbed.core.data.preparing.prepare_text import prepare_text
from seedbed.core.data.preparing.vocabulary import learn_vocabulary
from seedbed.core.data.view import View
from seedbed.core.errors import DataError, Interrupted

ROWS = ["a seed", None, "Ünlü 花 flower in the garden", "", "the river"]


def _dataset(rows=ROWS):
    table = pa.table({"text": pa.array(rows, pa.string())})
    return Dataset(rows=datasets.Dataset(table), modality="text", source="somewhere", name="n")


@pytest.fixture
def fed(tmp_path):
    dataset = _dataset()
    prepared = prepare_text(dataset, tmp_path)
    vocabulary = learn_vocabulary(dataset, np.arange(5))
    tokens = feed_texts(dataset, prepared, vocabulary, tmp_path)
    return vocabulary, open_source("text", prepared.folder, str(tokens.folder), torch.device("cpu"))


def test_ids_are_those_of_the_vocabulary_padded_with_zeros(fed):
    vocabulary, source = fed
    ids, mask = source.gather(torch.tensor([2, 0]), View())
    for row, text in enumerate([ROWS[2], ROWS[0]]):
        assert ids[row][mask[row]].tolist() == vocabulary.encode([text]).ids.tolist()
    assert not ids[~mask].any()
    assert (ids.dtype, mask.dtype) == (torch.int64, torch.bool)
    assert bool(mask[:, 0].all())


def test_strings_are_the_texts_themselves_and_what_is_missing_is_empty(fed):
    _, source = fed
    assert source.gather(torch.tensor([2, 1, 4, 2]), View(encoding="strings")) == ([ROWS[2], "", ROWS[4], ROWS[2]],)


def test_a_row_without_text_has_a_token_all_the_same(fed):
    _, source = fed
    _, mask = source.gather(torch.tensor([1, 3]), View())
    assert mask.tolist() == [[True], [True]]
    assert len(source) == 5
    assert source.lengths().min() == 1


def test_a_long_text_is_cut_at_a_character(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_OF_A_TEXT", 3)
    dataset = _dataset(["花花花花花", "abcdef", "é"])
    prepared = prepare_text(dataset, tmp_path)
    lay_texts(dataset, prepared)
    assert open_texts(prepared.folder).of(np.arange(3)) == ["花花花", "abc", "é"]


def test_texts_that_lie_there_are_not_written_again_and_damaged_ones_are(tmp_path):
    dataset = _dataset()
    prepared = prepare_text(dataset, tmp_path)
    lay_texts(dataset, prepared)
    file = prepared.folder / "texts" / "bytes.npy"
    before = file.stat().st_mtime_ns
    lay_texts(dataset, prepared)
    assert file.stat().st_mtime_ns == before
    np.save(file, np.zeros(3, dtype=np.uint8))
    with pytest.raises(DataError, match=r"do not fit prepared.json"):
        open_texts(prepared.folder)
    lay_texts(dataset, prepared)
    assert open_texts(prepared.folder).of(np.array([4])) == ["the river"]


def test_laying_out_stops_when_asked_and_leaves_nothing(tmp_path):
    dataset = _dataset()
    prepared = prepare_text(dataset, tmp_path)
    with pytest.raises(Interrupted, match="run again for all"):
        lay_texts(dataset, prepared, cancelled=lambda: True)
    with pytest.raises(DataError, match="holds no texts"):
        open_texts(prepared.folder)
