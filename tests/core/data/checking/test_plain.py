from __future__ import annotations

import sys
import warnings
from subprocess import run

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prepared_files import prepared_series

from seedbed.core.data.checking import plain
from seedbed.core.data.checking.plain import edge_directions, mean_cells, plain_features, resampled, spread
from seedbed.core.data.dataset import Dataset
from seedbed.core.data.prepared import PreparedImages, PreparedText


def rows_of(modality, values):
    table = pa.table({modality: pa.array(values, pa.string() if modality == "text" else None)})
    return Dataset(rows=datasets.Dataset(table), modality=modality, source="made", name="made")


def images(folder, pixels):
    np.save(folder / "images.npy", pixels)
    count, height, width, channels = pixels.shape
    return PreparedImages(folder=folder, rows=count, fingerprint="made", height=height, width=width, channels=channels)


def see(prepared, values=None, rows=None, modality="image"):
    dataset = rows_of(modality, [""] * prepared.rows if values is None else values)
    return plain_features(dataset, prepared, np.arange(prepared.rows) if rows is None else rows)


def see_texts(folder, texts, **options):
    return see(PreparedText(folder=folder, rows=len(texts), fingerprint="made"), texts, modality="text", **options)


def right(features, targets):
    """The share that a ridge classifier fitted on the first half tells right in the second."""
    half = len(targets) // 2
    scale = features.values.std(0)
    values = (features.values - features.values.mean(0)) / (scale + 0.3 * scale.max() + 1e-6)
    seen, wanted = values[:half], np.eye(targets.max() + 1)[targets[:half]]
    inner = seen @ seen.T + 0.1 * values.shape[1] * np.eye(half)
    return float(((values[half:] @ seen.T @ np.linalg.solve(inner, wanted)).argmax(1) == targets[half:]).mean())


# Images.


def test_a_linear_model_tells_digits_apart_better_than_by_their_pixels(tmp_path):
    from sklearn.datasets import load_digits

    digits = load_digits()
    found = see(images(tmp_path, (digits.images * 15.9).astype(np.uint8)[..., None]))
    assert found.values.shape == (1797, 8 * 8 * 9)
    assert found.source == "16 by 16 mean cells and edge directions"
    assert right(found, digits.target) > 0.94  # by the pixels alone 0.90


@pytest.mark.parametrize(("height", "width", "channels"), [(1, 1, 1), (3, 40, 3), (200, 2, 1), (17, 130, 3)])
def test_images_of_any_form_have_features(tmp_path, height, width, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, height, width, channels)).astype(np.uint8)
    found = see(images(tmp_path, pixels))
    assert found.values.dtype == np.float32
    assert np.isfinite(found.values).all()
    assert len(np.unique(found.values, axis=0)) == 5


@given(height=st.integers(1, 40), width=st.integers(1, 40), cells=st.integers(1, 20), channels=st.sampled_from([1, 3]))
@settings(max_examples=30, deadline=None)
def test_cells_weighted_by_their_size_have_the_mean_of_the_image(height, width, cells, channels):
    made = np.random.default_rng(height * 41 + width).random((2, height, width, channels)).astype(np.float32)
    found = mean_cells(made, cells)
    assert found.shape == (2, min(cells, height), min(cells, width), channels)
    tall, wide = (np.diff(np.linspace(0, side, min(cells, side) + 1).astype(int)) for side in (height, width))
    areas = np.outer(tall, wide)[None, :, :, None]
    assert np.allclose((found * areas).sum((1, 2)) / areas.sum(), made.mean((1, 2)), atol=1e-5)


def test_an_edge_is_felt_most_in_the_direction_in_which_it_gets_brighter():
    bright_right = np.tile(np.arange(16, dtype=np.float32), (16, 1))
    found = edge_directions(np.stack([bright_right, bright_right.T, -bright_right, -bright_right.T]))
    assert found.shape == (4, 8, 8, 8)
    angles = [0, 4, 1, 5, 2, 6, 3, 7]  # of the directions, in eighths of a turn
    felt = [angles[each] for each in found[:, 4, 4].argmax(1)]
    assert felt == [0, 2, 4, 6]


# Series.


def wave(steps, turns, rng, channels=1):
    phase = rng.random(channels) * 2 * np.pi
    return np.sin(np.linspace(0, turns * 2 * np.pi, steps)[:, None] + phase) + rng.normal(0, 0.2, (steps, channels))


def test_series_of_unequal_length_are_told_apart_by_their_shape(tmp_path):
    rng, targets = np.random.default_rng(0), np.arange(200) % 2
    made = prepared_series(
        tmp_path, [wave(rng.integers(40, 300), 9 if each else 6, rng, channels=2) for each in targets]
    )
    found = see(made, modality="series")
    assert found.values.shape == (200, 2 * 64 + 4 * 2 + 1 + 84 * 3 * 2)
    assert right(found, targets) > 0.9


@given(lengths=st.lists(st.integers(1, 90), min_size=1, max_size=5), steps=st.integers(1, 70))
@settings(max_examples=30, deadline=None)
def test_resampling_keeps_the_mean_of_each_row_and_straight_lines_straight(lengths, steps):
    rng = np.random.default_rng(len(lengths))
    values, counts = rng.normal(size=(sum(lengths), 2)), np.array(lengths)
    found = resampled(values, counts, steps)
    assert found.shape == (len(lengths), steps, 2)
    means = [each.mean(0) for each in np.split(values, np.cumsum(lengths)[:-1])]
    assert np.allclose(found.mean(1), means, atol=1e-5)
    level = resampled(np.repeat(np.arange(len(lengths)), counts)[:, None] * 1.0, counts, steps)
    assert np.allclose(level[..., 0], np.arange(len(lengths))[:, None])


def test_gaps_empty_rows_and_huge_values_spoil_nothing_around_them(tmp_path):
    rng = np.random.default_rng(0)
    pieces = [wave(50, 3, rng, 2) for _ in range(6)]
    clean = see(prepared_series(tmp_path, pieces), modality="series")
    pieces[1] = np.full((50, 2), 1e38)
    pieces[2] = np.full((50, 2), np.nan)
    pieces[3] = np.empty((0, 2))
    pieces[4] = pieces[4].copy()
    pieces[4][7] = np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = see(prepared_series(tmp_path, pieces), modality="series")
    assert np.isfinite(found.values).all()
    own = 2 * 64 + 2 * 4 + 1  # of the convolutions, the biases come from all rows
    for row in (0, 5):
        assert np.array_equal(found.values[row, :own], clean.values[row, :own])
    assert not found.values[2, : 2 * 64].any()


def test_series_of_a_thousand_channels_stay_of_a_size_to_work_with(tmp_path):
    found = see(
        prepared_series(tmp_path, [np.random.default_rng(0).normal(size=(20, 1000)) for _ in range(3)]),
        modality="series",
    )
    assert found.values.shape == (3, 1000 * (2 + 4) + 1 + 504)


def test_rows_of_a_block_are_seen_as_they_are_alone(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    made = prepared_series(tmp_path, [wave(rng.integers(5, 90), 3, rng) for _ in range(70)])
    together = see(made, modality="series").values
    monkeypatch.setattr(plain, "_BLOCK_STEPS", 1)
    assert np.allclose(see(made, modality="series").values, together, atol=2 / 64)


# Text.


def test_texts_are_told_apart_by_their_words(tmp_path):
    rng, targets = np.random.default_rng(0), np.arange(200) % 2
    words = [["dull", "slow", "tired"], ["bright", "quick", "witty"]]
    texts = [f"the film {rng.integers(9)} is {rng.choice(words[each])} on day {rng.integers(99)}" for each in targets]
    found = see_texts(tmp_path, texts)
    assert found.values.shape[1] < 200  # of 200 texts that have much in common
    assert found.values.dtype == np.float32
    assert found.source == "main directions of hashed words and letters"
    assert right(found, targets) == 1.0


@pytest.mark.parametrize(
    "texts", [["", ""], ["word"], ["...", "!", "?"], [None, "some words"], ["the same"] * 9, ["é𝄞 \0 \n" * 20_000, "x"]]
)
def test_no_text_is_too_odd(tmp_path, texts):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = see_texts(tmp_path, texts)
    assert len(found.values) == len(texts)
    assert np.isfinite(found.values).all()


def test_of_many_texts_a_sample_is_described_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(plain, "_TEXTS", 60)
    monkeypatch.setattr(plain, "_FITTED", 25)
    texts = [f"text of {'abcdefghij'[each % 10] * 3}" for each in range(300)]
    found = see_texts(tmp_path, texts, rows=np.arange(100, 300))
    assert len(found) == len(found.values) == 60
    assert np.all(np.diff(found.rows) > 0)
    assert found.rows.min() >= 100
    alike = found.rows[:, None] % 10 == found.rows % 10
    assert np.array_equal(alike, np.abs(found.values[:, None] - found.values).max(2) < 1e-4)


# All.


@pytest.mark.parametrize("modality", ["image", "series", "text"])
def test_features_repeat_exactly_and_name_the_rows_asked_for(tmp_path, modality):
    rng, rows = np.random.default_rng(0), np.array([7, 3, 12])
    if modality == "text":
        one, two = (see_texts(tmp_path, [f"text {each}" for each in range(20)], rows=rows) for _ in range(2))
    else:
        pixels = rng.integers(0, 256, (20, 9, 9, 1)).astype(np.uint8)
        made = (
            images(tmp_path, pixels)
            if modality == "image"
            else prepared_series(tmp_path, list(rng.normal(size=(20, 9, 1))))
        )
        one, two = (see(made, rows=rows, modality=modality) for _ in range(2))
    assert one.rows.tolist() == [3, 7, 12]
    assert one.rows.dtype == np.int64
    assert np.array_equal(one.values, two.values)


@pytest.mark.parametrize("modality", ["image", "series"])
def test_no_more_rows_are_described_than_memory_allows(tmp_path, modality, monkeypatch):
    monkeypatch.setattr(plain, "MOST_BYTES", 100_000)
    pixels = np.zeros((400, 8, 8, 1), dtype=np.uint8)
    made = images(tmp_path, pixels) if modality == "image" else prepared_series(tmp_path, list(np.zeros((400, 4, 1))))
    found = see(made, modality=modality)
    assert 0.5 * 100_000 < found.values.nbytes <= 100_000
    assert np.ptp(np.histogram(found.rows, bins=2, range=(0, 400))[0]) < len(found) / 2


@pytest.mark.parametrize("modality", ["image", "series", "text"])
def test_no_rows_have_no_features(tmp_path, modality):
    none = np.array([], dtype=np.int64)
    made = images(tmp_path, np.zeros((2, 8, 8, 1), dtype=np.uint8))
    if modality != "image":
        made = prepared_series(tmp_path, list(np.zeros((2, 4, 1))))
    found = (
        see_texts(tmp_path, ["a", "b"], rows=none) if modality == "text" else see(made, rows=none, modality=modality)
    )
    assert len(found) == len(found.values) == 0


@given(st.lists(st.integers(0, 3), min_size=1, max_size=200), st.integers(0, 5))
@example(codes=[0, 1] * 1000, seed=0)
@settings(max_examples=50, deadline=None)
def test_every_beginning_of_a_spread_order_has_each_stratums_share(codes, seed):
    strata = np.array(codes)
    order = spread(np.arange(len(codes)), strata, seed)
    assert sorted(order.tolist()) == list(range(len(codes)))
    for end in range(1, len(codes) + 1):
        taken = np.bincount(strata[order[:end]], minlength=4)
        wanted = np.bincount(strata, minlength=4) * end / len(codes)
        assert np.abs(taken - wanted).max() <= 4


def test_torch_is_not_needed():
    code = "import seedbed.core.data.checking.plain, sys; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
