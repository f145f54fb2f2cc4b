"""What a score is worth that was picked as the best of many. Pure."""

from __future__ import annotations

import numpy as np


def corrected(scores: np.ndarray, inside: np.ndarray, outside: np.ndarray, sign: float) -> np.ndarray:
    """Return scores (T,) without what they owe to having been picked; none becomes better by that.

    Bootstrap bias correction (Tsamardinos, Greasidou & Borboudakis 2018, BBC-CV): in every draw the models are ordered
    anew, by the rows that were drawn, and the one that comes k-th is scored on the rows that were not. The mean of that
    over all draws is what is to be expected of the k-th of so many.

    The optimism is not taken as the difference of both scores in a draw: rows drawn with repetition scatter more than
    the validation part itself, and of models that are all alike it would be 1.4 times too large.

    What all models have in common in a draw, easy rows or a score that depends on how many rows there are (macro F1),
    has nothing to do with the choice and is taken off: a model without others keeps its score. And nobody is
    expected to be better than who comes before it, whatever the draws say by chance.

    Args:
        scores: on all rows, the best first.
        inside: on the drawn rows (B, T), in the same order.
        outside: on the rows that were not drawn (B, T).
        sign: 1 where more is better, -1 where less is.
    """
    # Among equals the better one on all rows comes first, as on the leaderboard.
    order = np.argsort(-sign * inside, axis=1, kind="stable")
    common = (outside - scores).mean(axis=1, keepdims=True)
    expected = sign * np.take_along_axis(outside - common, order, axis=1).mean(axis=0)
    found: np.ndarray = sign * np.minimum(np.minimum.accumulate(expected), sign * scores)
    return found
