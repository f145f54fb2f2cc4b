"""Encoded images → blocks of pixels, in order, with as many threads as are of use."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain, islice
from threading import Lock

import numpy as np

from seedbed.core.data.columns import Origin
from seedbed.core.data.preparing.decode import ImageForm, decode, read_encoded
from seedbed.core.errors import DataError

# About so much of each image is Python that holds the interpreter lock: 28-pixel PNGs take 52 µs with
# one thread and 83 with two (2 cores, Pillow 13, Python 3.11), 500-pixel JPEGs 1,540 and 1,100.
_LOCKED_SECONDS = 60e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Decoded rows: `pixels` uint8 (n, H, W, C), black where `unreadable` (row in the block, reason).

    `originals` int32 (n, 3) are width, height and EXIF orientation of the files, 0 where unreadable;
    `colour` and `resized` count the rows that had colour and those of another size.
    """

    pixels: np.ndarray
    originals: np.ndarray
    unreadable: tuple[tuple[int, str], ...]
    colour: int
    resized: int


def usable_cpus() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def decode_in_order(chunks: Iterable[list[Origin]], form: ImageForm, threads: int) -> Generator[Block, None, None]:
    """Yield each chunk's block in order, with at most `threads` threads.

    How many are of use is measured on the first two chunks: small images are quickest with one.
    """
    chunks = iter(chunks)
    seconds = float("inf")
    for chunk in islice(chunks, 2):  # the first warms caches and imports codecs
        began = time.perf_counter()
        block = decode_block(chunk, form)
        seconds = min(seconds, (time.perf_counter() - began) / len(chunk))
        yield block
    first = next(chunks, None)
    if first is None:
        return
    chunks = chain([first], chunks)
    threads = min(threads, int(seconds / _LOCKED_SECONDS))
    if threads > 1:
        yield from _decode_in_threads(chunks, form, threads)
    else:
        yield from (decode_block(chunk, form) for chunk in chunks)


def decode_block(
    chunk: list[Origin],
    form: ImageForm,
    alone: AbstractContextManager[object] = nullcontext(),  # noqa: B008 - it holds nothing
) -> Block:
    """Decode some images, large ones while `alone` is held; one that cannot be read is noted and left black."""
    pixels = np.zeros((len(chunk), form.height, form.width, form.channels), dtype=np.uint8)
    originals = np.zeros((len(chunk), 3), dtype=np.int32)
    unreadable = []
    colour = resized = 0
    for row, origin in enumerate(chunk):
        try:
            picture = decode(read_encoded(origin), form, alone)
        except DataError as error:
            unreadable.append((row, str(error)))
            continue
        pixels[row] = picture.pixels
        originals[row] = picture.width, picture.height, picture.orientation
        colour += picture.was_colour
        resized += picture.was_resized
    return Block(pixels=pixels, originals=originals, unreadable=tuple(unreadable), colour=colour, resized=resized)


def _decode_in_threads(chunks: Iterable[list[Origin]], form: ImageForm, threads: int) -> Generator[Block, None, None]:
    alone = Lock()  # with a large image in each thread, a few kilobytes of zeros could fill the memory
    with ThreadPoolExecutor(threads, thread_name_prefix="seedbed-prepare") as pool:
        waiting: deque[Future[Block]] = deque()
        try:
            for chunk in chunks:
                waiting.append(pool.submit(decode_block, chunk, form, alone))
                if len(waiting) > 2 * threads:  # a window: memory stays bounded
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
