from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.data.dataset import Dataset
from seedbed.core.data.preparing import vocabulary as module
from seedbed.core.data.preparing.vocabulary import UNKNOWN, Vocabulary, clean, learn_vocabulary, load_vocabulary
from seedbed.core.errors import DataError

NOUNS = ["seed", "garden", "flower", "harvest", "gardener", "meadow", "orchard", "flowering", "seedling", "river"]


def texts(rows: Sequence[str | None]) -> Dataset:
    table = pa.table({"text": pa.array(rows, pa.string())})
    return Dataset(rows=datasets.Dataset(table), modality="text", source="somewhere", name="n")


@pytest.fixture(scope="module")
def corpus() -> Dataset:
    """300 texts of 20 words; the second half speaks of things that the first never does."""
    rng = np.random.default_rng(0)
    first = [" ".join(rng.choice(NOUNS, 20)) for _ in range(150)]
    return texts([*first, *(" ".join(rng.choice(["zebra", "quagga"], 20)) for _ in range(150))])


@pytest.fixture(scope="module")
def subwords(corpus: Dataset) -> Vocabulary:
    return learn_vocabulary(corpus, np.arange(150))


def decoded(vocabulary: Vocabulary, text: str) -> str:
    from tokenizers import Tokenizer

    return Tokenizer.from_str(vocabulary.model).decode(vocabulary.encode([text]).ids.tolist()).removeprefix(" ")


def test_frequent_words_are_one_token_each(subwords: Vocabulary) -> None:
    assert subwords.kind == "subword"
    assert len(subwords.encode(["garden flower seedling"]).ids) == 3


def test_a_vocabulary_is_learnt_from_the_given_rows_alone(corpus: Dataset, subwords: Vocabulary) -> None:
    changed = texts([*corpus.rows["text"][:150], *["something else"] * 150])
    assert learn_vocabulary(changed, np.arange(150)) == subwords
    assert len(subwords.encode(["zebra"]).ids) > 1
    assert len(learn_vocabulary(corpus, np.arange(300)).encode(["zebra"]).ids) == 1


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40))
def test_of_subwords_nothing_is_unknown(subwords: Vocabulary, text: str) -> None:
    encoded = subwords.encode([text])
    assert encoded.ids.max() < subwords.size
    if clean(text):
        assert UNKNOWN not in encoded.ids
        assert decoded(subwords, text) == clean(text)
    else:
        assert encoded.ids.tolist() == [UNKNOWN]


def test_special_tokens_in_a_text_are_letters(subwords: Vocabulary) -> None:
    assert subwords.encode(["[PAD]"]).ids.min() > UNKNOWN
    words = learn_vocabulary(texts(["[PAD] [UNK] a"]), np.array([0]))
    assert words.kind == "words"
    assert words.encode(["[PAD]"]).ids.min() > UNKNOWN


def test_ids_lie_end_to_end(subwords: Vocabulary) -> None:
    several = subwords.encode(["garden seed", "", "river"])
    for place, text in enumerate(["garden seed", "", "river"]):
        own = several.ids[several.offsets[place] : several.offsets[place + 1]]
        assert np.array_equal(own, subwords.encode([text]).ids)


def test_little_text_gives_words() -> None:
    found = learn_vocabulary(texts(["The cat sat.", None, "the dog sat; 日本"]), np.arange(3))
    assert found.kind == "words"
    assert found.encode(["THE horse sat"]).ids.tolist()[1] == UNKNOWN
    assert len(found.encode(["日本 dog."]).ids) == 4


def test_without_the_library_words_take_their_place(corpus: Dataset, monkeypatch, caplog) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    found = learn_vocabulary(corpus, np.arange(150))
    assert found.kind == "words"
    assert "tokenizers" in caplog.text
    assert found.size == 2 + len(NOUNS)


def test_a_model_of_subwords_says_which_library_it_needs(subwords: Vocabulary, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(DataError, match="pip install tokenizers"):
        subwords.encode(["garden"])


def test_the_size_follows_from_the_data_or_the_caller(corpus: Dataset) -> None:
    assert learn_vocabulary(corpus, np.arange(150), size=270).size == 270
    assert learn_vocabulary(corpus, np.arange(150), kind="words", size=5).size == 5
    assert learn_vocabulary(corpus, np.arange(150)).size <= 512


def test_a_sample_is_drawn_by_its_seed(corpus: Dataset, monkeypatch) -> None:
    rows = np.arange(300)
    monkeypatch.setattr(module, "MOST_TEXTS", 3)
    monkeypatch.setattr(module, "FEWEST_CHARACTERS", 10)
    assert learn_vocabulary(corpus, rows, seed=1) == learn_vocabulary(corpus, rows, seed=1)
    assert len({learn_vocabulary(corpus, rows, seed=seed).fingerprint for seed in range(4)}) > 1
    monkeypatch.setattr(module, "MOST_TEXTS", 300)
    monkeypatch.setattr(module, "MOST_BYTES", 1_000)
    assert sum(map(len, module._sampled(corpus, rows, 0))) <= 1_000


def test_training_text_without_a_word_is_a_sentence() -> None:
    with pytest.raises(DataError, match="None of the 2 training texts"):
        learn_vocabulary(texts(["", None, "a"]), np.arange(2))


def test_an_endless_word_is_learnt_and_read_in_pieces(corpus: Dataset) -> None:
    found = learn_vocabulary(texts([*corpus.rows["text"][:150], "ab" * 500_000]), np.arange(151))
    assert len(found.encode(["x" * 100_000]).ids) <= 100_000 * 2


def test_texts_are_brought_to_one_form() -> None:
    assert clean("  The\u00a0\uff23\uff21\uff34\n sat\ud800 ") == "the cat sat"
    assert clean("x" * 130).split() == ["x" * 64, "x" * 64, "x" * 2]


@pytest.mark.parametrize("kind", ["subword", "words"])
def test_a_vocabulary_is_kept_as_json(corpus: Dataset, tmp_path, kind) -> None:
    found = learn_vocabulary(corpus, np.arange(150), kind=kind)
    found.save(tmp_path / "vocabulary.json")
    again = load_vocabulary(tmp_path / "vocabulary.json")
    assert again == found
    assert np.array_equal(again.encode(["garden zebra"]).ids, found.encode(["garden zebra"]).ids)


@pytest.mark.parametrize(
    "text", ["", "{}", '{"kind": "runes", "size": 3, "model": ""}', '{"kind": "subword", "size": 3, "model": "{}"}',
             '{"kind": "words", "size": 3, "model": "{}"}', '{"kind": "words", "size": 2, "model": "[]"}']
)  # fmt: skip
def test_a_damaged_vocabulary_is_a_sentence(tmp_path, text: str) -> None:
    (tmp_path / "vocabulary.json").write_text(text)
    with pytest.raises(DataError, match="start the run again"):
        load_vocabulary(tmp_path / "vocabulary.json").encode(["a"])


def test_what_the_user_set_for_the_library_stands(subwords: Vocabulary, monkeypatch) -> None:
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    subwords.encode(["garden"] * 100)
    assert "TOKENIZERS_PARALLELISM" not in os.environ
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    subwords.encode(["garden"])
    assert os.environ["TOKENIZERS_PARALLELISM"] == "true"


def test_the_library_leaves_no_threads_behind() -> None:
    script = (
        "import psutil\n"
        "from seedbed.core.data.preparing import vocabulary\n"
        "before = psutil.Process().num_threads()\n"
        "learnt = vocabulary._learn_subwords(['garden flower tree ' * 20] * 1000, 300)\n"
        "learnt.encode(['garden'] * 2000)\n"
        "print(psutil.Process().num_threads() - before)\n"
    )
    plain = {name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"}
    done = subprocess.run([sys.executable, "-c", script], env=plain, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
