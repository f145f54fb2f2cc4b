"""Strong defaults for images, the most promising per second first."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed.core.data.profile import Profile
from seedbed.core.search.history import History
from seedbed.core.space import Space, Value
from seedbed.plugins.strategies.imbalance import weighs_classes
from seedbed.plugins.strategies.transfer import by_probe, to_probe, with_weights

_MOST_MIRROR_COST = 1.1
"""Digits have 2.1, Fashion-MNIST 1.2, emoji 1.0. At 1.2 mirror images cost more than they gave within
minutes: test accuracy 0.9327 with them and 0.9360 without in 300 s, 0.913 and 0.918 in 60 s, one run each."""

_SMALL_PIXELS = 40
"""Up to this size a small net trained on the data itself beats features made for photographs."""

_LEAST_PIXELS = 24
"""Smaller ones show nothing of what a net for photographs looks for."""

_PREFERRED = ("tf_efficientnet_lite0", "convnext_atto", "regnety_008", "resnet50")
"""Pretrained nets, the cheapest first: families that differ, so that one of them may suit."""


def image_recipes(space: Space, profile: Profile, history: History) -> Iterator[dict[str, Value]]:
    """Yield wishes: parts of points of the space."""
    own, pretrained = _small_net(profile), list(_pretrained(space, profile, history))
    yield from [own, *pretrained] if profile.size <= _SMALL_PIXELS else [*pretrained, own]


def _small_net(profile: Profile) -> dict[str, Value]:
    """Return the recipe for training the small residual net from scratch."""
    few = profile.train < 5_000
    return {
        "architecture": "small_resnet",
        "policy": "scratch",
        # Small data leaves time for a wider net: on 1,150 digits 0.995 against 0.988 in the same 12 s.
        "architecture.small_resnet.width": 32 if few else 16,
        "batch_size": 64 if few else 128,
        "optimizer": "adamw",
        "optimizer.adamw.lr": 0.01,
        "optimizer.adamw.weight_decay": 0.05,
        "optimizer.adamw.beta2": 0.99,
        "schedule": "one_cycle",
        "augmenter.shift": True,
        "augmenter.affine": few,
        "augmenter.flip": _mirrors(profile),
        "regularizer.label_smoothing": True,
        **weighs_classes(profile),
    }


def _mirrors(profile: Profile) -> bool:
    """Whether to train on mirror images: where they cost a linear model little, or else in colour pictures."""
    if profile.mirror_cost is None:
        return profile.channels == 3
    return profile.mirror_cost < _MOST_MIRROR_COST


def _pretrained(space: Space, profile: Profile, history: History) -> Iterator[dict[str, Value]]:
    """Yield a probe of each pretrained net that is looked at, then the fine-tuning of the best of them."""
    known = with_weights(space, _PREFERRED) if profile.size >= _LEAST_PIXELS else []
    names = to_probe(known, history)
    common: dict[str, Value] = {"resolution": 128}
    yield from ({**common, "architecture": name, "policy": "probe"} for name in names)
    for name in by_probe(names, profile, history)[:1]:
        yield {
            **common,
            "architecture": name,
            "policy": "head_then_all",
            "batch_size": 32,
            "optimizer": "adamw",
            "optimizer.adamw.lr": 5e-4,
            "optimizer.adamw.weight_decay": 0.05,
            "schedule": "one_cycle",
            "augmenter.flip": _mirrors(profile),
            "augmenter.shift": True,
            # A pretrained net soon knows a few thousand images by heart: see docs/measurements.md.
            "augmenter.zoom": True,
            "regularizer.dropout": True,
            "regularizer.label_smoothing": True,
            **weighs_classes(profile),
        }
