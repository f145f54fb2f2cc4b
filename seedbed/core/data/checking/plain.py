"""Features that need no net: what a linear model can tell rows apart by, for any modality, in seconds.

For data on which no frozen backbone sees anything (small images), or none can be had. Of large data a
sample is described: `Features.rows` says which.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from seedbed.core.data.features import Features
from seedbed.core.data.prepared import Prepared, PreparedImages, PreparedSeries

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from seedbed.core.data.dataset import Dataset

LEAST_SIZE = 32
"""Pixels of the shorter side; of smaller pictures a net made for photographs sees little, and plain features more."""

MOST_BYTES = 2**29  # of features held in memory

_BLOCK_BYTES = 2**17  # of pixels worked on at once: with gradients as float32, what fits into a core's cache

_CELLS = 16
_EDGE_PIXELS, _EDGE_CELLS, _DIRECTIONS = 64, 8, 8

_STEPS, _WIDEST = 64, 2048  # of a series: resampled steps a channel, and of all channels together
_BLOCK_STEPS = 2**20
_KERNELS = np.array([[2.0 if k in places else -1.0 for k in range(9)] for places in combinations(range(9), 3)])
_DILATIONS, _BIASES = (1, 3, 7), 2  # nine taps, 7 apart, just span 64 steps

_TEXTS, _FITTED = 50_000, 5_000  # all rows, and those that the directions are found on
_CHARACTERS, _LEAST_CHARACTERS, _MOST_CHARACTERS = 10_000_000, 200, 4_000  # of all, and of each text
_BUCKETS, _TEXT_FEATURES = 2**15, 256


def plain_features(dataset: Dataset, prepared: Prepared, rows: np.ndarray, seed: int = 0) -> Features:
    """Return features of the rows (int64 (n,), readable ones), or of an even sample where they are too many.

    Of images, the means of 16 by 16 cells and how much edge of which direction is where: with 10,000 rows
    of Fashion-MNIST a linear classifier reaches 0.876 on them, 0.801 on the means alone, on 1,200 digits
    0.953 and 0.888. Of series, 64 steps of each channel, summary statistics, and random convolutions. Of
    texts, hashed words and letters, turned to their main directions, at most 256.
    """
    if isinstance(prepared, PreparedImages):
        return _of_images(prepared, rows, seed)
    if isinstance(prepared, PreparedSeries):
        return _of_series(prepared, rows, seed)
    return _of_texts(dataset, rows, seed)


def spread(rows: np.ndarray, strata: np.ndarray | None, seed: int) -> np.ndarray:
    """Return rows (n,) in a random order of which every beginning has each stratum's share of them.

    The i-th of a stratum's k rows stands at about i / k of the way. `strata` (n,) are those of the rows.
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(rows))
    if strata is None:
        return np.asarray(rows[shuffled])
    _, codes, counts = np.unique(strata[shuffled], return_inverse=True, return_counts=True)
    by_stratum = np.argsort(codes, kind="stable")
    place = np.empty(len(rows))
    place[by_stratum] = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    position = (place + rng.random(len(counts))[codes]) / counts[codes]
    return np.asarray(rows[shuffled[np.argsort(position, kind="stable")]])


def _sample(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Return at most so many of the rows, drawn at random; rising."""
    chosen = rows if len(rows) <= most else spread(rows, None, seed)[: max(most, 1)]
    return np.sort(chosen).astype(np.int64)


# Images.


def _of_images(prepared: PreparedImages, rows: np.ndarray, seed: int) -> Features:
    side, edges = min(_CELLS, prepared.height) * min(_CELLS, prepared.width), _EDGE_CELLS**2 * _DIRECTIONS
    rows = _sample(rows, MOST_BYTES // (4 * (side * prepared.channels + edges)), seed)
    images = prepared.images()
    step = max(_BLOCK_BYTES // prepared.form.bytes, 1)
    blocks = [_picture_features(images[rows[start : start + step]]) for start in range(0, len(rows), step)]
    return Features(rows=rows, values=_stacked(blocks), source="16 by 16 mean cells and edge directions")


def _picture_features(images: np.ndarray) -> np.ndarray:
    pixels = images.astype(np.float32) / np.float32(255)
    grey = pixels.mean(axis=3, keepdims=True)
    edges = edge_directions(mean_cells(grey, _EDGE_PIXELS)[..., 0])
    return np.concatenate([_flat(mean_cells(pixels, _CELLS)), _flat(edges)], axis=1)


def mean_cells(images: np.ndarray, cells: int) -> np.ndarray:
    """Return the means over at most `cells` × `cells` cells, float32, of images float32 (n, H, W, C)."""
    _, height, width, _ = images.shape
    tops = np.linspace(0, height, min(cells, height) + 1).astype(int)
    lefts = np.linspace(0, width, min(cells, width) + 1).astype(int)
    if len(tops) > height and len(lefts) > width:
        return images
    sums = np.add.reduceat(np.add.reduceat(images, tops[:-1], 1), lefts[:-1], 2)
    areas = np.diff(tops)[:, None, None] * np.diff(lefts)[:, None]
    means: np.ndarray = sums / areas.astype(np.float32)
    return means


def edge_directions(grey: np.ndarray) -> np.ndarray:
    """Return how much edge of each of 8 directions is in each of at most 8 × 8 cells, of images (n, H, W).

    Like histograms of oriented gradients (Dalal & Triggs 2005), with the angle's cosine in place of hard
    bins, and the square root in place of block normalisation: as good for a linear model, and a tenth of the
    work.
    """
    across, down = np.zeros_like(grey), np.zeros_like(grey)
    across[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
    down[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    found = []
    for angle in np.arange(_DIRECTIONS // 2) * 2 * np.pi / _DIRECTIONS:
        along = np.float32(np.cos(angle)) * across + np.float32(np.sin(angle)) * down
        for part in (np.maximum(along, 0), np.maximum(-along, 0)):
            found.append(mean_cells(part[..., None], _EDGE_CELLS))
    roots: np.ndarray = np.sqrt(np.concatenate(found, axis=3))
    return roots


# Series.


def _of_series(prepared: PreparedSeries, rows: np.ndarray, seed: int) -> Features:
    steps = max(min(_STEPS, _WIDEST // prepared.channels), 1)
    convolved = len(_KERNELS) * len(_DILATIONS) * _BIASES
    rows = _sample(rows, MOST_BYTES // (4 * (prepared.channels * (steps + 4) + 1 + convolved)), seed)
    kernels = _Kernels(prepared, rows, seed)
    blocks = []
    for values, lengths in _series_blocks(prepared, rows):
        levels = _flat(resampled(values, lengths, steps))
        blocks.append(np.concatenate([levels, _statistics(values, lengths), kernels(values, lengths)], axis=1))
    source = f"{steps} resampled steps, summary statistics and random convolutions"
    return Features(rows=rows, values=_stacked(blocks), source=source)


def _series_blocks(prepared: PreparedSeries, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows end to end, float64 (steps, C) without gaps, and their lengths; an empty row is one step of 0."""
    offsets, values = prepared.offsets(), prepared.values()
    lengths = np.diff(offsets)[rows]
    block = np.cumsum(lengths) * prepared.channels // _BLOCK_STEPS
    for part in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(block)) + 1) if len(rows) else ():
        pieces = [values[offsets[row] : offsets[row + 1]] for row in rows[part]]
        own = np.maximum(lengths[part], 1)
        gap = np.zeros((1, prepared.channels))
        yield _filled(np.concatenate([piece if len(piece) else gap for piece in pieces]).astype(np.float64), own), own


def _filled(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the values with what is not finite replaced by the mean of its row and channel, 0 where there is none."""
    is_there = np.isfinite(values)
    if is_there.all():
        return values
    sums, counts = _sums(np.where(is_there, values, 0.0), lengths), _sums(is_there.astype(np.float64), lengths)
    filled: np.ndarray = np.where(is_there, values, np.repeat(sums / np.maximum(counts, 1), lengths, axis=0))
    return filled


def _starts(lengths: np.ndarray) -> np.ndarray:
    return np.asarray(np.cumsum(lengths) - lengths)


def _sums(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    return np.asarray(np.add.reduceat(values, _starts(lengths), axis=0))


def resampled(values: np.ndarray, lengths: np.ndarray, steps: int) -> np.ndarray:
    """Bring series (all steps, C) of these lengths to one length, float32 (n, steps, C): means over equal stretches.

    A stretch may begin and end between two steps, and lie within one: short series are so made longer.
    """
    edges = np.linspace(0, 1, steps + 1) * lengths[:, None]
    whole = np.minimum(edges.astype(np.int64), lengths[:, None] - 1)
    at, parts = _starts(lengths)[:, None] + whole, (edges - whole)[..., None]
    # The differences of one running sum would be simpler, but one huge value would spoil all rows after it.
    sums = np.add.reduceat(values, at.ravel(), axis=0).reshape(*at.shape, -1)[:, :-1]
    sums[at[:, 1:] == at[:, :-1]] = 0
    cut = parts * values[at]
    means = (sums + cut[:, 1:] - cut[:, :-1]) * (steps / lengths)[:, None, None]
    return np.asarray(means, dtype=np.float32)


def _statistics(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return mean, deviation, least and most of each channel, and the length's logarithm, float32 (n, 4 C + 1)."""
    starts, count = _starts(lengths), lengths[:, None]
    mean = _sums(values, lengths) / count
    deviation = np.sqrt(_sums((values - np.repeat(mean, lengths, axis=0)) ** 2, lengths) / count)
    least, most = np.minimum.reduceat(values, starts, axis=0), np.maximum.reduceat(values, starts, axis=0)
    found = np.concatenate([mean, deviation, least, most, np.log(count)], axis=1)
    return np.asarray(found, dtype=np.float32)


class _Kernels:
    """Random convolutions: the share of steps at which a kernel's answer exceeds a bias.

    The 84 kernels, and biases from quantiles of their answers to a sample of the rows, are MiniRocket's
    (Dempster et al. 2021); here every series is brought to 64 steps of mean 0 and deviation 1 first, and
    each kernel looks at one channel.
    """

    def __init__(self, prepared: PreparedSeries, rows: np.ndarray, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._channels = [rng.integers(prepared.channels, size=len(_KERNELS)) for _ in _DILATIONS]
        sample = np.sort(rng.permutation(rows)[:256])
        series = [_standard(values, lengths) for values, lengths in _series_blocks(prepared, sample)]
        shares = np.sort(rng.uniform(0.1, 0.9, (len(_DILATIONS), _BIASES)))
        self._biases = []
        for dilation, channels, share in zip(_DILATIONS, self._channels, shares, strict=True):
            if series:
                answers = np.concatenate([_convolved(each, dilation, channels) for each in series], axis=2)
                self._biases.append(np.quantile(answers.reshape(len(_KERNELS), -1), share, axis=1).astype(np.float32))

    def __call__(self, values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return float32 (n, 504) of series end to end, (all steps, C)."""
        series, found = _standard(values, lengths), []
        for start in range(0, series.shape[1], 64):  # so that all answers to a block fit into the cache
            block, shares = series[:, start : start + 64], []
            for dilation, channels, biases in zip(_DILATIONS, self._channels, self._biases, strict=True):
                answers = _convolved(block, dilation, channels)
                for bias in biases:
                    above = (answers > bias[:, None, None]).view(np.uint8)
                    shares.append(np.add.reduce(above, axis=1, dtype=np.uint8))  # 64 at most
            found.append(np.concatenate(shares).T.astype(np.float32) / np.float32(_STEPS))
        return np.concatenate(found)


def _standard(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return series (64, n, C) float32, each channel of mean 0 and deviation 1, or 0 where it is constant."""
    series = resampled(values, lengths, _STEPS)
    mean = series.mean(axis=1, keepdims=True, dtype=np.float64)  # in float32, squares of 1e20 overflow
    centred = series - mean
    scaled = centred / (centred.std(axis=1, keepdims=True) + 1e-6 * np.abs(mean) + 1e-12)
    return np.ascontiguousarray(scaled.transpose(1, 0, 2), dtype=np.float32)


def _convolved(series: np.ndarray, dilation: int, channels: np.ndarray) -> np.ndarray:
    """Return the answers (84, T, n) of all kernels to series (T, n, C), each to the channel it looks at."""
    steps, count, _ = series.shape
    answers = np.empty((len(_KERNELS), steps, count), dtype=np.float32)
    for channel in np.unique(channels):
        padded = np.zeros((steps + 8 * dilation, count), dtype=np.float32)
        padded[4 * dilation : 4 * dilation + steps] = series[:, :, channel]
        taps = np.stack([padded[k * dilation : k * dilation + steps].ravel() for k in range(9)])
        looking = channels == channel
        answers[looking] = (_KERNELS[looking].astype(np.float32) @ taps).reshape(-1, steps, count)
    return answers


# Text.


def _of_texts(dataset: Dataset, rows: np.ndarray, seed: int) -> Features:
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.utils.extmath import randomized_svd

    rows = _sample(rows, _TEXTS, seed)
    source = "main directions of hashed words and letters"
    if not len(rows):
        return Features(rows=rows, values=np.empty((0, _TEXT_FEATURES), dtype=np.float32), source=source)
    longest = min(max(_CHARACTERS // len(rows), _LEAST_CHARACTERS), _MOST_CHARACTERS)
    # Rarity of words and main directions are measured on a part of the rows: on 10,605 film reviews (0.72 of
    # 2,122 held-out ones told right by a linear model) 3 s in place of 7, with nothing lost.
    weights = TfidfTransformer(sublinear_tf=True)
    fitted = weights.fit_transform(_hashed(dataset, _sample(rows, _FITTED, seed), longest))
    _, sizes, directions = randomized_svd(fitted, min(_TEXT_FEATURES, fitted.shape[0]), n_iter=2, random_state=seed)
    is_kept = sizes >= max(1e-3 * sizes[0], 1e-6)  # the others hold rounding errors, which a probe would scale up
    is_kept[0] = True
    turn = np.ascontiguousarray(directions[is_kept].T)
    parts = (rows[start : start + _FITTED] for start in range(0, len(rows), _FITTED))
    blocks = [weights.transform(_hashed(dataset, part, longest)) @ turn for part in parts]
    return Features(rows=rows, values=_stacked(blocks), source=source)


def _hashed(dataset: Dataset, rows: np.ndarray, longest: int) -> csr_matrix:
    """Count words, pairs of words, and three or four letters of a word, in buckets, of the beginnings of texts."""
    import pyarrow.compute as pc
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import HashingVectorizer

    column = dataset.rows.with_format("arrow", columns=["text"])[rows.tolist()].column("text")
    texts = pc.utf8_slice_codeunits(column.fill_null(""), 0, longest).to_pylist()
    counts = [
        HashingVectorizer(
            analyzer=analyzer,
            ngram_range=lengths,
            n_features=_BUCKETS,
            norm=None,
            alternate_sign=False,
            dtype=np.float32,
        ).transform(texts)
        for analyzer, lengths in (("word", (1, 2)), ("char_wb", (3, 4)))
    ]
    found: csr_matrix = hstack(counts, format="csr")
    return found


def _flat(blocks: np.ndarray) -> np.ndarray:
    return blocks.reshape(len(blocks), -1)


def _stacked(blocks: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(blocks).astype(np.float32, copy=False) if blocks else np.empty((0, 0), dtype=np.float32)
