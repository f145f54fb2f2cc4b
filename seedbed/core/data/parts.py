"""The parts of a data set: their codes, and what people call them."""

from __future__ import annotations

from seedbed.core.data.dataset import Part

PARTS = ("train", "valid", "test")
"""The parts, in the order of their codes from 1."""

TRAIN, VALID, TEST = 1, 2, 3

PART_NAMES: dict[str, Part] = {
    "train": "train", "training": "train", "trn": "train", "tr": "train",
    "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid", "development": "valid",
    "eval": "valid", "publictest": "valid",
    "test": "test", "testing": "test", "tst": "test", "te": "test", "holdout": "test", "privatetest": "test",
}  # fmt: skip
"""What people call the parts, in lower case; the public and private test are those of old Kaggle contests."""
