"""Which models the validation rows cannot tell apart, and how likely each is to be the best. Pure."""

from __future__ import annotations

import numpy as np

from seedbed.core.results.intervals import QUANTILES


def tie_groups(gains: np.ndarray, equal: float) -> list[int]:
    """Number the groups of models from 1, by their scores on resampled rows `gains` (B, T), greater is better.

    The best model stands first. A model joins the group above it while the 95 % interval of its distance to that
    group's leader reaches zero, or what is `equal` to it.
    """
    groups: list[int] = []
    leader = 0
    for index in range(gains.shape[1]):
        if not groups:
            groups.append(1)
        elif np.quantile(gains[:, leader] - gains[:, index], QUANTILES[0]) <= equal:
            groups.append(groups[-1])
        else:
            leader = index
            groups.append(groups[-1] + 1)
    return groups


def chances_to_be_best(gains: np.ndarray, equal: float) -> np.ndarray:
    """Return in what share of the draws each model comes first, (T,); a shared first place counts in parts."""
    first = gains >= gains.max(axis=1, keepdims=True) - equal
    chances: np.ndarray = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
    return chances
