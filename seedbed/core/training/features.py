"""Features of frozen backbones: computed once for each (weights, input form, data), kept for all who ask; an edge.

Beside the prepared data, `features/<key>/` holds what one backbone gives of one input form in one precision.
A file in it holds some rows and is written once, under another name until it is whole; a request reads
the rows that are there, computes the others, and adds them. So a check, a probe and a search for
duplicates that ask for overlapping rows share the work, and two workers that write at once only write
more than they had to.

An image's features do not depend on what else is in its batch (EfficientNet-Lite0 at 128 px, oneDNN on a CPU: bit
for bit the same in batches of 7 to 128; alone in a batch, 8e-6 off). Those of a text or a series do, a little: it is
padded to the longest beside it (MiniLM, on a CPU: 5e-7 in float32, 5e-3 in bfloat16). So a run that has to repeat
exactly computes them in whole blocks (`in_blocks`), and others keep theirs apart (`FeatureStore.apart`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from seedbed.core.data.view import View
from seedbed.core.search.candidate import Candidate
from seedbed.core.training.member import Component

log = logging.getLogger(__name__)

BATCH = 128

_KEPT_BYTES = 2**30  # for each key
_CHUNK_ROWS = 32 * BATCH  # 20 MB of EfficientNet-Lite0's features: what a killed worker loses at most
_SUFFIX = ".features"
_MAGIC = b"features"
_HEAD = struct.Struct("<8sqq")
_FORMAT = "2"
_EXACT = "float32"
_STALE_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureStore:
    """What one backbone sees in the rows of one prepared dataset, in one input form and precision.

    `exact` is the folder of the same features in full precision, which serve where less would do; None
    where it would not.
    """

    folder: Path
    exact: Path | None = None

    def apart(self, batches: str) -> FeatureStore:
        """Return a store beside this one, for features that depend on what else was in their batch.

        `batches` names how rows are put together: what was computed in other company is not theirs. Those of
        this store serve there too, but not the other way round.
        """
        return FeatureStore(
            folder=self.folder.with_name(f"{self.folder.name}-{batches}"), exact=self.exact or self.folder
        )

    def known(self, rows: np.ndarray) -> np.ndarray:
        """Return a mask (n,) of the rows (n,) that need not be computed."""
        known = np.zeros(len(rows), dtype=bool)
        for chunk in self._chunks():
            known |= chunk.holds(rows)[0]
        return known

    def read(self, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Fill `values` (n, F), in place, with what is known of the rows (n,), and return its mask (n,)."""
        known = np.zeros(len(rows), dtype=bool)
        for chunk in self._chunks(values.shape[1]):
            held, places = chunk.holds(rows)
            held &= ~known
            values[held] = chunk.values[places[held]]
            known |= held
            if known.all():
                break
        return known

    def add(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Keep features (n, F) float32 of rows (n,) while there is room for them; a full disk is no error."""
        rows, first = np.unique(rows, return_index=True)
        path = self.folder / (hashlib.sha256(rows.astype(np.int64).tobytes()).hexdigest()[:24] + _SUFFIX)
        partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.partial")
        try:
            if not len(rows) or path.exists() or self._bytes() + rows.nbytes + values.nbytes > _KEPT_BYTES:
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            self._clear_stale()
            with partial.open("wb") as file:
                file.write(_HEAD.pack(_MAGIC, len(rows), values.shape[1]))
                file.write(rows.astype("<i8", copy=False).tobytes())
                file.write(values[first].astype("<f4", copy=False).tobytes())
            partial.replace(path)
        except OSError as error:  # costs time, not the trial
            log.warning("Features could not be kept in %s: %s", self.folder, error)
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    def _chunks(self, width: int | None = None) -> Iterator[_Chunk]:
        for folder in filter(None, (self.exact, self.folder)):
            for path in sorted(folder.glob(f"*{_SUFFIX}")):
                chunk = _open(path)
                if chunk is not None and width in (None, chunk.values.shape[1]):
                    yield chunk

    def _bytes(self) -> int:
        total = 0
        for each in self.folder.glob(f"*{_SUFFIX}"):
            with suppress(FileNotFoundError):  # another worker found it damaged
                total += each.stat().st_size
        return total

    def _clear_stale(self) -> None:
        """Remove what workers killed a day ago left half written."""
        for left in self.folder.glob("*.partial"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                    left.unlink()


@dataclass(frozen=True, slots=True, eq=False)
class _Chunk:
    """Features of some rows: `rows` int64 (n,), rising; `values` float32 (n, F), memory-mapped."""

    rows: np.ndarray
    values: np.ndarray

    def holds(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of the rows are here, and the place of each (without meaning where it is not)."""
        places = np.searchsorted(self.rows, rows)
        places[places == len(self.rows)] = 0
        return self.rows[places] == rows, places


def _open(path: Path) -> _Chunk | None:
    """Open a file of features; one that is damaged is removed, and its rows are computed anew.

    NumPy's own format would have its header parsed by `ast`, which in Python 3.11 may fail in one thread while
    another is in it too (`AST constructor recursion depth mismatch`, CPython issue 106905).
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD.size)
            magic, count, width = _HEAD.unpack(head) if len(head) == _HEAD.size else (b"", 0, 0)
            whole = _HEAD.size + count * (8 + 4 * width)
            if magic == _MAGIC and min(count, width) > 0 and os.fstat(file.fileno()).st_size == whole:
                rows = np.fromfile(file, dtype="<i8", count=count)
                values = np.memmap(file, dtype="<f4", mode="r", offset=_HEAD.size + 8 * count, shape=(count, width))
                return _Chunk(rows, values)
    except FileNotFoundError:
        return None  # another worker was here first
    except OSError as error:  # too many open files, say: the file itself may be whole
        log.warning("%s cannot be read (%s); its features are computed anew.", path, error)
        return None
    log.warning("%s is damaged; its features are computed anew.", path)
    with suppress(OSError):
        path.unlink()
    return None


def open_store(data: Path, identity: str, view: View, precision: str) -> FeatureStore:
    """Return the store beside the prepared data for a backbone (`identity_of`), an input form and a precision.

    Half-precision features that a timed run left never serve one that has to repeat exactly; full-precision
    ones serve everybody.
    """
    keys = [
        hashlib.sha256(identity.encode() + repr((view, name, _FORMAT)).encode()).hexdigest()[:24]
        for name in (precision, _EXACT)
    ]
    own, exact = (data / "features" / key for key in keys)
    return FeatureStore(folder=own, exact=None if own == exact else exact)


def identity_of(candidate: Candidate, components: Sequence[Component], seed: int) -> str:
    """Name a candidate's backbone: its architecture, its options, its weights, and whose they are.

    Without pretrained weights the seed decides what its features are, unless it is a fixed transform.
    """
    names = ("architecture", "weights")
    values = {k: v for k, v in candidate.values.items() if k.split(".")[0] in names}
    owners = [msgspec.to_builtins(each) for each in components if each.kind in names]
    return json.dumps([values, owners, None if "weights" in values else seed], sort_keys=True)


def in_blocks(rows: np.ndarray, total: int) -> np.ndarray:
    """Return the rows, rising, of all batches of a dataset of `total` rows that hold any of `rows` (n,).

    Where these are computed in this order, a row always meets the same others in its batch, whoever asks for it.
    """
    blocks = np.unique(rows // BATCH)
    found: np.ndarray = (blocks[:, None] * BATCH + np.arange(BATCH)).reshape(-1)
    return found[found < total]


def compute(
    store: FeatureStore,
    rows: np.ndarray,
    values: np.ndarray,
    missing: np.ndarray,
    forward: Callable[[np.ndarray], np.ndarray],
    *,
    has_time: Callable[[], bool] = lambda: True,
) -> int:
    """Fill `values` (n, F), in place, at the places `missing` (m,), batch by batch, and keep them in the store.

    Returns how many of `missing` were done, from the first on, before `has_time` said no. What was done is
    kept even where `forward` raises.
    """
    done = kept = 0
    try:
        while done < len(missing) and has_time():
            places = missing[done : done + BATCH]
            values[places] = forward(rows[places])
            done += len(places)
            if done - kept >= _CHUNK_ROWS:
                store.add(rows[missing[kept:done]], values[missing[kept:done]])
                kept = done
    finally:
        store.add(rows[missing[kept:done]], values[missing[kept:done]])
    return done
