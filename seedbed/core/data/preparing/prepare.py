"""Decode every image once, into a memory-mapped array that all trials share; an edge.

A prepared folder holds `images.npy` (uint8, (N, H, W, C)), `originals.npy` and `prepared.json`. Its name is the
fingerprint of what went in, so that equal data is prepared once and changed data anew.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from seedbed.core.data.columns import origins, row_names
from seedbed.core.data.dataset import Dataset
from seedbed.core.data.prepared import PreparedImages
from seedbed.core.data.preparing.blocks import decode_in_order, usable_cpus
from seedbed.core.data.preparing.cachefolder import NOT_WHOLE, filling, read_facts, write_facts
from seedbed.core.data.preparing.decode import ImageForm, quiet_pillow
from seedbed.core.data.preparing.measure import Original, choose_form, measure
from seedbed.core.errors import DataError, Interrupted

VERSION = 3  # raise it when equal files would give other pixels
SAMPLE = 2000
LIMIT_BYTES = 4 * 2**30

_CHUNK_BYTES = 4 * 2**20
_CHUNK_ROWS = 512


def open_prepared(folder: Path) -> PreparedImages:
    """Open a prepared folder.

    Raises:
        DataError: it is missing, damaged or of another version.
    """
    try:
        prepared = read_facts(folder, PreparedImages)
        shape = prepared.images().shape
    except NOT_WHOLE as error:
        raise DataError(f"{folder} holds no prepared images ({error}); prepare them again.") from error
    if shape != (prepared.rows, prepared.height, prepared.width, prepared.channels):
        raise DataError(f"{folder}: images.npy does not fit prepared.json; delete the folder and prepare again.")
    return prepared


def prepare(
    dataset: Dataset,
    cache: Path,
    *,
    report: Callable[[int, int], None] | None = None,
    threads: int = 0,
    limit_bytes: int = LIMIT_BYTES,
    cancelled: Callable[[], bool] | None = None,
    form: ImageForm | None = None,
) -> PreparedImages:
    """Decode the images of a dataset, or open what an earlier call left in the cache.

    `report(done, total)` is called as rows are done. `threads` is the most to use (0: one a core).
    `form` asks for a given size and channels (those a model was trained on); else they are measured.

    Raises:
        DataError: there is no image, none can be read, or the cache has no room.
        Interrupted: `cancelled()` became true.
    """
    key = _fingerprint(dataset, limit_bytes, form)
    folder = cache / key
    with suppress(DataError):  # missing or damaged: made below
        return open_prepared(folder)
    if not len(dataset):
        raise DataError(f"{dataset.source} holds no images.")
    with quiet_pillow():
        original = measure(origins(dataset, _sample(len(dataset))))
        form = form or choose_form(original, len(dataset), limit_bytes)
        with filling(folder, len(dataset) * form.bytes, "The prepared images", open_prepared) as partial:
            with (partial / "images.npy").open("wb") as file:
                tally = _write(dataset, form, file, threads or usable_cpus(), report, cancelled)
            np.save(partial / "originals.npy", np.concatenate(tally.originals))
            write_facts(_summarise(dataset, form, original, tally, folder), partial)
    return open_prepared(folder)


@dataclass(slots=True)
class _Tally:
    unreadable: list[tuple[int, str]]
    originals: list[np.ndarray] = field(default_factory=list)
    colour: int = 0
    resized: int = 0


def _write(
    dataset: Dataset,
    form: ImageForm,
    file: BinaryIO,
    threads: int,
    report: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> _Tally:
    """Write the array block by block: through a memory map, a full disk would be a bus error."""
    total, done, tally = len(dataset), 0, _Tally([])
    shape = (total, form.height, form.width, form.channels)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    step = max(1, min(_CHUNK_ROWS, _CHUNK_BYTES // form.bytes))
    chunks = (origins(dataset, slice(start, min(start + step, total))) for start in range(0, total, step))
    with closing(decode_in_order(chunks, form, threads)) as blocks:
        for block in blocks:
            if cancelled is not None and cancelled():
                raise Interrupted(f"Stopped after {done} of {total} images were prepared; run again for all.")
            file.write(block.pixels.data)
            tally.unreadable += [(done + row, reason) for row, reason in block.unreadable]
            tally.originals.append(block.originals)
            tally.colour += block.colour
            tally.resized += block.resized
            done += len(block.pixels)
            if report is not None:
                report(done, total)
    return tally


def _summarise(dataset: Dataset, form: ImageForm, original: Original, tally: _Tally, folder: Path) -> PreparedImages:
    total, bad = len(dataset), tally.unreadable
    if len(bad) == total:
        name = row_names(dataset, [bad[0][0]])[0]
        raise DataError(
            f"None of the images in {dataset.source} ({total}) can be read: {name} {bad[0][1]}. "
            "Open one in an image viewer to see whether the copy is whole."
        )
    notes = []
    if form.channels == 1 and tally.colour:
        notes.append(f"{tally.colour} of {total} images have colour; they were made grey, as the others are.")
    keeps_size = original.is_one_size and (form.width, form.height) == (original.width, original.height)
    if keeps_size and tally.resized:
        size = f"{form.width} by {form.height} pixels"
        notes.append(f"{tally.resized} of {total} images were resized to {size}, the size of the others.")
    return PreparedImages(
        folder=folder,
        rows=total,
        height=form.height,
        width=form.width,
        channels=form.channels,
        fingerprint=folder.name,
        white=form.white,
        unreadable=tuple(bad),
        original=original,
        notes=tuple(notes),
    )


def _sample(rows: int) -> list[int]:
    if rows <= SAMPLE:
        return list(range(rows))
    chosen = np.random.default_rng(0).choice(rows, SAMPLE, replace=False)
    return sorted(int(row) for row in chosen)


def _fingerprint(dataset: Dataset, limit_bytes: int, form: ImageForm | None) -> str:
    """Name the content: path, size and time of change of files, the bytes of what comes as bytes.

    The prepared size follows from the content and the limit, so these stand for it.
    """
    digest = hashlib.blake2b(f"{VERSION} {limit_bytes} {form}".encode(), digest_size=12)
    for start in range(0, len(dataset), 4096):
        for origin in origins(dataset, slice(start, min(start + 4096, len(dataset)))):
            if isinstance(origin, str):
                digest.update(f"{origin}\0{_stamp(origin)}\0".encode())
            else:
                digest.update(b"%d\0" % len(origin))
                digest.update(origin)
    return digest.hexdigest()


def _stamp(path: str) -> str:
    try:
        found = os.stat(path)  # noqa: PTH116 - through pathlib 60,000 files take 0.3 s longer
    except (OSError, ValueError):
        return "missing"
    return f"{found.st_size} {found.st_mtime_ns}"
