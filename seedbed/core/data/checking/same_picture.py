"""Whether two prepared images are one picture, encoded, resized or cropped anew: judged by their pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

LUMINANCE: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
_CR, _CB = 0.713, 0.564
FAINTEST: Final = 8.0  # levels between the darkest and the brightest of an image: below, there is nothing to compare

# The largest difference, in levels of 255, between a picture and its copy at any place of the blurred images.
# Measured on 1,091 emoji (64 pixels, colour): JPEG at quality 60 stays under 15.0 in luminance and 9.6 in Cr and Cb,
# WebP at 60 under 11.0 and 8.3, sides changed by 3 to 6 % under 8.3 and 1.9; 240 crops of photographs brought to 256
# colours under 16.6 and 16.2 (one in 240 is above). Of the 3,890 closest pairs of different emoji none passes; the
# closest is at 1.15 times its limit. Fashion-MNIST (28 pixels, grey): JPEG at 60 stays under 15.8, changed sides under
# 23.4 (3 to 6 in 100 are above 18); 62 pairs of its 70,000 images pass, to the eye one photograph or one cut of
# garment each. (Pillow 13.)
_MOST_LUMINANCE = 18.0
_MOST_COLOUR = 17.0
# A white square and a white circle on white are 24 levels apart at most: what may differ goes with the contrast.
# JPEG at quality 60 and WebP at 60 stay under 0.11 of the range, web colours with dithering under 0.13.
_SHARE_OF_RANGE = 0.15
_LEAST_LIMIT = 4.0

_BLUR_SHARE = 1 / 40  # of the shorter side
_BLUR = (0.9, 2.0)  # pixels: less leaves the noise of JPEG, more hides a changed word in a large picture
_LARGE = 160  # pixels: images of such a side are blurred by halving first, which leaves a quarter of the work
_CHUNK_BYTES = 8 * 2**20


def same_picture(images: np.ndarray, pairs: np.ndarray, *, mirrored: bool = False) -> np.ndarray:
    """Return a mask (M,) of the pairs (M, 2) of rows that show one picture; `images` is uint8 (N, H, W, C).

    Both are blurred by about a fortieth of their side, and then must nowhere differ by more than encoding and
    slight resizing do, in luminance and in colour. The largest difference decides and not the mean: two clocks, two
    smileys or two shirts with other prints differ in one place alone. Pictures without contrast are never the same.
    With `mirrored`, the second of a pair is looked at from behind.
    """
    return judged(images, pairs, same_pixels, mirrored=mirrored, chunk_bytes=_CHUNK_BYTES)


def judged(
    images: np.ndarray,
    pairs: np.ndarray,
    judge: Callable[[np.ndarray, np.ndarray], np.ndarray],
    *,
    mirrored: bool,
    chunk_bytes: int,
) -> np.ndarray:
    """Return what `judge` says, (M,), of pairs (M, 2) of images: floats (n, H, W, C), some of them at a time."""
    step = max(chunk_bytes // max(int(np.prod(images.shape[1:])), 1), 1)
    found = []
    for start in range(0, len(pairs), step):
        some = pairs[start : start + step]
        one, other = (images[some[:, side]].astype(np.float32) for side in (0, 1))
        found.append(judge(one, other[:, :, ::-1] if mirrored else other))
    return np.concatenate(found) if found else np.zeros(0, dtype=bool)


def same_pixels(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return a mask (n,) of the images (n, H, W, C) of `one` and `other`, as floats in [0, 255], that are the same."""
    sigma = float(np.clip(min(one.shape[1:3]) * _BLUR_SHARE, *_BLUR))
    if min(one.shape[1:3]) >= _LARGE:
        one, other, sigma = _halve(one), _halve(other), sigma / 2
    ones, others = _planes(one), _planes(other)
    contrast = np.minimum(_contrast(ones), _contrast(others))
    limit = np.maximum(_SHARE_OF_RANGE * contrast, _LEAST_LIMIT)
    same: np.ndarray = contrast >= FAINTEST
    for place, (first, second) in enumerate(zip(ones, others, strict=True)):
        most = _MOST_COLOUR if place else _MOST_LUMINANCE
        # Colour is stored at half the resolution by JPEG and WebP: it is blurred twice as far.
        same &= _largest(first - second, sigma * (2 if place else 1)) <= np.minimum(limit, most)
    return same


def _halve(pixels: np.ndarray) -> np.ndarray:
    even = pixels[:, : pixels.shape[1] // 2 * 2, : pixels.shape[2] // 2 * 2]
    halved: np.ndarray = (even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]) / 4
    return halved


def _planes(pixels: np.ndarray) -> list[np.ndarray]:
    """Return luminance, and for colour images Cr and Cb: (n, H, W) each."""
    if pixels.shape[-1] != 3:
        return [pixels[..., channel] for channel in range(pixels.shape[-1])]
    luminance = pixels @ LUMINANCE
    return [luminance, _CR * (pixels[..., 0] - luminance), _CB * (pixels[..., 2] - luminance)]


def _contrast(planes: list[np.ndarray]) -> np.ndarray:
    """Return the range (n,) of the plane that varies most: a red sign on equally bright green has contrast too."""
    ranges: np.ndarray = np.max([np.ptp(plane, axis=(1, 2)) for plane in planes], axis=0)
    return ranges


def _largest(difference: np.ndarray, sigma: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    blurred: np.ndarray = np.abs(gaussian_filter(difference, (0, sigma, sigma))).max(axis=(1, 2))
    return blurred
