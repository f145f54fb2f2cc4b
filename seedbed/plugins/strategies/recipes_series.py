"""Strong defaults for series, the most promising per second first.

Random convolutions with a ridge head answer in a second or two and are hard to beat on few rows (on eight
sets of the UCR and UEA archives 0.85 to 1.00 in 0.4 to 5 s, a bidirectional GRU 0.18 to 1.00 in 11 s each): they
come first, and recurrent nets last, where there are rows enough to train one.
"""

from __future__ import annotations

from collections.abc import Iterator

from seedbed.core.data.profile import Profile
from seedbed.core.search.history import History
from seedbed.core.space import Space, Value
from seedbed.plugins.strategies.imbalance import weighs_classes

_ENOUGH_FOR_CONVOLUTIONS = 30
_ENOUGH_FOR_RECURRENCE = 1_000
_LONGEST_FOR_RECURRENCE = 500
"""Steps: what a recurrent net takes grows with the length, whatever the hardware."""


def series_recipes(space: Space, profile: Profile, history: History) -> Iterator[dict[str, Value]]:
    """Yield wishes: parts of points of the space."""
    yield {"architecture": "minirocket", "policy": "probe"}
    if profile.train >= _ENOUGH_FOR_CONVOLUTIONS:
        for name in ("inception_time", "fcn"):
            yield {"architecture": name, **_training(profile)}
    longest = profile.lengths.longest if profile.lengths else 0
    if profile.train >= _ENOUGH_FOR_RECURRENCE and longest <= _LONGEST_FOR_RECURRENCE:
        yield {"architecture": "lstm", **_training(profile), "regularizer.gradient_clipping": True}


def _training(profile: Profile) -> dict[str, Value]:
    return {
        "policy": "scratch",
        "batch_size": 16 if profile.train < 500 else 64,
        "optimizer": "adamw",
        "optimizer.adamw.lr": 3e-3,
        "optimizer.adamw.weight_decay": 0.01,
        "schedule": "one_cycle",
        "regularizer.dropout": True,
        **weighs_classes(profile),
    }
