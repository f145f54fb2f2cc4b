"""What the rows of an array show, images, series or text: decided from its shape, type and values; pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seedbed.core.data.profile import Finding
from seedbed.core.errors import DataError
from seedbed.core.task import Modality

BLOCK_BYTES = 16_000_000
MOST_ROW_BYTES = 512_000_000
"""The most that a single row may hold: about Pillow's own limit for one picture."""

_CHANNELS = (1, 3, 4)
_LEAST_SIDE = 8  # pixels: what is lower shows nothing, and is a handful of channels
_LEAST_STEPS = 8
_MOST_CHANNELS = 64  # of series with the steps first; more of them are likelier steps themselves

Scale = Literal["bytes", "unit", "deep"]
"""How values become pixels: as they are, times 255, or as 16 bits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """What was seen of an array (N, …): its finite values lie in `least` … `most`; `is_whole`: all are integers."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    least: float = 0.0
    most: float = 0.0
    is_whole: bool = True

    @property
    def is_unit(self) -> bool:
        """Whether all values lie in [0, 1]."""
        return self.least >= 0 and self.most <= 1

    @property
    def is_bytes(self) -> bool:
        """Whether all values are integers that fit into a byte."""
        return self.is_whole and self.least >= 0 and self.most <= 255

    @property
    def is_text(self) -> bool:
        """Whether the array holds strings."""
        return self.dtype.kind in "UST"

    @property
    def evidence(self) -> str:
        """The array in words."""
        size = " by ".join(f"{each:,}" for each in self.shape)
        values = "" if is_small(self.dtype) else f", values {self.least:g} to {self.most:g}"
        return f"`{self.name}`: {size} of {self.dtype}{values}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayForm:
    """How the rows of an array are read: brought to the shape `row`, its axes then put into the order `axes`.

    Rows of images come out as (H, W) or (H, W, C), of series as (C, T); of text, `row` is empty.
    """

    modality: Modality
    row: tuple[int, ...] = ()
    axes: tuple[int, ...] = ()
    scale: Scale = "bytes"
    findings: tuple[Finding, ...] = ()

    def view(self, block: np.ndarray) -> np.ndarray:
        """Return the rows of a block (n, …) in this form."""
        rows = block.reshape(len(block), *self.row)
        return rows.transpose(0, *(axis + 1 for axis in self.axes))


def look(name: str, shape: tuple[int, ...], dtype: np.dtype[np.generic], blocks: Iterable[np.ndarray]) -> Sight:
    """Go through the values of an array once, a block at a time; those of bytes and bits are known beforehand.

    Raises:
        DataError: the array holds neither numbers nor text, or no number that is finite.
    """
    if dtype.kind in "UST":
        return Sight(name=name, shape=shape, dtype=dtype)
    if dtype.kind not in "biuf":
        raise DataError(f"`{name}` is of the type {dtype}; an array of numbers or of text is expected.")
    if is_small(dtype):
        return Sight(name=name, shape=shape, dtype=dtype, most=255.0 if dtype.kind == "u" else 1.0)
    least, most, is_whole = math.inf, -math.inf, True
    for block in blocks:
        kept = block
        if dtype.kind == "f":
            kept = block[np.isfinite(block)]
            is_whole = is_whole and bool((kept == np.trunc(kept)).all())
        if kept.size:
            least, most = min(least, float(kept.min())), max(most, float(kept.max()))
    if least > most and 0 not in shape:
        raise DataError(f"`{name}`, an array of the shape {shape}, holds no finite number.")
    return Sight(name=name, shape=shape, dtype=dtype, least=least, most=most, is_whole=is_whole)


def is_small(dtype: np.dtype[np.generic]) -> bool:
    """Whether values are bytes or bits, as those of images are."""
    return dtype.kind == "b" or dtype == np.uint8


def rows_at_once(shape: tuple[int, ...], itemsize: int) -> int:
    """Return how many rows of an array make a block of some megabytes."""
    return max(1, BLOCK_BYTES // max(1, math.prod(shape[1:]) * itemsize))


def blocks_of(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield an array in blocks of rows of some megabytes."""
    step = rows_at_once(array.shape, array.dtype.itemsize)
    for start in range(0, len(array), step):
        yield array[start : start + step]


def form_of(sight: Sight, wanted: Modality | None = None) -> ArrayForm:
    """Decide what the rows of an array show, from its shape, type and values; `wanted` is the user's word.

    Raises:
        DataError: the shape or the values fit nothing that can be learnt from, or not what is wanted.
    """
    if not math.prod(sight.shape):
        raise DataError(f"`{sight.name}` has the shape {sight.shape}, which holds nothing; give at least one row.")
    if sight.is_text:
        return _text(sight, wanted)
    if wanted == "text":
        raise DataError(f"{sight.evidence}: numbers are no text; leave --modality out, or give strings.")
    row_bytes = math.prod(sight.shape[1:]) * sight.dtype.itemsize
    if row_bytes > MOST_ROW_BYTES:
        raise DataError(
            f"{sight.evidence}: a single row holds {row_bytes:,} bytes, and {MOST_ROW_BYTES:,} are the most; "
            "the first axis must count the examples."
        )
    match len(sight.shape):
        case 2:
            return _flat(sight, wanted)
        case 3:
            return _either(sight, wanted)
        case 4 if wanted != "series":
            return _pictures(sight, *_channel_axis(sight))
    raise DataError(
        f"{sight.evidence}: images are (N, H, W) or (N, H, W, C), series (N, T) or (N, C, T), N counting the examples."
    )


def _text(sight: Sight, wanted: Modality | None) -> ArrayForm:
    if len(sight.shape) != 1 or wanted in ("series", "image"):
        raise DataError(
            f"`{sight.name}` has the shape {sight.shape} and the type {sight.dtype}; "
            "strings are read as text, one for each row, (N,)."
        )
    return ArrayForm(modality="text")


def _flat(sight: Sight, wanted: Modality | None) -> ArrayForm:
    """Rows are single lists of numbers: series of one channel, or the pixels of square images."""
    steps = sight.shape[1]
    side = math.isqrt(steps)
    is_square = side * side == steps and side >= _LEAST_SIDE
    if wanted == "image" and side * side != steps:
        raise DataError(
            f"{sight.evidence}: {steps:,} numbers make no square image; reshape the array to height and width."
        )
    if wanted == "image" or (wanted is None and is_square and sight.dtype == np.uint8):
        reading = f"grey images of {side} by {side} pixels that lie flat"
        return _pictures(sight, (side, side), (0, 1), reading=reading, close=wanted is None)
    if wanted is None and steps < _LEAST_STEPS:
        raise DataError(
            f"{sight.evidence}: rows of {steps} numbers are no images, and very short for series. Seedbed learns from "
            "images, text and series; if these are steps in time, say --modality series."
        )
    told = _told(
        sight,
        f"series of {steps:,} steps and one channel",
        "If they are images that lie flat, reshape the array to height and width, or say --modality image.",
        close=wanted is None and is_square and (sight.is_bytes or sight.is_unit),
    )
    return ArrayForm(modality="series", row=(1, steps), axes=(0, 1), findings=(told,))


def _either(sight: Sight, wanted: Modality | None) -> ArrayForm:
    """Rows are tables of numbers: grey images (H, W), or series (C, T) or (T, C)."""
    first, second = sight.shape[1:]
    low, ratio = min(first, second), max(first, second) / min(first, second)
    is_deep = sight.dtype == np.uint16  # microscopes, X-rays, depth cameras
    is_picture = low >= _LEAST_SIDE and (sight.is_unit or sight.is_bytes or is_small(sight.dtype) or is_deep)
    if is_small(sight.dtype):
        shows, close = is_picture and ratio <= 4, is_picture and ratio > 2
    else:
        shows, close = is_picture and ratio <= 2, is_picture and 1 < ratio <= 4
    if wanted == "image" or (wanted is None and shows):
        return _pictures(sight, (first, second), (0, 1), close=close and wanted is None)
    steps_first = first > second and second <= _MOST_CHANNELS
    steps, channels = (first, second) if steps_first else (second, first)
    order = "steps before channels" if steps_first else "channels before steps"
    told = _told(
        sight,
        f"series of {steps:,} steps and {channels:,} channels ({order})",
        "If they are grey images, say --modality image; if the axes are the other way round, swap them.",
        close=close and wanted is None,
    )
    axes = (1, 0) if steps_first else (0, 1)
    return ArrayForm(modality="series", row=(first, second), axes=axes, findings=(told,))


def _channel_axis(sight: Sight) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the row shape of images with channels, and the order of axes that puts the channels last."""
    row = sight.shape[1:]
    if row[2] in _CHANNELS:
        return row, (0, 1, 2)
    if row[0] in _CHANNELS:
        return row, (1, 2, 0)
    raise DataError(
        f"{sight.evidence}: images are (N, H, W, C) or (N, C, H, W) with 1, 3 or 4 channels; "
        "choose three of them, or reshape."
    )


def _pictures(
    sight: Sight, row: tuple[int, ...], axes: tuple[int, ...], *, reading: str = "", close: bool = False
) -> ArrayForm:
    size = [row[axis] for axis in axes]
    channels = size[2] if len(size) == 3 else 1
    kind = {1: "grey", 3: "colour", 4: "colour and transparent"}[channels]
    reading = reading or f"{kind} images of {size[0]} by {size[1]} pixels (height by width)"
    if axes == (1, 2, 0):
        reading += ", channels first"
    remedy = "If they are series, say --modality series." if len(size) == 2 else ""
    told = _told(sight, reading, remedy, close=close)
    return ArrayForm(modality="image", row=row, axes=axes, scale=_scale(sight, channels), findings=(told,))


def _scale(sight: Sight, channels: int) -> Scale:
    if sight.dtype.kind == "b" or (sight.dtype.kind == "f" and sight.is_unit):
        return "unit"
    if sight.least >= 0 and sight.most <= 255:
        return "bytes"
    if sight.dtype.kind in "iu" and sight.least >= 0 and sight.most <= 65535 and channels == 1:
        return "deep"
    raise DataError(
        f"{sight.evidence}: pixels are integers in 0 to 255, floats in 0 to 1, or (grey) integers in 0 to 65535. "
        "Scale them, the same way for training and prediction; or say --modality series if these are series."
    )


def _told(sight: Sight, reading: str, remedy: str, *, close: bool) -> Finding:
    return Finding(
        check="intake",
        severity="warning" if close else "info",
        evidence=f"{sight.evidence} → {reading}{'; another reading is close' if close else ''}.",
        remedy=remedy,
    )
