"""Augmentation one image at a time, several at once: for what cannot be done with a batch of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from seedbed.core.protocols import SampleAugmenter


class SampleStage:
    """Some sample augmenters, one after another; what becomes of an image depends on the generator alone."""

    def __init__(self, augmenters: Sequence[SampleAugmenter]) -> None:
        self._augmenters = tuple(augmenters)
        self._pool = ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="seedbed-augment")

    def __call__(self, images: np.ndarray, generator: torch.Generator) -> np.ndarray:
        """Return changed images, uint8 (B, H, W, C)."""
        seeds = torch.randint(2**62, (len(images),), generator=generator).tolist()
        return np.stack(list(self._pool.map(self._one, images, seeds)))

    def _one(self, image: np.ndarray, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        for augment in self._augmenters:
            image = augment(image, rng)
        return image
