"""What a frozen backbone, or a plain transform, sees in the rows: numbers that checks and probes share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Features:
    """Features of some rows: `rows` int64 (n,), rising; `values` float32 (n, F); `source` names them for people."""

    rows: np.ndarray
    values: np.ndarray
    source: str

    def __len__(self) -> int:
        return len(self.rows)
