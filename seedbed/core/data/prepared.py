"""Data decoded once and laid out for quick access: what trials, checks and predictions read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from seedbed.core.data.preparing.decode import ImageForm
from seedbed.core.data.preparing.measure import Original


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A folder of prepared rows, of any modality.

    `fingerprint` stands for the content that went in. `unreadable` lists row numbers that hold nothing
    usable, each with the reason, worded to follow the row's name (all of them for images and series; of
    texts the first few thousand); `notes` are what preparation itself saw.
    """

    folder: Path
    rows: int
    fingerprint: str
    unreadable: tuple[tuple[int, str], ...] = ()
    notes: tuple[str, ...] = ()

    def usable(self) -> np.ndarray:
        """Return a mask (N,) of the rows that could be read."""
        mask = np.ones(self.rows, dtype=bool)
        mask[[row for row, _ in self.unreadable]] = False
        return mask


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedImages(Prepared):
    """Images brought to one form; unreadable rows are black."""

    height: int
    width: int
    channels: int
    white: float = 65535.0
    original: Original = field(default_factory=Original)

    def images(self) -> np.memmap:
        """Open the pixels, read-only: uint8 (N, H, W, C)."""
        opened: np.memmap = np.load(self.folder / "images.npy", mmap_mode="r")
        return opened

    def originals(self) -> np.ndarray:
        """Return width, height (pixels, as stored) and EXIF orientation (1 to 8) of each file, int32 (N, 3)."""
        found: np.ndarray = np.load(self.folder / "originals.npy")
        return found

    @property
    def form(self) -> ImageForm:
        """What every image was brought to; new inputs must be brought to the same."""
        return ImageForm(height=self.height, width=self.width, channels=self.channels, white=self.white)


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedSeries(Prepared):
    """Series end to end: row i is `values()[offsets()[i]:offsets()[i + 1]]`, float32 (steps, channels).

    A value that is missing is NaN here; so is what a channel shorter than the others of its row lacks.
    """

    channels: int

    def values(self) -> np.memmap:
        """Open the values, read-only: float32 (all steps, C)."""
        opened: np.memmap = np.load(self.folder / "values.npy", mmap_mode="r")
        return opened

    def offsets(self) -> np.ndarray:
        """Return where each row begins and the last one ends, int64 (N + 1,)."""
        found: np.ndarray = np.load(self.folder / "offsets.npy")
        return found

    def lengths(self) -> np.ndarray:
        """Return the steps of each row, int64 (N,)."""
        return np.diff(self.offsets())


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedText(Prepared):
    """Texts, measured; their tokens come after the split, as a vocabulary is learnt from training rows alone."""

    def usable(self) -> np.ndarray:
        """Return a mask (N,) of the rows that hold a text."""
        mask: np.ndarray = self.characters() > 0
        return mask

    def characters(self) -> np.ndarray:
        """Return the length of each text in characters, int32 (N,); 0 where there is none."""
        found: np.ndarray = np.load(self.folder / "characters.npy", mmap_mode="r")
        return found
