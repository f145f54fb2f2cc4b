"""The data of Larochelle et al. 2007 that can be made offline, and a likeness of their rotated digits on noise.

Images are uint8 (N, 28, 28). `rectangles`: the outline of one that is wide (0) or tall (1); `convex`: a white region
that is convex (1) or not (0); `rotated_fashion`: Fashion-MNIST turned by any angle, on a background of random pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

SIDE = 28
Drawn = tuple[np.ndarray, np.ndarray]


def rectangles(count: int, rng: np.random.Generator) -> Drawn:
    """Draw outlines whose sides are at least 3 pixels, and differ by 3 or more."""
    images, labels = np.zeros((count, SIDE, SIDE), np.uint8), np.zeros(count, np.int64)
    for number in range(count):
        while True:
            height, width = rng.integers(3, SIDE - 1, 2)
            if abs(int(height) - int(width)) >= 3:
                break
        top, left = rng.integers(0, SIDE - height), rng.integers(0, SIDE - width)
        image = images[number]
        image[top : top + height, left : left + width] = 255
        image[top + 1 : top + height - 1, left + 1 : left + width - 1] = 0
        labels[number] = int(height > width)
    return images, labels


def convex(count: int, rng: np.random.Generator) -> Drawn:
    """Draw white regions: convex ones as the intersection of random half-planes, others as unions of such that are not.

    Both kinds cover as much of the picture: a share drawn between 0.15 and 0.6 is met to 0.03.
    """
    images, labels = np.zeros((count, SIDE, SIDE), np.uint8), np.zeros(count, np.int64)
    for number in range(count):
        label, wanted = number % 2, rng.uniform(0.15, 0.6)
        while True:
            region = _polygon(rng)
            if not label:
                region |= _polygon(rng)
            if abs(region.mean() - wanted) < 0.03 and is_convex(region) == bool(label):
                break
        images[number], labels[number] = region * np.uint8(255), label
    return images, labels


def _polygon(rng: np.random.Generator) -> np.ndarray:
    """Return a mask (28, 28): the intersection of a few half-planes around a random point."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    y, x = rng.uniform(6, SIDE - 6, 2)
    inside = np.ones((SIDE, SIDE), dtype=bool)
    for _ in range(rng.integers(3, 8)):
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(3, 14)
        inside &= (rows - y) * np.sin(angle) + (columns - x) * np.cos(angle) <= reach
    return inside


def is_convex(region: np.ndarray) -> bool:
    """Whether a mask holds nearly all pixels of its convex hull: the grid's own jaggedness is forgiven."""
    from scipy.spatial import ConvexHull, Delaunay

    points = np.argwhere(region)
    if len(points) < 4:
        return True
    hull = Delaunay(points[ConvexHull(points).vertices])
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    inside = hull.find_simplex(np.column_stack([rows.ravel(), columns.ravel()])) >= 0
    return bool((inside & ~region.ravel()).sum() <= 0.02 * inside.sum())


def rotated_fashion(images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Drawn:
    """Turn pictures (N, 28, 28) by random angles and put them on random pixels."""
    from scipy.ndimage import rotate

    found = np.empty_like(images)
    for number, image in enumerate(images):
        turned = rotate(image.astype(np.float32), rng.uniform(0, 360), reshape=False, order=1)
        noise = rng.integers(0, 256, image.shape) * 0.5
        found[number] = np.clip(np.maximum(turned, noise), 0, 255).astype(np.uint8)
    return found, labels


def write(folder: Path, name: str, parts: dict[str, Drawn]) -> Path:
    """Write the parts as an .npz that `seedbed fit` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for part, (images, labels) in parts.items():
        arrays |= {f"x_{part}": images, f"y_{part}": np.array([f"class{label}" for label in labels])}
    np.savez_compressed(folder / f"{name}.npz", **arrays)
    return folder / f"{name}.npz"
