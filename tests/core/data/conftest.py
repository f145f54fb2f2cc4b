from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seedbed.core.data.columns import Origin, image_rows
from seedbed.core.data.dataset import Dataset

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write random pixels as an image file: `save("a/1.png", mode="RGB", size=(8, 8))`."""
    rng = np.random.default_rng(0)

    def write(name: str, mode: str = "L", size: tuple[int, int] = (8, 8), **options: object) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(file, **options)
        return file

    return write


@pytest.fixture
def as_dataset() -> Callable[..., Dataset]:
    """Make a dataset of images; targets and parts matter only where a test says so."""

    def make(images: Sequence[Origin | Path], targets: Sequence[str] | None = None) -> Dataset:
        origins = [str(each) if isinstance(each, Path) else each for each in images]
        rows = image_rows(origins, targets or [str(n % 2) for n in range(len(origins))], [""] * len(origins))
        return Dataset(rows=rows, modality="image", source="somewhere", name="somewhere")

    return make
