from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prepared_files import prepared_series

from seedbed.core.data.preparing import padding
from seedbed.core.data.preparing.padding import pad, series_statistics

ZERO, ONE = np.zeros(1), np.ones(1)


@given(
    steps=st.lists(st.integers(0, 9), min_size=1, max_size=8),
    length=st.one_of(st.none(), st.integers(1, 12)),
    channels=st.integers(1, 3),
    data=st.data(),
)
def test_rows_are_where_the_mask_says(steps: list[int], length: int | None, channels: int, data) -> None:
    rows = np.array(data.draw(st.lists(st.integers(0, len(steps) - 1), max_size=6)), dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(steps)])
    values = np.random.default_rng(0).normal(3, 2, (offsets[-1], channels)).astype(np.float32)
    mean, std = np.full(channels, 3.0), np.full(channels, 2.0)
    batch = pad(values, offsets, rows, mean=mean, std=std, length=length)
    longest = max((steps[row] for row in rows), default=0) if length is None else length
    assert batch.values.shape == (len(rows), channels, longest)
    assert batch.values.dtype == np.float32
    assert batch.mask.shape == (len(rows), longest)
    for place, row in enumerate(rows):
        kept = min(steps[row], longest)
        assert batch.mask[place].tolist() == [True] * kept + [False] * (longest - kept)
        expected = (values[offsets[row] : offsets[row] + kept] - mean) / std
        assert batch.values[place, :, :kept] == pytest.approx(expected.T, abs=1e-5)
        assert not batch.values[place, :, kept:].any()
    assert batch.cut == sum(steps[row] > longest for row in rows)


def test_a_missing_value_is_the_mean_and_its_step_is_there() -> None:
    values = np.array([[1.0, np.nan], [3.0, 8.0]], dtype=np.float32)
    batch = pad(values, np.array([0, 2]), np.array([0]), mean=np.array([1.0, 4.0]), std=np.array([1.0, 2.0]))
    assert batch.values.tolist() == [[[0, 2], [0, 2]]]
    assert batch.mask.all()


def test_an_outlier_stays_within_half_precision() -> None:
    values = np.array([[3e38], [-3e38]], dtype=np.float32)
    batch = pad(values, np.array([0, 2]), np.array([0]), mean=ZERO, std=ONE * 1e-3)
    assert np.isfinite(batch.values.astype(np.float16)).all()


def test_statistics_are_those_of_the_rows_asked_for(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(padding, "_CHUNK_VALUES", 10)
    rng = np.random.default_rng(0)
    rows = [rng.normal((5, 1e6), (2, 0.5), (n, 2)) for n in (3, 1, 17, 4, 60)]
    rows[2][5:9, 0] = np.nan
    data = prepared_series(tmp_path, rows)
    mean, std = series_statistics(data, np.array([0, 2, 4]))
    chosen = np.concatenate([rows[0], rows[2], rows[4]]).astype(np.float32).astype(np.float64)
    assert mean == pytest.approx(np.nanmean(chosen, axis=0), rel=1e-9)
    assert std == pytest.approx(np.nanstd(chosen, axis=0), rel=1e-6)


def test_a_constant_or_empty_channel_can_be_divided_by(tmp_path) -> None:
    row = np.array([[0.1, 500.0, np.nan, 1e-9], [0.1, 500.0, np.nan, 3e-9]])
    mean, std = series_statistics(prepared_series(tmp_path, [row]), np.array([0]))
    assert mean == pytest.approx([0.1, 500, 0, 2e-9])
    assert std == pytest.approx([1, 500, 1, 1e-9])
    assert series_statistics(prepared_series(tmp_path, [row]), np.array([], dtype=np.int64))[1].tolist() == [1] * 4


def test_a_sample_is_enough_and_always_the_same(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(padding, "MOST_VALUES", 100)
    data = prepared_series(tmp_path, [np.full((7, 1), float(n)) for n in range(100)])
    rows = np.arange(100)
    assert series_statistics(data, rows) == series_statistics(data, rows)
    assert series_statistics(data, rows)[0] != pytest.approx(49.5, abs=1e-9)
    monkeypatch.setattr(padding, "MOST_VALUES", 1)
    assert series_statistics(data, rows)[0] in range(100)
