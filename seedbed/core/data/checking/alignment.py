"""Whether one image is a slightly cropped copy of another: find the crop, then compare as `same_picture` does."""

from __future__ import annotations

import numpy as np

from seedbed.core.data.checking.same_picture import LUMINANCE, judged, same_pixels

MOST_CROPPED = 0.15  # of a side

_COARSE, _FINE = 32, 64  # cells a side: the first finds the crop, the second the tenth of a pixel that is needed
_COARSE_ERROR = 60.0  # mean square, in levels: copies stay under 39 (500 emoji, 350 garments), most others above
_STEPS = 8
_STARTS = (0.92, 1.0, 1.08)  # scales to search from: a step finds its way over about a tenth
_FARTHEST = (0.75, -0.25, 0.75, -0.25), (1.33, 0.25, 1.33, 0.25)
_CHUNK_BYTES = 2**19


def same_but_cropped(images: np.ndarray, pairs: np.ndarray, *, mirrored: bool = False) -> np.ndarray:
    """Return a mask (M,) of the pairs (M, 2) of which one shows the other without a little of its border.

    `images` is uint8 (N, H, W, C). Scale and shift of either axis are fitted to the coarse luminance by least
    squares (Lucas & Kanade 1981), the second image is brought over the first, and what both show has to be the same.
    With `mirrored`, the second of a pair is looked at from behind.
    """
    return judged(images, pairs, _same, mirrored=mirrored, chunk_bytes=_CHUNK_BYTES)


def _same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    coarse, coarse_other = _shrink(one, _COARSE), _shrink(other, _COARSE)
    starts = (np.tile(np.array([scale, 0, scale, 0], dtype=np.float32), (len(one), 1)) for scale in _STARTS)
    fits = [_fit(coarse, coarse_other, start) for start in starts]
    errors = np.stack([error for _, error in fits])
    warps = np.stack([warp for warp, _ in fits])[errors.argmin(axis=0), np.arange(len(one))]
    same: np.ndarray = errors.min(axis=0) <= _COARSE_ERROR
    if same.any():
        same[same] = _compare(one[same], other[same], warps[same])
    return same


def _compare(one: np.ndarray, other: np.ndarray, warps: np.ndarray) -> np.ndarray:
    warps, _ = _fit(_shrink(one, _FINE), _shrink(other, _FINE), warps)
    layers, covered = _warp(other.transpose(0, 3, 1, 2), warps)
    moved = np.where(covered[..., None], layers.transpose(0, 2, 3, 1), 0)
    offsets = np.abs(warps - np.array([1, 0, 1, 0], dtype=np.float32))
    same: np.ndarray = (offsets <= MOST_CROPPED).all(axis=1)
    same &= same_pixels(np.where(covered[..., None], one, 0), moved)
    return same


def _fit(one: np.ndarray, other: np.ndarray, warps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Improve warps (n, 4) from `other` to `one`, both (n, h, w); also return what mean square error is left.

    A warp is scale and shift down, scale and shift across, in half sides.
    """
    count, height, width = one.shape
    inner = np.zeros((height, width), dtype=np.float32)
    inner[2:-2, 2:-2] = 1  # blurring makes up what lies behind the border
    slopes = np.gradient(other, 2 / height, axis=1), np.gradient(other, 2 / width, axis=2)
    layers = np.stack([other, *slopes, np.broadcast_to(inner, other.shape)], axis=1).astype(np.float32)
    for _ in range(_STEPS):
        moved, covered = _warp(layers, warps)
        counts = covered * inner * (moved[:, 3] > 0.99)
        down, across = moved[:, 1] * counts, moved[:, 2] * counts
        apart = (one - moved[:, 0]) * counts
        parts = [down * _places(height)[:, None], down, across * _places(width), across]
        table = np.stack(parts, axis=1).reshape(count, 4, -1)
        normal = table @ table.transpose(0, 2, 1)
        damping = 1e-4 * np.trace(normal, axis1=1, axis2=2) + 1  # flat images stay where they are
        change = np.linalg.solve(normal + damping[:, None, None] * np.eye(4), table @ apart.reshape(count, -1, 1))
        warps = np.clip(warps + change[..., 0], *_FARTHEST)
    return warps, (apart**2).sum(axis=(1, 2)) / np.maximum(counts.sum(axis=(1, 2)), 1)


def _warp(layers: np.ndarray, warps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return layers (n, K, H, W) seen through their warps (n, 4), and where they cover the frame (n, H, W)."""
    down, seen_down = _weights(layers.shape[2], warps[:, :2])
    across, seen_across = _weights(layers.shape[3], warps[:, 2:])
    moved = down[:, None] @ layers @ across.transpose(0, 2, 1)[:, None]
    return moved, seen_down[:, :, None] & seen_across[:, None, :]


def _weights(length: int, warps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights (n, length, length) of cubic interpolation (Keys 1981) along an axis, and what it covers."""
    wanted = warps[:, :1] * _places(length) + warps[:, 1:]
    pixels = (wanted + 1) * length / 2 - 0.5
    inside = (pixels >= -0.5) & (pixels <= length - 0.5)
    apart = np.abs(np.clip(pixels, 0, length - 1)[:, :, None] - np.arange(length))
    near, far = (1.5 * apart - 2.5) * apart**2 + 1, ((2.5 - 0.5 * apart) * apart - 4) * apart + 2
    weights = np.where(apart < 1, near, np.where(apart < 2, far, 0))
    return (weights / weights.sum(axis=2, keepdims=True)).astype(np.float32), inside


def _places(length: int) -> np.ndarray:
    """Return the centres of pixels from -1 to 1."""
    centres: np.ndarray = ((np.arange(length) + 0.5) * 2 / length - 1).astype(np.float32)
    return centres


def _shrink(pixels: np.ndarray, most: int) -> np.ndarray:
    """Return the luminance of images (n, H, W, C), blurred by a cell, on a grid of at most `most` cells a side."""
    from scipy.ndimage import gaussian_filter, zoom

    light = pixels @ LUMINANCE if pixels.shape[-1] == 3 else pixels.mean(axis=-1)
    shares = [min(most / side, 1.0) for side in light.shape[1:]]
    light = gaussian_filter(light, (0, *(0.8 / share for share in shares)))
    smaller: np.ndarray = zoom(light, (1, *shares), order=1, grid_mode=True, mode="nearest")
    return smaller
