"""Inputs without a known form: arrays, pictures and paths in memory, or an address with or without labels."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seedbed.core.data.columns import Origin, image_rows
from seedbed.core.data.dataset import Dataset, Part
from seedbed.core.data.read import read
from seedbed.core.errors import DataError
from seedbed.core.protocols import Lookup

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})

_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})


def dataset_at(source: str, lookup: Lookup) -> Dataset:
    """Return all images at an address, labelled or not: a file, a folder of any form, or what a reader knows.

    Raises:
        DataError: there is no image.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        files: list[Origin] = list(_images_below(path))
    elif path.is_file() and path.suffix.lower() in SUFFIXES:
        files = [str(path)]
    else:
        return read(source, lookup)
    if not files:
        raise DataError(f"{source} holds no images ({', '.join(sorted(SUFFIXES))}).")
    return _unlabelled(files, source)


def dataset_of(inputs: Any, targets: Sequence[Any] | None = None, part: Part = "") -> Dataset:  # noqa: ANN401
    """Return inputs in memory as a dataset.

    Args:
        inputs: an array of images, (N, H, W) or (N, H, W, C) with 1 or 3 channels, uint8 or floats in
            [0, 1]; or a sequence of such single arrays, of paths, of encoded bytes or of PIL images.
        targets: one label for each.

    Raises:
        DataError: the inputs are nothing of these, or their number is not that of the targets.
    """
    if isinstance(inputs, str | bytes | os.PathLike):
        raise DataError("Give a list of inputs, even for a single one: [input].")
    try:
        found = [_encoded(each, row) for row, each in enumerate(inputs)]
    except TypeError as error:
        raise DataError(
            f"Inputs of the type {type(inputs).__name__} cannot be gone through ({error}); give a list."
        ) from error
    if not found:
        raise DataError("There are no inputs; give at least one.")
    if targets is None:
        return _unlabelled(found, "memory")
    labels = [str(each) for each in targets]
    if len(labels) != len(found):
        raise DataError(f"There are {len(found):,} inputs but {len(labels):,} targets; give one target for each.")
    return Dataset(
        rows=image_rows(found, labels, [part] * len(found)), modality="image", source="memory", name="memory"
    )


def _unlabelled(images: Sequence[Origin], source: str) -> Dataset:
    count = len(images)
    return Dataset(
        rows=image_rows(images, [""] * count, [""] * count),
        modality="image",
        source=source,
        name=Path(source).name or "images",
    )


def _images_below(folder: Path) -> Iterator[str]:
    for root, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield str(Path(root) / name)


def _encoded(image: Any, row: int) -> Origin:  # noqa: ANN401 - whatever the user gave
    match image:
        case bytes():
            return image
        case str() | os.PathLike():
            return str(Path(image).expanduser())
        case Image.Image():
            return _as_file(image)
        case _:
            return _as_file(Image.fromarray(_pixels(np.asarray(image), row)))


def _pixels(array: np.ndarray, row: int) -> np.ndarray:
    """Return uint8 (H, W) or (H, W, 3)."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3) or not array.size:
        raise DataError(
            f"Input {row} has the shape {array.shape}; an image is (H, W), (H, W, 1) or (H, W, 3). "
            "Flat rows of features are no images: reshape them to height and width."
        )
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "f" and float(array.min(initial=0)) >= 0 and float(array.max(initial=0)) <= 1:
        return np.asarray((array * 255).round(), dtype=np.uint8)
    if array.dtype.kind in "iu" and int(array.min(initial=0)) >= 0 and int(array.max(initial=0)) <= 255:
        return array.astype(np.uint8)
    values = f" and values from {array.min()} to {array.max()}" if array.dtype.kind in "fiu" else ""
    raise DataError(
        f"Input {row} has the type {array.dtype}{values}; give uint8, integers in 0 to 255, or floats in 0 to 1."
    )


def _as_file(image: Image.Image) -> bytes:
    buffer, exif = io.BytesIO(), image.getexif()  # the orientation counts, as it does for a file
    if image.mode in ("I", "F"):  # more than PNG can hold
        image.save(buffer, "TIFF", exif=exif)
    else:
        picture = image if image.mode in _PNG_MODES else image.convert("RGB")
        picture.save(buffer, "PNG", compress_level=1, exif=exif)
    return buffer.getvalue()
