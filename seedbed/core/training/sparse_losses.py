"""The losses that a linear head on sparse features is fitted by, with what Newton's method asks of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit, logsumexp, softmax

from seedbed.core.task import TaskKind

_Array = np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseLoss:
    """A loss in terms of linear outputs Z (N, K) and goals Y (N, K), both float32.

    `value` is its mean over rows, `slope` and `bend` the first derivative and the second's product with a
    direction D (N, K), a row each, without the mean. `goals` brings targets into the form of Y, `to_logits`
    weights (…, K) into one column for each output of the head, and `base` is the best constant Z (K,).
    """

    goals: Callable[[_Array], _Array]
    base: Callable[[_Array], _Array]
    value: Callable[[_Array, _Array], float]
    slope: Callable[[_Array, _Array], _Array]
    bend: Callable[[_Array], Callable[[_Array], _Array]]
    to_logits: Callable[[_Array], _Array]


def loss_of(kind: TaskKind, outputs: int) -> SparseLoss:
    """Return the loss that heads of a kind are fitted by; of two classes one output is enough."""
    if kind == "regression":
        return _SQUARES
    if kind == "multilabel":
        return _LABELS
    return _TWO_CLASSES if outputs == 2 else _classes(outputs)


def _classes(outputs: int) -> SparseLoss:
    """Cross-entropy of a softmax."""

    def goals(targets: _Array) -> _Array:
        ones = np.zeros((len(targets), outputs), dtype=np.float32)
        ones[np.arange(len(targets)), targets] = 1
        return ones

    def bend(outputs: _Array) -> Callable[[_Array], _Array]:
        chances = softmax(outputs, axis=1)
        return lambda d: chances * (d - (chances * d).sum(1, keepdims=True))

    return SparseLoss(
        goals=goals,
        base=lambda goals: np.log((goals.sum(0) + 1) / (len(goals) + outputs)).astype(np.float32),
        value=lambda outputs, goals: float((logsumexp(outputs, axis=1) - (outputs * goals).sum(1)).mean()),
        slope=lambda outputs, goals: softmax(outputs, axis=1) - goals,
        bend=bend,
        to_logits=lambda weights: weights,
    )


def _bend_of_labels(outputs: _Array) -> Callable[[_Array], _Array]:
    chances = expit(outputs)
    width = chances * (1 - chances)
    return lambda d: width * d


_LABELS = SparseLoss(  # cross-entropy of a sigmoid for each output, added up
    goals=lambda targets: targets.astype(np.float32),
    base=lambda goals: logit((goals.sum(0) + 0.5) / (len(goals) + 1)).astype(np.float32),
    value=lambda outputs, goals: float((np.logaddexp(0, outputs) - outputs * goals).sum(1).mean()),
    slope=lambda outputs, goals: expit(outputs) - goals,
    bend=_bend_of_labels,
    to_logits=lambda weights: weights,
)

_TWO_CLASSES = replace(  # one column does the work of two, in half the time
    _LABELS,
    goals=lambda targets: (targets == 1).astype(np.float32)[:, None],
    to_logits=lambda weights: np.concatenate([-weights / 2, weights / 2], axis=-1),
)

_SQUARES = SparseLoss(
    goals=lambda targets: targets.astype(np.float32).reshape(len(targets), -1),
    base=lambda goals: goals.mean(0),
    value=lambda outputs, goals: float(np.square(outputs - goals).sum(1).mean() / 2),
    slope=lambda outputs, goals: outputs - goals,
    bend=lambda outputs: lambda d: d,
    to_logits=lambda weights: weights,
)
