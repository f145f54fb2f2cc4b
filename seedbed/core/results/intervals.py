"""Between what bounds scores lie: 95 % intervals, of shares of rows and of any other score. Pure."""

from __future__ import annotations

import numpy as np

_Z = 1.959964  # the normal distribution's 97.5 % quantile
QUANTILES = (0.025, 0.975)


def intervals(
    scores: np.ndarray, corrected: np.ndarray, samples: np.ndarray, sign: float, *, shares_of: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds (T,), (T,) of scores (T,) that stand next to those they were chosen from.

    The interval of a score alone holds what is true of a model that was named beforehand: that of the truly best one
    too, for the truth does not pick by the luck of these rows. What was picked by them is too good by its optimism, so
    towards the worse the bound is that of the corrected score: both intervals lie in this one.

    Args:
        corrected: the scores (T,) without the optimism, none of them better than its score.
        samples: scores on resampled rows (B, T).
        sign: 1 where more is better, -1 where less is.
        shares_of: of how many rows the scores are shares; 0 where they are none.
    """
    below, above = (corrected, scores) if sign > 0 else (scores, corrected)
    if shares_of:
        low, high = wilson(below, shares_of)[0], wilson(above, shares_of)[1]
    else:
        low, high = np.quantile(samples, QUANTILES, axis=0)
        low, high = low - (scores - below), high + (above - scores)
    # The bootstrap of a biased score (macro F1) may leave out the score itself.
    return np.minimum(low, scores), np.maximum(high, scores)


def wilson(shares: np.ndarray, examples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95 % intervals of shares (T,) of so many rows (Wilson 1927).

    For a single share it is nearer to 95 % than the bootstrap, which calls 30 right of 30 certain.
    """
    scale = 1 + _Z**2 / examples
    centre = (shares + _Z**2 / (2 * examples)) / scale
    half = _Z / scale * np.sqrt(shares * (1 - shares) / examples + _Z**2 / (4 * examples**2))
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
