"""Labels as a mixture: most are drawn as a probe says, some are simply wrong. What both parts look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_FITTED = 2**18  # probabilities that a mixture is fitted to
_FEWEST = 2_000  # rows of them, where the classes are many


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixture:
    """How much each opinion counts (`weights`), the share of wrong labels `noise`, the mean log `loss` of a row."""

    weights: tuple[float, ...]
    noise: float
    loss: float


def mix(opinions: Sequence[np.ndarray], codes: np.ndarray, rng: np.random.Generator, *, noisy: bool = True) -> Mixture:
    """Return the mixture that explains the labels best: maximum likelihood, on a part of many rows.

    A label is drawn from softmax(Σ weight · opinion), or with probability `noise` it is any of the other
    classes. Without that second part (`noisy=False`) a few wrong labels weigh so much that an opinion is
    toned down which is rightly sure of itself, and just where it is needed.

    Args:
        opinions: log probabilities (N, K) of rows that were held out. codes: the labels (N,).
    """
    from scipy.optimize import minimize

    classes = opinions[0].shape[1]
    most = max(_FITTED // classes, _FEWEST)
    rows = np.arange(len(codes)) if len(codes) <= most else np.sort(rng.choice(len(codes), most, replace=False))
    logs = [each[rows] for each in opinions]
    own, labels = np.arange(len(rows)), codes[rows]

    def loss(free: np.ndarray) -> float:
        weights = np.exp(free[: len(logs)]).astype(np.float32)
        total = np.asarray(sum(weight * each for weight, each in zip(weights, logs, strict=True)))
        right = np.exp(log_softmax(total)[own, labels].astype(np.float64))
        return float(-np.log(likelihood(right, _sigmoid(free[-1]) if noisy else 0.0, classes)).mean())

    start = np.array([-0.5] * len(logs) + ([-4.0] if noisy else []))
    # The method's own first simplex is so small along a coordinate that is 0 that it gets stuck.
    simplex = np.vstack([start, start + np.eye(len(start))])
    options = {"initial_simplex": simplex, "maxiter": 60 * len(start), "xatol": 1e-2, "fatol": 1e-6}
    found = minimize(loss, start, method="Nelder-Mead", options=options)
    return Mixture(
        weights=tuple(float(each) for each in np.exp(found.x[: len(logs)])),
        noise=_sigmoid(found.x[-1]) if noisy else 0.0,
        loss=float(found.fun),
    )


def likelihood(right: np.ndarray, noise: float, classes: int) -> np.ndarray:
    """Return how likely the labels are, of which a probe gives `right` (N,) as their probabilities."""
    return np.asarray((1 - noise) * right + noise * (1 - right) / max(classes - 1, 1) + 1e-12)


def wrongness(right: np.ndarray, noise: float, classes: int) -> np.ndarray:
    """Return the probability (N,) that each of these labels is one of the wrong ones."""
    return np.asarray(noise * (1 - right) / max(classes - 1, 1) / likelihood(right, noise, classes))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log probabilities (N, K)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))
