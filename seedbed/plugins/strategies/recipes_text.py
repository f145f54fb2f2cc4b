"""Strong defaults for texts, the most promising per second first."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed.core.data.profile import Profile
from seedbed.core.search.history import History
from seedbed.core.space import Space, Value
from seedbed.plugins.strategies.imbalance import weighs_classes
from seedbed.plugins.strategies.transfer import by_probe, to_probe, with_weights

_ENOUGH_FOR_NETS = 2_000
"""Texts: with fewer, embeddings from nothing learn little."""


def text_recipes(space: Space, profile: Profile, history: History) -> Iterator[dict[str, Value]]:
    """Yield wishes: parts of points of the space.

    Hashed n-grams answer in seconds; a pretrained encoder, where there is one, first fixed and then trained
    further, says something else, and both together say most (0.797, 0.826 and 0.838 on 8,484 sentences).
    """
    yield {"architecture": "hashed_ngrams", "policy": "probe"}
    known = with_weights(space, ("minilm_l6",))
    names = to_probe(known, history)
    if len(known) > 1:  # of a single one the fine-tuning begins with the probe, and keeps it if it cannot do better
        for name in names:
            yield {"architecture": name, "policy": "probe"}
    for name in by_probe(names, profile, history)[:1]:
        yield {
            "architecture": name,
            "policy": "head_then_all",
            "batch_size": 32,
            "optimizer": "adamw",
            "optimizer.adamw.lr": 2e-4,
            "optimizer.adamw.weight_decay": 0.01,
            "schedule": "one_cycle",
            "regularizer.dropout": True,
            **weighs_classes(profile),
        }
    if profile.train >= _ENOUGH_FOR_NETS:
        for name in ("lstm", "text_cnn"):
            yield {
                "architecture": name,
                "policy": "scratch",
                "batch_size": 64,
                "optimizer": "adamw",
                "optimizer.adamw.lr": 2e-3,
                "optimizer.adamw.weight_decay": 0.05,
                "schedule": "one_cycle",
                "regularizer.dropout": True,
                "augmenter.token_dropout": True,
                # Sure of what they learnt by heart, they could not be averaged with the n-grams.
                "regularizer.label_smoothing": True,
                **weighs_classes(profile),
            }
