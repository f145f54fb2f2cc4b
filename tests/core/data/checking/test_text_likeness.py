from __future__ import annotations

import unicodedata

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seedbed.core.data.checking.shingles import near_duplicate_texts
from seedbed.core.data.checking.text_likeness import batches, equal_rows, normalise, series_digests, text_digests
from seedbed.core.data.dataset import Dataset
from seedbed.core.errors import Interrupted


def table(values, name="text", kind=None):
    rows = datasets.Dataset(pa.table({name: pa.array(values, kind)}))
    return Dataset(rows=rows, modality="series" if name == "series" else "text", source="somewhere", name="somewhere")


def equal_texts(values):
    return equal_rows(text_digests(table(values, kind=pa.string()))).tolist()


def equal_series(values, kind=None):
    return equal_rows(series_digests(table(values, "series", kind))).tolist()


def prose(seed, words=30):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("abcdefghijklmnop"), rng.integers(3, 9))) for _ in range(words)]


def near(texts, **options):
    data = table(texts)
    return sorted(map(tuple, near_duplicate_texts(data, text_digests(data), **options).tolist()))


def test_texts_are_equal_whatever_their_case_spaces_and_compatible_signs():
    same = ["The film, again.", " the  FILM,\tagain.\n", "The\u00a0film, again.", "\uff34he \ufb01lm, again."]
    assert equal_texts([*same, "The film again."]) == [[0, 1], [0, 2], [0, 3]]


def test_missing_and_blank_texts_are_equal_to_nothing():
    assert equal_texts([None, "", None, " \n", "\u2003", ""]) == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=8))
@example(["\u00a8", "a\u2028b", "x\u0085", "\u1680"])
def test_normalising_leaves_single_spaces_and_happens_once(values):
    first = normalise(pa.array(values, pa.string()))
    assert first.to_pylist() == [" ".join(each.split()) for each in first.to_pylist()]
    assert normalise(first).equals(first)
    assert len(first) == len(values)


@given(st.text(alphabet=st.characters(max_codepoint=0x7F), max_size=40))
def test_ascii_is_normalised_as_python_would(text):
    assert normalise(pa.array([text])).to_pylist() == [" ".join(unicodedata.normalize("NFKC", text).lower().split())]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["a", "A ", "b", "", "long text " * 9, "é"]), min_size=1, max_size=30))
def test_rows_are_linked_to_the_first_equal_one(values):
    keys = [value.strip().lower() for value in values]
    expected = [[keys.index(key), row] for row, key in enumerate(keys) if key and keys.index(key) < row]
    assert sorted(equal_texts(values)) == sorted(expected)


def test_digests_do_not_depend_on_how_rows_are_batched(monkeypatch):
    data = table([f"text {n % 50}" for n in range(300)])
    whole = text_digests(data)
    monkeypatch.setattr("seedbed.core.data.checking.text_likeness._MOST_BATCH_ROWS", 7)
    assert (text_digests(data) == whole).all()


def test_rows_of_large_texts_come_in_small_batches():
    data = table(["x" * 2**20] * 40)
    assert max(len(values) for _, values in batches(data, "text")) <= 8


def test_a_user_who_stops_is_heard():
    with pytest.raises(Interrupted):
        text_digests(table(["a"]), cancelled=lambda: True)


def test_series_of_equal_values_are_equal():
    values = [[1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [1.0, 2.0], [1.0, 2.0, 3.0, 0.0]]
    assert equal_series(values) == [[0, 2]]


def test_channels_are_told_apart():
    values = [[[1.0, 2.0], [3.0, 4.0]], [[3.0, 4.0], [1.0, 2.0]], [[1.0], [2.0, 3.0, 4.0]], [[1.0, 2.0], [3.0, 4.0]]]
    assert equal_series(values, pa.list_(pa.list_(pa.float32()))) == [[0, 3]]


def test_missing_values_and_signs_of_zero_do_not_matter():
    nan = float("nan")
    assert equal_series([[0.0, nan], [-0.0, nan], [0.0, None], [nan, 0.0]]) == [[0, 1], [0, 2]]


def test_missing_and_empty_series_are_equal_to_nothing():
    assert equal_series([None, [], None, [1.0], []]) == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(-2, 2), max_size=4), min_size=1, max_size=20))
def test_series_are_linked_as_their_values_say(values):
    expected = [[values.index(each), row] for row, each in enumerate(values) if each and values.index(each) < row]
    assert sorted(equal_series(values, pa.list_(pa.int64()))) == sorted(expected)


@pytest.mark.parametrize("kind", ["a word changed", "a word dropped", "the end added to", "punctuation"])
def test_an_edited_text_is_found_and_no_other_is(kind):
    texts = [prose(seed) for seed in range(30)]
    edited = []
    for number, words in enumerate(texts):
        place = number % 28
        if kind == "a word changed":
            edited.append([*words[:place], "changed", *words[place + 1 :]])
        elif kind == "a word dropped":
            edited.append([*words[:place], *words[place + 1 :]])
        elif kind == "the end added to":
            edited.append([*words, "read", "more"])
        else:
            edited.append([*words[:place], words[place] + ",", *words[place + 1 : -1], words[-1] + "!"])
    assert near([" ".join(words) for words in texts + edited]) == [(row, row + 30) for row in range(30)]


def test_short_texts_are_not_near_duplicates():
    assert near(["a very good film", "a very good film!", "a very bad film"]) == []


def test_equal_texts_are_left_to_their_digests():
    text = " ".join(prose(0))
    assert near([text, text.upper(), text + " more"]) == [(0, 2)]


def test_many_copies_of_one_text_are_linked_without_comparing_all_pairs():
    words = prose(0, 60)
    copies = [" ".join([*words[:n], f"copy{n}", *words[n + 1 :]]) for n in range(60)]
    pairs = near(copies)
    assert len({row for pair in pairs for row in pair}) == 60
    assert len(pairs) < 60 * 8


def test_above_the_limit_a_sample_is_compared():
    texts = [" ".join(prose(seed)) for seed in range(40)]
    pairs = near([*texts, *(text + " more" for text in texts)], most_rows=40)
    assert 0 < len(pairs) < 30
    assert all(high == low + 40 for low, high in pairs)


def test_much_text_is_compared_by_a_share_of_its_shingles(monkeypatch):
    monkeypatch.setattr("seedbed.core.data.checking.shingles._MOST_SHINGLES", 20_000)
    texts = [" ".join(prose(seed, 400)) for seed in range(30)]
    assert near([*texts, *(text + " more" for text in texts)]) == [(row, row + 30) for row in range(30)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=12))
def test_any_texts_are_compared(values):
    assert all(0 <= low < high < len(values) for low, high in near(values, least_jaccard=0.5))
