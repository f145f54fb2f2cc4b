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
from seedbed.core.data.preparing.prepare_series import open_series, prepare_series
from seedbed.core.errors import DataError, Interrupted

Row = Sequence[Sequence[float | None] | None] | None
NAN, INF = float("nan"), float("inf")


def series(rows: Sequence[Row], inner: pa.DataType | None = None) -> Dataset:
    table = pa.table({"series": pa.array(rows, pa.list_(pa.list_(inner or pa.float32())))})
    return Dataset(rows=datasets.Dataset(table), modality="series", source="somewhere", name="n")


def row_of(prepared, row: int) -> list[list[float]]:
    offsets = prepared.offsets()
    return np.array(prepared.values()[offsets[row] : offsets[row + 1]]).tolist()


def test_rows_of_unequal_length_lie_end_to_end(tmp_path) -> None:
    prepared = prepare_series(series([[[1, 2, 3]], [[4]], [[5, 6]]]), tmp_path)
    assert (prepared.rows, prepared.channels) == (3, 1)
    assert prepared.values()[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert prepared.lengths().tolist() == [3, 1, 2]
    assert prepared.usable().all()
    assert prepared.notes == ()


def test_channels_become_columns(tmp_path) -> None:
    prepared = prepare_series(series([[[1, 2], [10, 20]], [[3], [30]]]), tmp_path)
    assert prepared.channels == 2
    assert row_of(prepared, 0) == [[1, 10], [2, 20]]
    assert row_of(prepared, 1) == [[3, 30]]


def test_the_shorter_channel_ends_in_missing_values(tmp_path) -> None:
    prepared = prepare_series(series([[[1, 2, 3], [4]], [[5], [6]]]), tmp_path)
    assert np.array_equal(row_of(prepared, 0), [[1, 4], [2, NAN], [3, NAN]], equal_nan=True)
    assert prepared.notes == ("1 series have channels of unequal length; the shorter ones end in missing values.",)


def test_rows_that_cannot_be_used_come_with_a_reason(tmp_path) -> None:
    rows = [[[1, 2], [3, 4]], None, [], [[], []], [None, None], [[NAN], [None]], [[1, 2]], [[1], [2], [3]]]
    prepared = prepare_series(series([*rows, [[5], [6]]]), tmp_path)
    reasons = dict(prepared.unreadable)
    assert {row: reasons[row] for row in (1, 2, 3, 4)} == dict.fromkeys((1, 2, 3, 4), "is empty")
    assert reasons[5] == "holds no number"
    assert reasons[6] == "has 1 channel, most rows have 2"
    assert reasons[7] == "has 3 channels, most rows have 2"
    assert prepared.lengths().tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 1]
    assert row_of(prepared, 8) == [[5, 6]]


def test_missing_and_infinite_values_are_counted(tmp_path) -> None:
    prepared = prepare_series(series([[[1, NAN, None]], [[INF, 2, 1e300]]], pa.float64()), tmp_path)
    assert np.array_equal(prepared.values()[:, 0], [1, NAN, NAN, NAN, 2, NAN], equal_nan=True)
    assert prepared.notes == (
        "4 of 6 values are missing, in 2 of 2 series.",
        "2 values are infinite or exceed 32-bit floats; they count as missing.",
    )


def test_a_model_says_how_many_channels_it_takes(tmp_path) -> None:
    dataset = series([[[1], [2]], [[3], [4]], [[5]]])
    assert prepare_series(dataset, tmp_path).channels == 2
    prepared = prepare_series(dataset, tmp_path, channels=1)
    assert prepared.channels == 1
    assert prepared.unreadable == ((0, "has 2 channels, the model takes 1"), (1, "has 2 channels, the model takes 1"))
    assert row_of(prepared, 2) == [[5]]


@pytest.mark.parametrize(
    ("rows", "sentence"), [([], "holds no series"), ([[], None], r"None of .* \(2\) can be used: row 0 is empty")]
)
def test_data_without_series_is_a_sentence(tmp_path, rows, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        prepare_series(series(rows), tmp_path)


def test_the_second_time_nothing_is_written(tmp_path, monkeypatch) -> None:
    dataset = series([[[1, 2]], [[3]]])
    first = prepare_series(dataset, tmp_path)
    monkeypatch.setattr("seedbed.core.data.preparing.prepare_series._write", None)  # whoever calls it fails
    assert prepare_series(dataset, tmp_path) == first


def test_other_values_or_bounds_are_other_data(tmp_path) -> None:
    tables = [[[[1, 2]], [[3]]], [[[1]], [[2, 3]]], [[[1, 2]], [[4]]], [[[1], [2]], [[3]]]]
    assert len({prepare_series(series(rows), tmp_path).fingerprint for rows in tables}) == len(tables)


@pytest.mark.parametrize("file", ["values.npy", "offsets.npy", "prepared.json"])
def test_a_damaged_folder_is_made_anew(tmp_path, file: str) -> None:
    dataset = series([[[1, 2]], [[3]]])
    first = prepare_series(dataset, tmp_path)
    damaged = first.folder / file
    damaged.write_bytes(damaged.read_bytes()[:-4])
    with pytest.raises(DataError):
        open_series(first.folder)
    assert prepare_series(dataset, tmp_path).values()[:, 0].tolist() == [1, 2, 3]


def test_stopping_leaves_nothing_and_progress_ends_at_the_total(tmp_path) -> None:
    dataset = series([[[1, 2]], [[3]]])
    with pytest.raises(Interrupted):
        prepare_series(dataset, tmp_path, cancelled=lambda: True)
    assert list(tmp_path.iterdir()) == []
    seen = []
    prepare_series(dataset, tmp_path, report=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2, 2)


numbers = st.one_of(st.none(), st.floats(width=32))
ragged = st.lists(
    st.one_of(st.none(), st.lists(st.one_of(st.none(), st.lists(numbers, max_size=5)), max_size=3)), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(rows=ragged, piece_bytes=st.sampled_from([1, 40, 10**6]))
def test_any_table_is_laid_out_as_it_reads_or_refused(tmp_path_factory, rows, piece_bytes: int) -> None:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "PIECE_BYTES", piece_bytes)  # where pieces end must not matter
        try:
            prepared = prepare_series(series(rows), folder)
        except DataError:
            plain = [value for row in rows for channel in row or [] for value in channel or []]
            assert not any(value is not None and np.isfinite(value) for value in plain)
            return
    assert prepared.fingerprint == prepare_series(series(rows), folder).fingerprint
    for row, is_usable in enumerate(prepared.usable()):
        channels = [[NAN if value is None else value for value in channel or []] for channel in rows[row] or []]
        flat = [value for channel in channels for value in channel]
        assert is_usable == (bool(np.isfinite(flat).any()) and len(channels) == prepared.channels)
        if is_usable:
            steps = max(map(len, channels))
            expected = np.array([channel + [NAN] * (steps - len(channel)) for channel in channels], np.float32).T
            expected[~np.isfinite(expected)] = NAN
            assert np.array_equal(row_of(prepared, row), expected, equal_nan=True)
