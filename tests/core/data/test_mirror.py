from __future__ import annotations

import numpy as np
import pytest

from seedbed.core.data.mirror import mirror_cost
from seedbed.core.data.prepared import PreparedImages
from seedbed.core.data.splitting.split import Splits


def data(tmp_path, images, targets):
    """A prepared folder with all rows in the training part."""
    np.save(tmp_path / "images.npy", images)
    count, height, width, channels = images.shape
    prepared = PreparedImages(
        folder=tmp_path, rows=count, height=height, width=width, channels=channels, fingerprint="made"
    )
    none = np.array([], dtype=np.int64)
    splits = Splits(train=np.arange(count), valid=none, test=none, targets=targets, classes=("a", "b"))
    return prepared, splits


def noisy(count, size=12):
    return np.random.default_rng(0).integers(0, 160, (count, size, size, 1)).astype(np.uint8)


def test_classes_that_are_each_others_mirror_image_cost_much(tmp_path):
    images, targets = noisy(900), np.arange(900) % 2
    images[targets == 0, :, :4] += 60  # the one is bright on the left …
    images[targets == 1, :, -4:] += 60  # … and the other on the right
    cost = mirror_cost(*data(tmp_path, images, targets))
    assert cost > 5


def test_classes_told_apart_by_height_cost_nothing(tmp_path):
    images, targets = noisy(900), np.arange(900) % 2
    images[targets == 0, :4] += 20
    images[targets == 1, -4:] += 20
    assert mirror_cost(*data(tmp_path, images, targets)) == pytest.approx(1, abs=0.4)


def test_too_few_rows_say_nothing(tmp_path):
    assert mirror_cost(*data(tmp_path, noisy(100), np.arange(100) % 2)) is None


@pytest.mark.parametrize(("height", "width"), [(3, 40), (40, 3), (1, 1)])
def test_images_of_any_form_are_measured(tmp_path, height, width):
    images = np.random.default_rng(0).integers(0, 255, (400, height, width, 3)).astype(np.uint8)
    assert mirror_cost(*data(tmp_path, images, np.arange(400) % 2)) > 0
