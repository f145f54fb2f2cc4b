from __future__ import annotations

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.data import describe as module
from seedbed.core.data.dataset import Dataset
from seedbed.core.data.describe import describe, lengths_of, pixel_statistics
from seedbed.core.data.prepared import PreparedImages
from seedbed.core.data.preparing.prepare import prepare
from seedbed.core.data.preparing.prepare_series import prepare_series
from seedbed.core.data.preparing.prepare_text import prepare_text
from seedbed.core.data.preparing.tokens import tokenise
from seedbed.core.data.preparing.vocabulary import learn_vocabulary
from seedbed.core.data.profile import Lengths
from seedbed.core.data.splitting.split import Splits
from seedbed.core.task import Task

CLASSES = Task(modality="text", kind="classification", metric="accuracy", classes=("a", "b"))
VALUES = Task(modality="series", kind="regression", metric="mae")
LABELS = Task(modality="image", kind="multilabel", metric="macro_f1", classes=("a", "b", "c"))


@pytest.fixture
def prepared(save, as_dataset, tmp_path) -> PreparedImages:
    return prepare(as_dataset([save(f"{n}.png", mode="RGB") for n in range(6)]), tmp_path / "cache")


def test_the_profile_measures_the_training_rows_alone(prepared: PreparedImages) -> None:
    splits = Splits(
        train=np.array([0, 1, 4]),
        valid=np.array([2]),
        test=np.array([3]),
        targets=np.array([0, 1, 1, 0, 1, -1]),
        classes=("a", "b"),
    )
    task = Task(modality="image", kind="classification", metric="accuracy", classes=("a", "b"))
    profile = describe(prepared, splits, task)
    pixels = prepared.images()[[0, 1, 4]] / 255
    assert profile.mean == pytest.approx(pixels.mean(axis=(0, 1, 2)))
    assert profile.std == pytest.approx(pixels.std(axis=(0, 1, 2)))
    assert (profile.examples, profile.train, profile.valid, profile.test) == (5, 3, 1, 1)
    assert profile.class_counts == (1, 2)
    assert (profile.height, profile.width, profile.channels) == (8, 8, 3)
    assert profile.fingerprint == prepared.fingerprint


def test_a_sample_is_enough_and_always_the_same(prepared: PreparedImages, monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 2)
    rows = np.arange(6)
    assert pixel_statistics(prepared, rows) == pixel_statistics(prepared, rows)
    pairs = [pixel_statistics(prepared, np.array([a, b])) for a in range(6) for b in range(a)]
    assert pixel_statistics(prepared, rows) in pairs


def test_a_deviation_can_be_divided_by(as_dataset, tmp_path) -> None:
    from PIL import Image

    Image.new("L", (8, 8), 9).save(tmp_path / "blank.png")
    blank = prepare(as_dataset([tmp_path / "blank.png"]), tmp_path / "cache")
    assert pixel_statistics(blank, np.array([0])) == ((9 / 255,), (1 / 255,))


@pytest.fixture
def texts() -> Dataset:
    rows = ["one two three", "one", "one two three four five six", "", "one two"]
    return Dataset(rows=datasets.Dataset(pa.table({"text": rows})), modality="text", source="s", name="n")


def parts(targets: np.ndarray, classes: tuple[str, ...] = (), **more: object) -> Splits:
    """Rows 0, 1, 4 for training, 2 for validation."""
    return Splits(
        train=np.array([0, 1, 4]), valid=np.array([2]), test=np.array([], int), targets=targets, classes=classes, **more
    )


def test_texts_are_measured_in_words_until_there_are_tokens(texts: Dataset, tmp_path) -> None:
    prepared = prepare_text(texts, tmp_path)
    splits = parts(np.array([0, 1, 1, -1, 1]), ("a", "b"))
    profile = describe(prepared, splits, CLASSES)
    assert profile.lengths == Lengths(least=1, usual=2, most=3, longest=3)
    assert (profile.vocabulary, profile.class_counts, profile.mean) == (0, (1, 2), ())
    assert profile.fingerprint == prepared.fingerprint
    vocabulary = learn_vocabulary(texts, splits.train, kind="words")
    tokens = tokenise(texts, vocabulary, tmp_path, prepared.fingerprint, longest=2)
    profile = describe(prepared, splits, CLASSES, tokens)
    assert profile.lengths == Lengths(least=1, usual=2, most=2, longest=2)
    assert profile.vocabulary == vocabulary.size == 5


def test_series_are_measured_in_steps_and_values_in_their_spread(tmp_path) -> None:
    rows = [[[1.0, 2.0], [5.0, 5.0]], [[3.0], [5.0]], [[100.0], [7.0]], [[None], [None]], [[2.0], [5.0]]]
    table = pa.table({"series": pa.array(rows, pa.list_(pa.list_(pa.float32())))})
    dataset = Dataset(rows=datasets.Dataset(table), modality="series", source="s", name="n", kind="regression")
    splits = parts(np.array([1.0, 3.0, 50.0, np.nan, 5.0]), kind="regression")
    profile = describe(prepare_series(dataset, tmp_path), splits, VALUES)
    assert profile.channels == 2
    assert profile.mean == pytest.approx((2, 5))
    assert profile.std == pytest.approx((0.5**0.5, 5))
    assert profile.lengths == Lengths(least=1, usual=1, most=2, longest=2)
    assert (profile.target_mean, profile.target_std) == pytest.approx((3, (8 / 3) ** 0.5))
    assert profile.class_counts == ()


def test_equal_targets_can_be_divided_by_their_spread(texts: Dataset, tmp_path) -> None:
    profile = describe(prepare_text(texts, tmp_path), parts(np.full(5, 7.1), kind="regression"), VALUES)
    assert (profile.target_mean, profile.target_std) == (pytest.approx(7.1), 1.0)


def test_targets_whose_squares_no_float_holds_have_a_spread(texts: Dataset, tmp_path) -> None:
    values = np.array([1e300, -1e300, 1e300, -1e300, 0.0])
    profile = describe(prepare_text(texts, tmp_path), parts(values, kind="regression"), VALUES)
    assert np.isfinite([profile.target_mean, profile.target_std]).all()
    assert profile.target_std > 1e299


def test_every_label_of_a_row_counts(prepared: PreparedImages) -> None:
    labels = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=np.uint8)
    profile = describe(prepared, parts(labels, ("a", "b", "c"), kind="multilabel"), LABELS)
    assert profile.class_counts == (1, 3, 0)
    assert profile.mirror_cost is None
    assert profile.height == 8


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=50))
def test_lengths_are_those_of_some_row_and_in_order(lengths: list[int]) -> None:
    found = lengths_of(np.array([*lengths, 10**7]), np.arange(len(lengths)))
    assert {found.least, found.usual, found.most, found.longest} <= set(lengths)
    assert found.least == min(lengths) <= found.usual <= found.most <= found.longest == max(lengths)
    assert sum(length <= found.most for length in lengths) >= 0.95 * len(lengths)


def test_no_rows_have_no_length() -> None:
    assert lengths_of(np.array([3]), np.array([], dtype=int)) == Lengths(least=0, usual=0, most=0, longest=0)
