"""One picture, array, path or file in memory → an encoded image; what decode undoes."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seedbed.core.data.columns import Origin
from seedbed.core.errors import DataError

_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})


def encoded_image(image: Any, row: int) -> Origin:  # noqa: ANN401 - whatever the user gave
    """Return one image, a path, encoded bytes, a picture or an array, as bytes or as a path.

    Raises:
        DataError: it is none of these; `row` is named.
    """
    match image:
        case bytes():
            return image
        case str() | os.PathLike():
            return str(Path(image).expanduser())
        case Image.Image():
            return as_file(image)
        case _:
            return as_file(Image.fromarray(_pixels(np.asarray(image), row)))


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


def as_file(image: Image.Image) -> bytes:
    """Return a picture as the bytes of a file, without loss where PNG or TIFF can hold it."""
    buffer, exif = io.BytesIO(), image.getexif()  # the orientation counts, as it does for a file
    if image.mode in ("I", "F"):  # more than PNG can hold
        image.save(buffer, "TIFF", exif=exif)
    else:
        picture = image if image.mode in _PNG_MODES else image.convert("RGB")
        picture.save(buffer, "PNG", compress_level=1, exif=exif)
    return buffer.getvalue()
