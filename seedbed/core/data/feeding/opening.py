"""Open what was prepared, of whatever modality."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from seedbed.core.data.feeding.images import Images
from seedbed.core.data.feeding.series import Series
from seedbed.core.data.feeding.source import Source
from seedbed.core.data.feeding.texts import Texts
from seedbed.core.task import Modality


def open_source(modality: Modality, data: Path, tokens: str, device: torch.device, *, room: float = math.inf) -> Source:
    """Return the rows in the folder of prepared `data`; of texts, `tokens` is the folder of their ids.

    `room` is how many bytes the device has left.

    Raises:
        DataError: what lies there is not whole.
    """
    if modality == "image":
        return Images(data, device, room)
    if modality == "series":
        return Series(data, device)
    return Texts(data, Path(tokens), device)
