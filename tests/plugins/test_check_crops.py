from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from seedbed import NoOptions
from seedbed.core.data.check import input_of
from seedbed.core.data.columns import image_rows
from seedbed.core.data.dataset import Dataset
from seedbed.core.data.features import Features
from seedbed.core.data.preparing.prepare import prepare
from seedbed.plugins.checks.crops import cropped_copies


@pytest.fixture
def given(tmp_path):
    """Eight pictures of soft shapes, and a ninth that shows the first without a little of its border."""
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(8):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        pictures.append(coarse.resize((64, 64), Image.Resampling.BICUBIC))
    pictures.append(pictures[0].crop((3, 2, 62, 61)).resize((64, 64), Image.Resampling.BICUBIC))
    files = [str(tmp_path / f"{number}.png") for number in range(9)]
    for picture, file in zip(pictures, files, strict=True):
        picture.save(file)
    rows = image_rows(files, ["a", "b", "c"] * 3, [""] * 9)
    dataset = Dataset(rows=rows, modality="image", source=str(tmp_path), name="made")
    found = input_of(dataset, prepare(dataset, tmp_path / "cache"))
    values = rng.normal(size=(9, 32)).astype(np.float32)
    values[8] = values[0] + 0.05 * rng.normal(size=32)  # a backbone sees much the same in both
    values[7] = values[1] + 0.05 * rng.normal(size=32)  # and is mistaken in these two
    return replace(found, features=Features(rows=np.arange(9), values=values, source="made"))


def test_a_crop_is_found_and_bound_to_its_original(given):
    (repair,) = cropped_copies(NoOptions())(given)
    assert repair.finding.rows == ("0.png", "8.png")
    assert np.flatnonzero(repair.together >= 0).tolist() == [0, 8]
    assert repair.is_safe


def test_without_features_nothing_is_said(given):
    assert list(cropped_copies(NoOptions())(replace(given, features=None))) == []
