from __future__ import annotations

import numpy as np
import pytest

from seedbed.core.data import describe as module
from seedbed.core.data.describe import describe, pixel_statistics
from seedbed.core.data.prepare import Prepared, prepare
from seedbed.core.data.split import Splits
from seedbed.core.task import Task


@pytest.fixture
def prepared(save, as_dataset, tmp_path) -> Prepared:
    return prepare(as_dataset([save(f"{n}.png", mode="RGB") for n in range(6)]), tmp_path / "cache")


def test_the_profile_measures_the_training_rows_alone(prepared: Prepared) -> None:
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


def test_a_sample_is_enough_and_always_the_same(prepared: Prepared, monkeypatch) -> None:
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
