"""Regularizers that end training early; they need no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from seedbed.core.data.profile import Profile
from seedbed.core.protocols import Regularizer

if TYPE_CHECKING:
    from seedbed.plugins.regularizers import EarlyStoppingOptions


class EarlyStopping(Regularizer):
    """Ends training when the best score is `patience` looks old (Goodfellow et al. 2016, algorithm 7.1)."""

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def is_done(self, scores: Sequence[float]) -> bool:
        """Whether that is so; of equal scores the first counts."""
        return bool(scores) and len(scores) - 1 - scores.index(max(scores)) >= self.patience


def early_stopping(options: EarlyStoppingOptions, profile: Profile) -> Regularizer:
    """Build early stopping."""
    return EarlyStopping(options.patience)
