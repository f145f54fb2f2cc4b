"""Data that installed packages carry, for trying things out without a download."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path

import numpy as np

from seedbed import Dataset, NoOptions
from seedbed.core.data.columns import image_rows
from seedbed.core.data.dataset import Part, ReadContext
from seedbed.core.errors import DataError, UnknownName

NAMES = ("digits",)
TEST_SHARE = 0.2


def build(options: NoOptions) -> Demo:
    """Build the reader."""
    return Demo()


class Demo:
    """Reads `demo:NAME`."""

    def read(self, source: str, context: ReadContext) -> Dataset:
        """Return the data set of this name.

        Raises:
            DataError: there is none.
        """
        name = source.partition(":")[2]
        if name not in NAMES:
            raise DataError(str(UnknownName("demo data set", name, NAMES, hint="Write demo:digits.")))
        return _digits(source)


def _digits(source: str) -> Dataset:
    """Return the digits of the UCI test set as grey PNGs of 8 by 8 pixels, a fifth of each class for test.

    The test rows are always the same, whatever the seed of a run, so that runs can be compared.
    """
    pixels, labels = _load_digits()
    scaled = (pixels.astype(np.uint16) * 255 + 8) // 16  # 0 … 16 → 0 … 255
    images = [_png(image) for image in scaled.astype(np.uint8)]
    parts: list[Part] = ["test" if is_test else "" for is_test in _test_rows(labels)]
    return Dataset(
        rows=image_rows(images, [str(label) for label in labels], parts),
        modality="image",
        source=source,
        name="digits",
    )


def _test_rows(labels: np.ndarray) -> np.ndarray:
    """Return a mask of the test rows: `TEST_SHARE` of each class, drawn with a fixed seed."""
    rng = np.random.RandomState(0)  # the one generator whose stream numpy promises never to change
    mask = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        mask[rows[: round(TEST_SHARE * len(rows))]] = True
    return mask


def _load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (1797, 8, 8) in 0 … 16 and labels (1797,), without importing scikit-learn (3 s)."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataError("demo:digits comes with scikit-learn, which is missing: pip install scikit-learn.")
    file = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if not file.is_file():  # it has moved: ask the package itself
        from sklearn.datasets import load_digits

        found = load_digits()
        return found.images.astype(np.uint8), found.target.astype(np.int64)
    table = np.loadtxt(file, delimiter=",", dtype=np.float64).astype(np.int64)
    return table[:, :-1].reshape(-1, 8, 8).astype(np.uint8), table[:, -1]


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
