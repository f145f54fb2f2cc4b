"""Write Fashion-MNIST (Xiao et al. 2017) out as 70,000 PNG files in class folders.

    python benchmarks/fashion_mnist.py OUT

makes OUT/train/<class>/00001.png … and OUT/test/<class>/… from the Debian package
dataset-fashion-mnist; files are numbered as in the original, from 00001.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SOURCE = Path("/usr/share/datasets/fashion-mnist")
CLASSES = (
    "T-shirt_top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle_boot",
)
STEMS = {"train": "train", "test": "t10k"}


def load(part: str, source: Path = SOURCE) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, 28, 28) uint8 and labels (N,) of `train` or `test`."""
    files = [source / f"{STEMS[part]}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1")]
    for file in files:
        if not file.is_file():
            raise SystemExit(f"{file} is missing; get it with: apt install dataset-fashion-mnist")
    images, labels = (gzip.decompress(file.read_bytes()) for file in files)
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)  # after the idx header
    return pixels, np.frombuffer(labels, np.uint8, offset=8)


def write(out: Path, source: Path = SOURCE) -> int:
    """Write both parts and return how many files that made; what is there already is written over."""
    count = 0
    for part in STEMS:
        images, labels = load(part, source)
        folders = [out / part / name for name in CLASSES]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        for number, (image, label) in enumerate(zip(images, labels, strict=True), start=1):
            Image.fromarray(image).save(folders[label] / f"{number:05d}.png")
        count += len(images)
    return count


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(f"{write(Path(sys.argv[1])):,} files written to {sys.argv[1]}")
