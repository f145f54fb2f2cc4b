from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import datasets
import numpy as np
import pyarrow as pa
import pytest

from seedbed.core.data.dataset import Dataset
from seedbed.core.data.preparing import tokens as module
from seedbed.core.data.preparing.tokens import Tokens, open_tokens, tokenise
from seedbed.core.data.preparing.vocabulary import UNKNOWN, Vocabulary, learn_vocabulary
from seedbed.core.errors import DataError, Interrupted


def texts(rows: Sequence[str | None]) -> Dataset:
    table = pa.table({"text": pa.array(rows, pa.string())})
    return Dataset(rows=datasets.Dataset(table), modality="text", source="somewhere", name="n")


def row_of(tokens: Tokens, row: int) -> list[int]:
    offsets = tokens.offsets()
    return tokens.ids()[offsets[row] : offsets[row + 1]].tolist()


@pytest.fixture(scope="module")
def corpus() -> Dataset:
    rng = np.random.default_rng(0)
    rows = [" ".join(rng.choice(["seed", "garden", "flower", "river", "Ünlü"], count)) for count in range(1, 81)]
    return texts([*rows, None, ""])


@pytest.fixture(scope="module")
def vocabulary(corpus: Dataset) -> Vocabulary:
    return learn_vocabulary(corpus, np.arange(82))


def test_every_row_has_the_tokens_of_its_text(corpus, vocabulary, tmp_path) -> None:
    tokens = tokenise(corpus, vocabulary, tmp_path, "f")
    for row in (0, 5, 79):
        assert row_of(tokens, row) == vocabulary.encode([corpus.rows["text"][row]]).ids.tolist()
    assert row_of(tokens, 80) == row_of(tokens, 81) == [UNKNOWN]
    assert tokens.ids().dtype == np.uint16
    assert (tokens.vocabulary, tokens.cut, tokens.notes) == (vocabulary.size, 0, ())
    assert tokens.lengths().min() == 1


def test_threads_and_chunks_change_nothing(corpus, vocabulary, tmp_path, monkeypatch) -> None:
    whole = tokenise(corpus, vocabulary, tmp_path / "a", "f", threads=1)
    monkeypatch.setattr(module, "_CHUNK_ROWS", 3)
    threaded = tokenise(corpus, vocabulary, tmp_path / "b", "f", threads=4)
    assert np.array_equal(whole.ids(), threaded.ids())
    assert np.array_equal(whole.offsets(), threaded.offsets())


def test_long_texts_are_cut_and_told(corpus, vocabulary, tmp_path) -> None:
    whole = tokenise(corpus, vocabulary, tmp_path, "f")
    tokens = tokenise(corpus, vocabulary, tmp_path, "f", longest=10)
    assert tokens.lengths().max() == 10
    assert row_of(tokens, 79) == row_of(whole, 79)[:10]
    assert row_of(tokens, 3) == row_of(whole, 3)
    assert tokens.cut == int((whole.lengths() > 10).sum())
    assert tokens.notes == (f"{tokens.cut} of 82 texts are longer than 10 tokens; their beginning is read.",)


def test_text_that_is_not_even_looked_at_counts_as_cut(vocabulary, tmp_path) -> None:
    tokens = tokenise(texts([" " * 1000 + "garden", "garden"]), vocabulary, tmp_path, "f", longest=10)
    assert tokens.cut == 1
    assert row_of(tokens, 0) == [UNKNOWN]


def test_a_large_vocabulary_has_wide_ids(corpus, vocabulary, tmp_path) -> None:
    wide = tokenise(corpus, replace(vocabulary, size=70_000), tmp_path / "a", "f")
    assert wide.ids().dtype == np.uint32
    assert np.array_equal(wide.ids(), tokenise(corpus, vocabulary, tmp_path / "b", "f").ids())


def test_the_second_time_nothing_is_encoded(corpus, vocabulary, tmp_path, monkeypatch) -> None:
    first = tokenise(corpus, vocabulary, tmp_path, "f")
    monkeypatch.setattr(module, "_in_order", None)  # whoever calls it fails
    assert tokenise(corpus, vocabulary, tmp_path, "f") == first


def test_other_texts_words_or_cuts_are_other_tokens(corpus, vocabulary, tmp_path) -> None:
    other = learn_vocabulary(corpus, np.arange(40), size=265)
    found = {
        tokenise(corpus, vocabulary, tmp_path, "f").fingerprint,
        tokenise(corpus, vocabulary, tmp_path, "g").fingerprint,
        tokenise(corpus, vocabulary, tmp_path, "f", longest=7).fingerprint,
        tokenise(corpus, other, tmp_path, "f").fingerprint,
    }
    assert len(found) == 4


@pytest.mark.parametrize("file", ["ids.npy", "offsets.npy", "prepared.json"])
def test_a_damaged_folder_is_made_anew(corpus, vocabulary, tmp_path, file: str) -> None:
    first = tokenise(corpus, vocabulary, tmp_path, "f")
    ids = np.array(first.ids())
    damaged = first.folder / file
    damaged.write_bytes(damaged.read_bytes()[:-4])
    with pytest.raises(DataError):
        open_tokens(first.folder)
    assert np.array_equal(tokenise(corpus, vocabulary, tmp_path, "f").ids(), ids)


def test_stopping_leaves_nothing_and_progress_ends_at_the_total(corpus, vocabulary, tmp_path) -> None:
    with pytest.raises(Interrupted):
        tokenise(corpus, vocabulary, tmp_path, "f", cancelled=lambda: True)
    assert list(tmp_path.iterdir()) == []
    seen = []
    tokenise(corpus, vocabulary, tmp_path, "f", report=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (82, 82)


def test_no_rows_are_a_sentence(vocabulary, tmp_path) -> None:
    with pytest.raises(DataError, match="holds no texts"):
        tokenise(texts([]), vocabulary, tmp_path, "f")
