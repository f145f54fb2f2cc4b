"""A tiny, clean set of images on disk, for contracts of readers and checks."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.core.data.dataset import Dataset

if TYPE_CHECKING:
    from seedbed.core.data.prepared import PreparedImages

CLASSES = ("circles", "lines", "spots")
EACH = 10
SIZE = 16


def write_pictures(folder: Path) -> Path:
    """Write ten PNG files of each of three classes, one folder a class; every picture is different."""
    from PIL import Image

    rng = random.Random(0)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(EACH):
            pixels = rng.randbytes(SIZE * SIZE * 3)
            Image.frombytes("RGB", (SIZE, SIZE), pixels).save(folder / name / f"{number:02}.png")
    return folder


def read_pictures(folder: Path) -> Dataset:
    """Return a dataset of the pictures in a folder of class folders."""
    import datasets

    files = sorted(folder.glob("*/*.png"))
    rows = datasets.Dataset.from_dict(
        {
            "image": [{"bytes": None, "path": str(file)} for file in files],
            "target": [file.parent.name for file in files],
            "part": [""] * len(files),
        },
        features=datasets.Features(
            {
                "image": datasets.Image(decode=False),
                "target": datasets.Value("string"),
                "part": datasets.Value("string"),
            }
        ),
    )
    return Dataset(rows=rows, modality="image", source=str(folder), name=folder.name)


def prepare_pictures(folder: Path) -> tuple[Dataset, PreparedImages]:
    """Write the pictures below a folder, read them, and prepare them as the engine does."""
    from seedbed.core.data.preparing.prepare import prepare

    dataset = read_pictures(write_pictures(folder / "pictures"))
    return dataset, prepare(dataset, folder / "cache", threads=1)
