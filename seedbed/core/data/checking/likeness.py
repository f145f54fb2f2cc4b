"""Find images that are in a dataset twice: equal pixels, near duplicates, and the groups they form.

All images of a dataset are prepared in one form, and the pixels are what models see: rows of equal pixels are exact
duplicates whatever their files are, and equal files have equal pixels. So nothing is read from the disk again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from seedbed.core.data.checking.same_picture import LUMINANCE, same_picture
from seedbed.core.data.preparing.blocks import usable_cpus
from seedbed.core.errors import Interrupted

LARGEST_GROUP = 50

_WAVES = 8  # frequencies a side that a signature holds of the luminance …
_COLOUR_WAVES = 3  # … and of colour
_COLOUR_WEIGHT = 0.5
_CHUNK_BYTES = 2 * 2**20  # 8 MiB as floats: what stays in the cache is quickest

# Copies lie within this distance in signatures, in levels: 4.4 the farthest of 1,091 emoji in 12 kinds of encoding,
# 4.8 of 1,167 Fashion-MNIST images in those that `same_picture` lets pass.
_RADIUS = 6.0
_RADIUS_SHARE = 0.12  # of the median contrast, in data without much of it: there everything is near everything
_LEAST_RADIUS = 2.0
_DIMENSIONS = 24  # of the 64 or 82, those that vary most: a search tree over all takes four times as long
_NEIGHBOURS = 6
_FLAT = 1.0  # levels of contrast in a signature: below, there is nothing to compare


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprints:
    """What images are compared by: `rows` (n,) int64, `digests` (n, 2) uint64, `signatures` (n, F) float32.

    A digest is of all pixels; a signature holds their lowest frequencies, in levels of 255.
    """

    rows: np.ndarray
    digests: np.ndarray
    signatures: np.ndarray


def fingerprint(
    images: np.ndarray, rows: np.ndarray | None = None, *, cancelled: Callable[[], bool] | None = None
) -> Fingerprints:
    """Take the fingerprints of images, uint8 (N, H, W, C), of all rows or of those given; one pass over the pixels.

    Signatures are those of Zauner (2010, "Implementation and Benchmarking of Perceptual Image Hash Functions",
    3.2.1: the lowest frequencies of the discrete cosine transform), kept as numbers and not cut down to bits, of
    luminance and of colour. The difference of two images' signatures is never more than the root mean square
    difference of their pixels (but for the colours' weight).

    Raises:
        Interrupted: `cancelled()` became true.
    """
    rows = np.arange(len(images), dtype=np.int64) if rows is None else np.asarray(rows, dtype=np.int64)
    step = max(_CHUNK_BYTES // max(int(np.prod(images.shape[1:])), 1), 1)
    down, across = _transforms(images.shape[1:])
    digests = np.empty((len(rows), 2), dtype=np.uint64)
    signatures = np.empty((len(rows), _signature_length(images.shape[3])), dtype=np.float32)

    def fill(start: int) -> None:
        if cancelled is not None and cancelled():
            raise Interrupted("Stopped while images were compared.")
        part = slice(start, start + step)
        pixels = np.ascontiguousarray(images[rows[part]])
        digests[part] = _digests(pixels)
        signatures[part] = _signatures(pixels, down, across)

    with ThreadPoolExecutor(usable_cpus(), thread_name_prefix="seedbed-likeness") as pool:
        list(pool.map(fill, range(0, len(rows), step)))
    return Fingerprints(rows=rows, digests=digests, signatures=signatures)


def equal_images(images: np.ndarray, prints: Fingerprints) -> np.ndarray:
    """Return pairs (M, 2) of rows with equal pixels: the first of each set with every other.

    Images of one colour all over are left out: they say nothing of each other, and would bind into one group
    whatever failed to load or was scanned blank.
    """
    firsts, others = _with_first(prints.digests)
    heads, place = np.unique(firsts, return_inverse=True)
    pixels = (images[row] for row in prints.rows[heads])
    is_picture = np.fromiter(((each != each[:1, :1]).any() for each in pixels), dtype=bool, count=len(heads))
    kept = is_picture[place] if len(heads) else np.zeros(0, dtype=bool)
    return np.stack([prints.rows[firsts[kept]], prints.rows[others[kept]]], axis=1)


def near_duplicates(images: np.ndarray, prints: Fingerprints, *, mirrored: bool = False) -> np.ndarray:
    """Return pairs (M, 2) of rows that show one picture with other pixels, the lower row first.

    Candidates are the nearest signatures in a search tree, six to a row at most, so time and memory grow with the
    rows however much alike they are; `same_picture` decides. Of rows with equal pixels the first speaks for all.
    With `mirrored`, pairs that are each other's mirror image are returned instead.
    """
    _, others = _with_first(prints.digests)
    is_first = np.ones(len(prints.rows), dtype=bool)
    is_first[others] = False
    contrast = np.sqrt((prints.signatures[:, 1:] ** 2).sum(axis=1))
    chosen = np.flatnonzero(is_first & (contrast >= _FLAT))
    if len(chosen) < 2:
        return np.zeros((0, 2), dtype=np.int64)
    radius = float(np.clip(_RADIUS_SHARE * np.median(contrast[chosen]), _LEAST_RADIUS, _RADIUS))
    signatures = prints.signatures[chosen]
    looked_for = _behind(signatures, images.shape[3]) if mirrored else signatures
    near = _candidates(signatures, looked_for, radius)
    pairs = np.sort(prints.rows[chosen][near], axis=1)
    found: np.ndarray = pairs[same_picture(images, pairs, mirrored=mirrored)]
    return found


def group_rows(count: int, sure: np.ndarray, likely: np.ndarray, *, largest: int = LARGEST_GROUP) -> np.ndarray:
    """Return the group (count,) of every row, numbered from 0 by its first row; -1 for rows alone.

    `sure` and `likely` are pairs (M, 2) of rows. Sure links always hold. Likely ones may form a chain of which the
    ends have nothing in common: where more than `largest` different pictures would become one group, a link counts
    only if a third picture is linked to both of its ends, as it is among the copies of one picture.
    """
    sets = linked(count, sure)
    links = np.unique(np.sort(sets[likely], axis=1), axis=0).reshape(-1, 2)
    links = links[links[:, 0] != links[:, 1]]
    sizes = np.bincount(linked(count, links)[np.unique(sets)], minlength=count)
    in_chain = sizes[linked(count, links)[links[:, 0]]] > largest
    links = np.concatenate([links[~in_chain], _supported(count, links[in_chain])])
    groups = linked(count, links)[sets]
    _, first, inverse, members = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(np.where(members > 1, first, count), kind="stable")
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = np.arange(len(order))
    return np.where(members > 1, numbers, -1)[inverse]


def _digests(pixels: np.ndarray) -> np.ndarray:
    hashed = b"".join(hashlib.blake2b(each.data, digest_size=16).digest() for each in pixels)
    return np.frombuffer(hashed, dtype=np.uint64).reshape(-1, 2)


def _signature_length(channels: int) -> int:
    return _WAVES**2 * (1 if channels == 3 else channels) + (2 * _COLOUR_WAVES**2 if channels == 3 else 0)


def _transforms(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the cosines down (8, H) and across (W × C, 8 × C) for images of this shape (H, W, C)."""
    height, width, channels = shape
    across = np.einsum("wk,cd->wckd", _cosines(width), np.eye(channels, dtype=np.float32))
    return np.ascontiguousarray(_cosines(height).T), across.reshape(width * channels, -1)


def _cosines(length: int) -> np.ndarray:
    """Return the lowest frequencies of the cosine transform (length, 8), scaled to a mean square of one level."""
    places = (np.arange(length)[:, None] + 0.5) / length
    waves = np.cos(np.pi * places * np.arange(_WAVES)) * np.where(np.arange(_WAVES) > 0, np.sqrt(2), 1) / length
    waves[:, length:] = 0  # a side of fewer pixels has no more frequencies
    return waves.astype(np.float32)


def _signatures(pixels: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    count, height, width, channels = pixels.shape
    rows = pixels.reshape(count * height, width * channels).astype(np.float32) @ across
    waves = np.matmul(down, rows.reshape(count, height, -1)).reshape(count, _WAVES, _WAVES, channels)
    if channels != 3:
        flat: np.ndarray = waves.transpose(0, 3, 1, 2).reshape(count, -1)  # the mean first, then what is contrast
        return flat
    luminance = waves @ LUMINANCE
    low = (slice(None), slice(_COLOUR_WAVES), slice(_COLOUR_WAVES))
    colours = [_COLOUR_WEIGHT * (waves[..., channel] - luminance)[low].reshape(count, -1) for channel in (0, 2)]
    return np.concatenate([luminance.reshape(count, -1), *colours], axis=1)


def _behind(signatures: np.ndarray, channels: int) -> np.ndarray:
    """Return the signatures of the mirror images: every second frequency across changes its sign."""
    signs = np.where(np.arange(_WAVES) % 2, -1, 1)
    parts = [np.tile(signs, _WAVES)] * (1 if channels == 3 else channels)
    if channels == 3:
        parts += [np.tile(signs[:_COLOUR_WAVES], _COLOUR_WAVES)] * 2
    return signatures * np.concatenate(parts).astype(np.float32)


def _candidates(signatures: np.ndarray, looked_for: np.ndarray, radius: float) -> np.ndarray:
    """Return pairs (M, 2) of places: each and the nearest few whose signatures lie within the radius of its own."""
    from scipy.spatial import cKDTree

    widest = np.argsort(-signatures.var(axis=0), kind="stable")[:_DIMENSIONS]
    tree = cKDTree(signatures[:, widest])
    _, found = tree.query(looked_for[:, widest], k=_NEIGHBOURS + 1, distance_upper_bound=radius, workers=usable_cpus())
    places = np.repeat(np.arange(len(signatures)), found.shape[1])
    pairs = np.stack([places, found.ravel()], axis=1)
    pairs = pairs[(pairs[:, 1] < len(signatures)) & (pairs[:, 0] != pairs[:, 1])]
    apart = np.sqrt(((looked_for[pairs[:, 0]] - signatures[pairs[:, 1]]) ** 2).sum(axis=1))
    return np.unique(np.sort(pairs[apart <= radius], axis=1), axis=0).reshape(-1, 2)


def _with_first(digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for every place whose digest an earlier place has, that first place and the place itself."""
    order = np.lexsort((np.arange(len(digests)), digests[:, 1], digests[:, 0]))
    ranked = digests[order]
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
    head = order[np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))]
    return head[~starts], order[~starts]


def linked(count: int, pairs: np.ndarray) -> np.ndarray:
    """Return for every row the lowest row that links lead to."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    links = coo_matrix((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, labels = connected_components(links, directed=False)
    _, first = np.unique(labels, return_index=True)
    lowest: np.ndarray = first[labels]
    return lowest


def _supported(count: int, links: np.ndarray) -> np.ndarray:
    """Return those of the links whose two ends are both linked to a third row."""
    from scipy.sparse import coo_matrix

    both = np.concatenate([links, links[:, ::-1]])
    table = coo_matrix((np.ones(len(both), dtype=np.int32), (both[:, 0], both[:, 1])), shape=(count, count)).tocsr()
    kept = (table @ table).multiply(table).tocoo()
    upper = kept.row < kept.col
    return np.stack([kept.row[upper], kept.col[upper]], axis=1).astype(np.int64)
