"""What was refused for want of memory, and need not be tried again. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed.core.search.history import History, Trial
from seedbed.core.space import Values

_GROWS = ("batch_size", "resolution")


def is_known_too_large(values: Values, history: History, *, resolution: float = 1.0) -> bool:
    """Whether a candidate is as one that was refused, or larger: the same net and policy, as many rows and pixels.

    Of other options of the net nobody knows here which make it smaller, so it must be the very same net.

    Args:
        resolution: the share of the candidate's resolution at which it is to be trained.
    """
    return any(_is_as_large(values, resolution, trial) for trial in _refused(values, history))


def _is_as_large(values: Values, resolution: float, refused: Trial) -> bool:
    before = refused.candidate.values
    if _net(before) != _net(values):
        return False
    wanted = _sizes(values, resolution)
    return all(size <= new for size, new in zip(_sizes(before, refused.fidelity.resolution), wanted, strict=True))


def _net(values: Values) -> dict[str, object]:
    return {key: value for key, value in values.items() if key.split(".")[0] == "architecture"}


def _sizes(values: Values, resolution: float) -> tuple[float, ...]:
    """Return how many rows and pixels a side a batch has; 0 where the candidate does not say, as of texts."""
    rows, pixels = (float(values.get(key, 0) or 0) for key in _GROWS)
    return rows, (pixels or 1.0) * resolution


def _refused(values: Values, history: History) -> Iterator[Trial]:
    """Yield the refused trials of the same net and policy; a mean of other trials' weights is refused for its score."""
    return (trial for trial in history.refused(values) if not trial.ingredients)
