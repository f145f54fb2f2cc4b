"""What size and how many channels to prepare: measured on the image headers, then decided."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image

from seedbed.core.data.columns import Origin
from seedbed.core.data.preparing.decode import (
    FORMATS,
    MOST_PIXELS,
    ImageForm,
    is_deep,
    is_grey,
    open_regular,
    orientation,
    tiles,
)

LARGEST_SIDE = 256  # pixels; larger inputs do not pay within the budgets Seedbed is made for
_MULTIPLE = 8  # sides that convolutions can halve three times
_MOST_DEEP = 64  # images of more than 8 bits that are loaded to find their white


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The images as they came, by a sample of their headers; sides in pixels, all 0 if none could be read.

    `median_side` is the median of the shorter sides; `white` as in `ImageForm`.
    """

    sampled: int = 0
    min_side: int = 0
    median_side: int = 0
    max_side: int = 0
    width: int = 0
    height: int = 0
    is_one_size: bool = False
    is_grey: bool = False
    white: float = 65535.0


def measure(sample: list[Origin]) -> Original:
    """Read the headers of a sample of images; `width` and `height` are those of the first."""
    sizes: list[tuple[int, int]] = []
    all_grey = True
    peaks: list[float] = []
    for origin in sample:
        try:
            with _file(origin) as file, Image.open(file, formats=FORMATS) as image:
                width, height = image.size
                if width * height > MOST_PIXELS:
                    continue
                sizes.append((height, width) if orientation(image) >= 5 else (width, height))
                all_grey = all_grey and is_grey(image)
                if is_deep(image) and len(peaks) < _MOST_DEEP:
                    peaks.append(max(_peak(tile) for _, _, tile in tiles(image)))
        except Exception:  # decoding meets the file again and gives the reason
            continue
    if not sizes:
        return Original()
    shorter = sorted(min(size) for size in sizes)
    return Original(
        sampled=len(sizes),
        min_side=shorter[0],
        median_side=shorter[len(shorter) // 2],
        max_side=max(max(size) for size in sizes),
        width=sizes[0][0],
        height=sizes[0][1],
        is_one_size=len(set(sizes)) == 1,
        is_grey=all_grey,
        white=white_of(max(peaks, default=0.0)),
    )


def _file(origin: Origin) -> BinaryIO:
    if isinstance(origin, bytes):
        return io.BytesIO(origin)
    return open(origin, "rb", opener=open_regular)  # a Path takes no opener


def _peak(image: Image.Image) -> float:
    return float(np.nan_to_num(np.asarray(image, dtype=np.float32)).max())


def white_of(peak: float) -> float:
    """Return the value that stands for white where the brightest pixel of deep images is `peak`.

    Scanners and detectors put 10, 12 or 14 bits into 16: taking 65,535 for white would leave 16 of
    the 4,096 grey levels of an X-ray. Floating-point images in [0, 1] have their white at 1.
    """
    if peak <= 0:
        return 65535.0
    if peak <= 1:
        return 1.0
    return float(2 ** math.ceil(math.log2(peak + 1)) - 1)


def choose_form(original: Original, rows: int, limit_bytes: int) -> ImageForm:
    """Decide the form of the prepared array.

    Images of one size up to 256 pixels stay as they are. All others become squares with the median
    shorter side, rounded to a multiple of 8, at most 256. Sides shrink until the array fits the limit.
    """
    channels = 1 if original.is_grey else 3
    fitting = math.isqrt(max(limit_bytes // (max(rows, 1) * channels), 1))
    keeps = original.is_one_size and max(original.width, original.height) <= LARGEST_SIDE
    if keeps and original.width * original.height <= fitting**2:
        return ImageForm(height=original.height, width=original.width, channels=channels, white=original.white)
    wanted = round(original.median_side / _MULTIPLE) * _MULTIPLE
    fitting = fitting // _MULTIPLE * _MULTIPLE
    side = max(min(wanted, fitting, LARGEST_SIDE), _MULTIPLE)
    return ImageForm(height=side, width=side, channels=channels, white=original.white)
