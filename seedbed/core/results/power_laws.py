"""What power laws say of how errors go on falling, when all that is known is how they have fallen so far. Pure.

Errors are taken to fall as c + a x^-b (the usual form of learning curves: Viering & Loog 2022, "The Shape of Learning
Curves"; Domhan et al. 2015, IJCAI). Seen from here, where x = 1 and the error is e, only two numbers are open: b, and
the share c / e that no effort removes. Neither is fitted: as after Domhan et al. every pair of a grid counts by how
likely it makes what was seen, so that little data leaves much open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

LIKELY_EXPONENT = 0.3
"""Where nothing is known, b is log-normal about this: near what Hestness et al. 2017 found for nets and rows."""
_SPREAD = 1.0  # of log b
_EXPONENTS = np.geomspace(0.02, 2.0, 32)
_LASTING = np.linspace(0.0, 0.975, 40)  # c / e; at 1 nothing could be gained any more, which small b say too
_REGULARITIES = np.geomspace(0.25, 256.0, 11)

LEAST = 1e-3
"""A fall of the error by less than this share of it is taken for none."""
_FORGOTTEN = 3.0
"""Doublings of x after which what was seen counts half: early steps tell less of late ones. By judgement."""
_BENT = 0.4
"""By how much more or less than its law a curve falls: the standard deviation of the logarithm, a doubling ahead.
Chosen on simulated studies (benchmarks/forecast.py), where 80 % bands then hold 68 to 94 % of what came."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """In the place of a forecast: why there is none."""

    reason: str


@dataclass(frozen=True, slots=True)
class ErrorScale:
    """Between scores and errors, on the metric's own scale: an error is how far a score lies from the best there is."""

    best_possible: float
    sign: float

    @classmethod
    def of(cls, direction: Literal["max", "min"], scores: Sequence[float]) -> ErrorScale:
        """Return the scale of a metric, as far as its scores show it.

        What is to be great has its best at 1, what is to be small at 0. Where a score lies beyond, the best possible
        is not known, and put as far from the best as that is from the worst.
        """
        sign = 1.0 if direction == "max" else -1.0
        usual = 1.0 if direction == "max" else 0.0
        worths = [sign * score for score in scores]
        if max(worths) > sign * usual:
            spread = max(worths) - min(worths) or abs(max(worths))
            return cls(sign * (max(worths) + spread), sign)
        return cls(usual, sign)

    def error(self, score: np.ndarray) -> np.ndarray:
        """Return the errors of scores."""
        return np.asarray(self.sign * (self.best_possible - score))

    def score(self, error: np.ndarray) -> np.ndarray:
        """Return the scores of errors."""
        return np.asarray(self.best_possible - self.sign * error)


@dataclass(frozen=True, slots=True)
class Falls:
    """How an error fell: between x = `edges` (M + 1,), ascending to 1, the logarithm of it by `amounts` (M,) >= 0."""

    edges: np.ndarray
    amounts: np.ndarray

    def __post_init__(self) -> None:
        if self.edges.shape != (len(self.amounts) + 1,) or (np.diff(self.edges) <= 0).any() or self.edges[0] <= 0:
            raise ValueError(f"{self.edges} are no ascending edges of {len(self.amounts)} intervals.")

    def joined(self) -> Falls:
        """Return the same with intervals without a fall joined to one, where they follow one another."""
        is_still = self.amounts < LEAST
        ends = np.flatnonzero(~(is_still & np.append(is_still[1:], False)))
        totals = np.diff(np.append(0.0, np.cumsum(self.amounts)[ends]))
        return Falls(np.append(self.edges[0], self.edges[1:][ends]), totals)


@dataclass(frozen=True)
class PowerLaws:
    """Grid points with their logarithms of probability, not normalised: `logs` (b, c / e) or (b, c / e, regularity)."""

    logs: np.ndarray

    @classmethod
    def prior(cls, likely_exponent: float = LIKELY_EXPONENT) -> PowerLaws:
        """Return what is believed before anything is seen; of c / e all values are as likely."""
        logs = -0.5 * (np.log(_EXPONENTS / likely_exponent) / _SPREAD) ** 2
        return cls(np.repeat(logs[:, None], len(_LASTING), axis=1))

    def seen(self, logs: np.ndarray) -> PowerLaws:
        """Return what is believed when something was seen that is as likely as this at every point."""
        return PowerLaws(self.logs + logs)

    @cached_property
    def weights(self) -> np.ndarray:
        """The probabilities of the points; their sum is 1."""
        found = np.exp(self.logs - self.logs.max())
        return np.asarray(found / found.sum())

    def draw(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, ...]:
        """Return b, c / e and, where there is one, regularity of so many laws, each (count,)."""
        chosen = rng.choice(self.weights.size, count, p=self.weights.ravel())
        places = np.unravel_index(chosen, self.weights.shape)
        return tuple(axis[place] for axis, place in zip((_EXPONENTS, _LASTING, _REGULARITIES), places, strict=False))


def fall(exponents: np.ndarray, lasting: np.ndarray, start: float, end: float) -> np.ndarray:
    """Return by how much laws let the logarithm of the error fall between two x."""
    before, after = (lasting + (1.0 - lasting) * x**-exponents for x in (start, end))
    return np.asarray(np.log(before / after))


def falls_of_all(start: float, end: float) -> np.ndarray:
    """Return `fall` for every point of the grid, (b, c / e)."""
    return fall(_EXPONENTS[:, None], _LASTING[None, :], start, end)


def steady(falls: Falls) -> PowerLaws:
    """Return what is believed of an error that was seen to fall.

    Falls are steps of a gamma process whose mean is the law: independent from interval to interval, and the more even
    the higher its regularity is, which is the shape of the gamma distribution for an interval that is e times as long
    as its start. So one form holds for smooth curves and for the best of many trials alike, which stands still for
    long and then leaps: of n equal trials the number of records grows with log n alone (Rényi 1962).
    """
    from scipy.special import gammainc, gammaln  # 0.2 s, which a process that only reads must not take

    laws = PowerLaws.prior()
    logs = np.repeat(laws.logs[:, :, None], len(_REGULARITIES), axis=2)
    joined = falls.joined()
    for start, end, amount in zip(joined.edges[:-1], joined.edges[1:], joined.amounts, strict=True):
        mean = falls_of_all(start, end)[:, :, None]
        shape = _REGULARITIES * np.log(end / start)
        if amount < LEAST:
            found = np.log(np.maximum(gammainc(shape, LEAST * shape / mean), 1e-300))
        else:
            found = shape * np.log(shape / mean) + (shape - 1) * np.log(amount) - shape * amount / mean - gammaln(shape)
        logs += found * 0.5 ** (-np.log2(np.sqrt(start * end)) / _FORGOTTEN)
    return PowerLaws(logs)


def go_on(laws: PowerLaws, ends: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw by how much the logarithm of the error falls from x = 1 to these x (M,), ascending: (M, count).

    No curve follows a law for ever; Domhan et al. mix eleven families for that reason. Here each draw falls by more or
    less than its law says, as one that bends away from it, and the farther ahead the more.
    """
    exponents, lasting, regularities = laws.draw(rng, count)
    bend = rng.standard_normal(count)
    total, start, found = np.zeros(count), 1.0, []
    for end in ends.tolist():
        ahead = np.log2(np.sqrt(start * end))
        shape = regularities * np.log(end / start)
        steps = rng.gamma(shape) * fall(exponents, lasting, start, end) / shape
        total = total + steps * np.exp(_BENT * ahead * bend)
        found.append(total)
        start = end
    return np.stack(found)


def remaining(laws: PowerLaws, end: float, rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw the share of the error that is left at x = `end`, (count,)."""
    exponents, lasting = laws.draw(rng, count)[:2]
    return np.asarray(np.exp(-fall(exponents, lasting, 1.0, end)))
