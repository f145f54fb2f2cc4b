"""Which labels are likely wrong, by what a probe says of rows it never saw: confident learning by a mixture.

Confident learning (Northcutt et al. 2021) counts the rows whose prediction passes another class's threshold,
and so takes every mistake of the probe for one of the labels. Here what the probe's own uncertainty explains
is no error. Of 3,272 emoji in 8 classes, 3 % of the labels changed, the probe being right on 0.82, it names
105 rows: 0.64 of them are wrong, and 0.69 of the wrong ones are among them. Counting, on the same predictions,
names 253, of which 0.29 are wrong (means of 10 seeds; features of EfficientNet-Lite0 at 128 px).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seedbed.core.data.checking.mixture import likelihood, log_softmax, mix, wrongness

FEWEST_ROWS = 50
FEWEST_OF_CLASS = 5
"""Rows; of a class with fewer, no probe learns what belongs to it."""

LEAST_PRECISION = 0.5
LEAST_POWER = 0.2  # words of film reviews, 0.75 of the verdicts told right: 0.05; emoji: 0.5; pixels of fashion: 0.75

_TYPICAL_NOISE = 0.03
_MORE = 1.2  # rows named for each one believed wrong: a look too many costs less than an error that stays
_EVIDENCE = 2.71  # 5 % of clean sets pass it: a likelihood ratio at the edge of what is possible (Self & Liang 1987)
_ROUNDS = 200


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelErrors:
    """Rows whose label is likely wrong, the most suspicious first; of a probe that cannot tell, none.

    `rows` int64 (n,); `suggestions` int64 (n,), the likeliest other class; `scores` float32 (n,), the
    probability that the label is wrong. `noise` is the estimated share of wrong labels in all the data, not
    all of which can be named. `accuracy` is how often the probe agrees with the labels; `power` the share of
    random errors that it would tell, were 3 % of the labels wrong; `is_able` whether that is enough for its
    silence to mean something.
    """

    rows: np.ndarray
    suggestions: np.ndarray
    scores: np.ndarray
    noise: float
    accuracy: float
    power: float
    is_able: bool


def find_label_errors(probabilities: np.ndarray, codes: np.ndarray, seed: int = 0) -> LabelErrors:
    """Return the rows whose labels are to be looked at: at least half of them are expected to be wrong.

    They are at most a fifth more than the labels that are believed to be wrong, and none where the data is as
    likely without any. What misleads it are small classes whose rows do not look alike: of 1,250 emoji in 8
    classes of 10 to 500 rows, all labels right, it names 10 (mean of 8 draws).

    Args:
        probabilities: of the classes (N, K), held out, such as `probe.out_of_fold` gives.
        codes: the labels (N,) in [0, K). Those of classes with fewer than 5 rows are not judged.
    """
    classes = probabilities.shape[1]
    judged = np.flatnonzero(np.bincount(codes, minlength=classes)[codes] >= FEWEST_OF_CLASS)
    labels = codes[judged]
    accuracy = float((probabilities[judged].argmax(axis=1) == labels).mean()) if len(judged) else 0.0
    if len(judged) < FEWEST_ROWS or classes < 2:
        return _nothing(accuracy, 0.0)

    rng, own = np.random.default_rng(seed), np.arange(len(judged))
    opinion = np.log(np.maximum(probabilities[judged], np.float32(1e-30)))
    mixture = mix([opinion], labels, rng)
    sure = np.exp(log_softmax(np.float32(mixture.weights[0]) * opinion))
    power = _power(sure, labels)
    if power < LEAST_POWER:
        return _nothing(accuracy, power)

    right = sure[own, labels].astype(np.float64)
    noise = _noise(right, mixture.noise, classes)
    toned = np.float32(mix([opinion], labels, rng, noisy=False).weights[0])
    innocent = np.exp(log_softmax(toned * opinion)[own, labels].astype(np.float64))
    gain = np.log(likelihood(right, noise, classes)).sum() - np.log(likelihood(innocent, 0.0, classes)).sum()
    if 2 * gain < _EVIDENCE:
        return _nothing(accuracy, power)

    scores = wrongness(right, noise, classes)
    named = _named(scores)
    others = sure[named]
    others[np.arange(len(named)), labels[named]] = -1.0
    return LabelErrors(
        rows=judged[named],
        suggestions=others.argmax(axis=1).astype(np.int64),
        scores=scores[named].astype(np.float32),
        noise=noise,
        accuracy=accuracy,
        power=power,
        is_able=True,
    )


def _nothing(accuracy: float, power: float) -> LabelErrors:
    none = np.empty(0, dtype=np.int64)
    return LabelErrors(
        rows=none,
        suggestions=none,
        scores=np.empty(0, dtype=np.float32),
        noise=0.0,
        accuracy=accuracy,
        power=power,
        is_able=power >= LEAST_POWER,
    )


def _power(sure: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of random errors that would be likelier wrong than right, were 3 % of the labels wrong."""
    others = sure.shape[1] - 1
    odds = _TYPICAL_NOISE / (1 - _TYPICAL_NOISE) / others
    is_told = sure < odds / (1 + odds)
    told = int(is_told.sum()) - int(is_told[np.arange(len(labels)), labels].sum())
    return float(told / (len(labels) * others))


def _noise(right: np.ndarray, start: float, classes: int) -> float:
    """Return the likeliest share of wrong labels among all rows, by expectation and maximisation."""
    noise = start
    for _ in range(_ROUNDS):
        noise = float(wrongness(right, noise, classes).mean())
    return noise


def _named(scores: np.ndarray) -> np.ndarray:
    """Return the places of the most suspicious rows, as many as are to be looked at."""
    order = np.argsort(-scores, kind="stable")[: int(_MORE * scores.sum())]
    expected = np.cumsum(scores[order]) / np.arange(1, len(order) + 1)  # of the rows so far, the share that is wrong
    return np.asarray(order[: int((expected >= LEAST_PRECISION).sum())])
