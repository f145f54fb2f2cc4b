from __future__ import annotations

import datasets
import numpy as np
import pyarrow as pa
import pytest
import torch

from seedbed.core.data.dataset import Dataset
from seedbed.core.data.feeding.series import Series
from seedbed.core.data.preparing.prepare_series import prepare_series
from seedbed.core.data.view import View

CPU = torch.device("cpu")
VIEW = View(channels=1, mean=(10.0,), std=(2.0,))


@pytest.fixture
def series(tmp_path):
    rows = [[[10.0, 12.0, 14.0]], [[8.0]], [[]], [[10.0, None, 6.0, 10.0]]]
    table = pa.table({"series": pa.array(rows, pa.list_(pa.list_(pa.float32())))})
    dataset = Dataset(rows=datasets.Dataset(table), modality="series", source="somewhere", name="n")
    return Series(prepare_series(dataset, tmp_path).folder, CPU)


def test_rows_are_standardised_padded_with_zeros_and_masked(series):
    values, mask = series.gather(torch.tensor([1, 0]), VIEW)
    assert values.tolist() == [[[-1.0, 0.0, 0.0]], [[0.0, 1.0, 2.0]]]
    assert mask.tolist() == [[True, False, False], [True, True, True]]
    assert values.dtype == torch.float32


def test_a_missing_value_counts_as_the_mean_and_its_step_as_there(series):
    values, mask = series.gather(torch.tensor([3]), VIEW)
    assert values.tolist() == [[[0.0, 0.0, -2.0, 0.0]]]
    assert bool(mask.all())


@pytest.mark.parametrize("rows", [[2], [2, 0]])
def test_a_row_without_steps_has_one_of_zeros(series, rows):
    values, mask = series.gather(torch.tensor(rows), VIEW)
    assert mask[0].sum() == 1
    assert float(values[0].abs().sum()) == 0


def test_lengths_are_those_of_the_rows(series):
    assert series.lengths().tolist() == [3, 1, 0, 4]
    assert len(series) == 4


def test_nothing_is_changed_after_augmentation(series):
    inputs = series.gather(torch.tensor([0]), VIEW)
    assert series.ready(inputs, VIEW) is inputs
    assert np.array_equal(series.values.ravel()[:3], [10, 12, 14])
