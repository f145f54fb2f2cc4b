"""Ridge regression on fixed features: its strength by exact leave-one-out, its outputs calibrated.

One eigendecomposition gives what each row would have got from a fit without it, for every strength (Rifkin &
Lippert 2007, "Notes on regularized least squares"); scikit-learn's `RidgeClassifierCV` rests on the same. Classes
are learnt as ±1, one against the rest. A factor that is fitted to the outputs for the rows left out then makes
logits of them (temperature scaling, Guo et al. 2017, with smoothed targets as in Platt 1999).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from seedbed.core.task import TaskKind
from seedbed.core.training.evaluate import Patience

RELATIVE_STRENGTHS = tuple(10.0 ** (exponent / 2) for exponent in range(4, -13, -1))
"""In units of the mean squared length of the rows, so that neither the scale nor the number of features matters."""

_MOST_SIDE = 3_000
"""The longest side of a matrix that is decomposed: the time grows with its cube, and is 9 s for it on one core."""

_MOST_ROWS = 10_000
"""Enough to choose the strength by, where the features are few and the rows many."""

_CHUNK_VALUES = 2**22
_LEAST_FACTOR, _MOST_FACTOR = 1e-2, 1e3
_SECTIONS = 30
_GOLDEN = (5**0.5 - 1) / 2
_MOST_STEPS = 100
_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RidgeFit:
    """Outputs = features (N, F) @ weight.T (F, K) + bias (K,): logits, or the values where these are learnt.

    `strength` is the factor on the squared weights of the features that were fitted, which are those given
    divided by `scale` (F,). `left_out` float64 (n, K) are the outputs for the rows that chose it, each from a
    fit without it, before calibration; `factor` (K,) is the calibration, part of weight and bias.
    """

    weight: Tensor
    bias: Tensor
    strength: float
    scale: Tensor
    factor: Tensor
    left_out: Tensor


def fit_ridge(
    features: Tensor,
    targets: Tensor,
    kind: TaskKind,
    outputs: int,
    generator: torch.Generator,
    *,
    strengths: Sequence[float] = (),
    standardise: bool = True,
    patience: Patience | None = None,
) -> RidgeFit:
    """Fit with the strength that has the least squared error on rows left out; of equals, the first.

    Where both rows and features are many, some of the rows choose the strength (`_MOST_SIDE`, `_MOST_ROWS`),
    and all are used for the fit itself. When `patience` is over, the best strength so far stands, and the fit ends
    at the step it has reached; only the decomposition has to be whole.

    Args:
        features: float32 (N, F), of which no copy is made.
        targets: int64 (N,) for classification, float32 (N, K) for several labels, float32 (N,) for values.
        strengths: to choose from; by default `RELATIVE_STRENGTHS`.
        standardise: whether features are divided by their deviations.

    Raises:
        Stopped: the fit was asked to end.
    """
    patience = patience or Patience()
    goals = _goals(targets, kind, outputs)
    scale = _deviations(features) if standardise else features.new_ones(features.shape[1], dtype=torch.float64)
    whole = _Standardised.of(features, scale, patience)
    rows = _choosing_rows(len(features), features.shape[1], generator)
    chosen = whole if rows is None else _Standardised.of(features[rows], scale, patience)
    found = _decomposed(chosen, goals if rows is None else goals[rows])
    best = _best(found, strengths or chosen.strengths(), patience)
    left_out = found.left_out(best)
    weight = found.weight(best)
    if rows is not None:
        weight = _solve(whole, goals - goals.mean(0), best, start=weight, patience=patience)
    factor = _factor(left_out, targets if rows is None else targets[rows], kind)
    weight = factor[:, None] * weight / scale
    bias = factor * goals.mean(0) - weight @ whole.mean
    return RidgeFit(
        weight=weight.to(features.dtype),
        bias=bias.to(features.dtype),
        strength=best,
        scale=scale,
        factor=factor,
        left_out=left_out,
    )


def _goals(targets: Tensor, kind: TaskKind, outputs: int) -> Tensor:
    """Return what least squares shall hit, float64 (N, K): ±1 for classes and labels, values as they are."""
    if kind == "regression":
        return targets.double().reshape(-1, 1)
    if kind == "multilabel":
        return 2.0 * targets.double() - 1.0
    return torch.full((len(targets), outputs), -1.0, dtype=torch.float64).scatter_(1, targets[:, None], 1.0)


def _choosing_rows(rows: int, features: int, generator: torch.Generator) -> Tensor | None:
    """Return the rows to choose the strength by, None for all."""
    most = _MOST_ROWS if features <= _MOST_SIDE else _MOST_SIDE
    return None if rows <= most else torch.randperm(rows, generator=generator)[:most]


@dataclass(frozen=True, slots=True, eq=False)
class _Standardised:
    """Features (N, F) seen about their mean and in units of `scale`, a few at a time: there is no whole copy.

    `patience` is asked each time whether the fit should be given up.
    """

    features: Tensor
    mean: Tensor
    scale: Tensor
    patience: Patience

    @classmethod
    def of(cls, features: Tensor, scale: Tensor, patience: Patience) -> _Standardised:
        """Measure the mean (F,), float64: in float32 a constant feature would not be its own mean."""
        mean = torch.cat([each.double().mean(0) for _, each in _columns(features)])
        return cls(features, mean, scale, patience)

    def columns(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield some columns at a time, float64 (N, f)."""
        for place, each in _columns(self.features):
            self.patience.check()
            yield place, (each.double() - self.mean[place]) / self.scale[place]

    def rows(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield some rows at a time, float64 (n, F)."""
        for place, each in _rows(self.features):
            self.patience.check()
            yield place, (each.double() - self.mean) / self.scale

    def strengths(self) -> list[float]:
        """Return the strengths to choose from, in units of the mean squared length of a row; 1 where all are equal."""
        total = sum(float(each.square().sum()) for _, each in self.rows())
        unit = total / len(self.features) or 1.0
        return [each * unit for each in RELATIVE_STRENGTHS]


def _columns(features: Tensor) -> Iterator[tuple[slice, Tensor]]:
    step = max(_CHUNK_VALUES // len(features), 1)
    for start in range(0, features.shape[1], step):
        place = slice(start, start + step)
        yield place, features[:, place]


def _rows(features: Tensor) -> Iterator[tuple[slice, Tensor]]:
    step = max(_CHUNK_VALUES // features.shape[1], 1)
    for start in range(0, len(features), step):
        place = slice(start, start + step)
        yield place, features[place]


def _deviations(features: Tensor) -> Tensor:
    """Return the deviation of each feature, float64 (F,), kept away from 0.

    Dividing by a tiny deviation would blow up a feature that hardly ever moves, and with it any small difference
    between the rows of the fit and those to come.
    """
    found = torch.cat([each.double().std(0, correction=0) for _, each in _columns(features)])
    return found.clamp_min(float(0.1 * found.mean()) or 1.0)


class _Decomposed(Protocol):
    """Features and goals (N, K), taken apart so that every strength is cheap."""

    @property
    def goals(self) -> Tensor:
        """What is to be hit (N, K)."""
        ...

    def left_out(self, strength: float) -> Tensor:
        """Return the outputs (N, K) for each row, from a fit without it."""
        ...

    def weight(self, strength: float) -> Tensor:
        """Return the weights (K, F) from all rows."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _ByRows:
    """Taken apart by the products of rows (N, N): for no more rows than features.

    `lift` is what was added to them in the direction of all ones, which the centred rows leave empty: its
    eigenvalue is known then, and the part that the intercept takes can be subtracted without a loss of digits.
    """

    data: _Standardised
    goals: Tensor
    values: Tensor
    vectors: Tensor
    lift: float

    @classmethod
    def of(cls, data: _Standardised, goals: Tensor) -> _ByRows:
        products = goals.new_zeros(len(goals), len(goals))
        for _, columns in data.columns():
            products.addmm_(columns, columns.T)
        lift = float(products.diagonal().sum()) or 1.0  # no eigenvalue is greater
        values, vectors = torch.linalg.eigh(products.add_(lift / len(goals)))
        return cls(data, goals, values.clamp_min(0.0), vectors, lift)

    def left_out(self, strength: float) -> Tensor:
        """Return the outputs (N, K) for each row, from a fit without it."""
        diagonal = self.vectors.square() @ (1 / (self.values + strength))
        diagonal = diagonal - 1 / (len(self.goals) * (self.lift + strength))
        return self.goals - self._dual(strength) / diagonal.clamp_min(_tiny(diagonal))[:, None]

    def weight(self, strength: float) -> Tensor:
        """Return the weights (K, F) from all rows."""
        dual = self._dual(strength)
        return torch.cat([(columns.T @ dual).T for _, columns in self.data.columns()], 1)

    def _dual(self, strength: float) -> Tensor:
        turned = self.vectors.T @ (self.goals - self.goals.mean(0))
        return self.vectors @ (turned / (self.values + strength)[:, None])


@dataclass(frozen=True, slots=True, eq=False)
class _ByFeatures:
    """Taken apart by the products of features (F, F): for more rows than features.

    `turned` (N, F) are the features in the directions `vectors`, `hits` (F, K) their products with the goals.
    """

    goals: Tensor
    values: Tensor
    vectors: Tensor
    turned: Tensor
    hits: Tensor

    @classmethod
    def of(cls, data: _Standardised, goals: Tensor) -> _ByFeatures:
        side = data.features.shape[1]
        products = goals.new_zeros(side, side)
        for _, rows in data.rows():
            products.addmm_(rows.T, rows)
        values, vectors = torch.linalg.eigh(products)
        turned = torch.cat([rows @ vectors for _, rows in data.rows()])
        return cls(goals, values.clamp_min(0.0), vectors, turned, turned.T @ (goals - goals.mean(0)))

    def left_out(self, strength: float) -> Tensor:
        """Return the outputs (N, K) for each row, from a fit without it."""
        shrink = 1 / (self.values + strength)
        leverage = torch.cat([each.square() @ shrink for _, each in _rows(self.turned)]) + 1 / len(self.goals)
        fitted = self.turned @ (shrink[:, None] * self.hits) + self.goals.mean(0)
        rest = 1 - leverage
        return self.goals - (self.goals - fitted) / rest.clamp_min(_tiny(rest))[:, None]

    def weight(self, strength: float) -> Tensor:
        """Return the weights (K, F) from all rows."""
        return (self.vectors @ (self.hits / (self.values + strength)[:, None])).T


def _tiny(values: Tensor) -> float:
    """Return what to keep a divisor above: a single row leaves nothing to fit without it."""
    return 1e-12 * float(values.abs().max()) or 1.0


def _decomposed(data: _Standardised, goals: Tensor) -> _Decomposed:
    rows, features = data.features.shape
    return _ByRows.of(data, goals) if rows <= features else _ByFeatures.of(data, goals)


def _best(found: _Decomposed, strengths: Sequence[float], patience: Patience) -> float:
    """Return the strength with the least squared error on rows left out; of equals, the first."""
    errors: dict[int, float] = {}
    for place in sorted(range(len(strengths)), key=lambda place: abs(place - len(strengths) // 2)):
        # From the middle: where there is time for few, neither the stiffest nor the loosest is it.
        if errors and patience.is_half_over():
            break
        errors[place] = float((found.left_out(strengths[place]) - found.goals).square().mean())
    return strengths[min(errors, key=lambda place: (errors[place], place))]


def _solve(data: _Standardised, goals: Tensor, strength: float, start: Tensor, patience: Patience) -> Tensor:
    """Return the weights (K, F) for centred goals (N, K), from those of some rows, by conjugate gradients.

    All columns of goals go side by side. With time, less than a thousandth of the error at the start is left.
    """
    dtype = data.features.dtype

    def multiply(weight: Tensor) -> Tensor:
        scaled = weight / data.scale
        fitted = (data.features @ scaled.to(dtype).T).double() - scaled @ data.mean
        return back(fitted) + strength * weight

    def back(rows: Tensor) -> Tensor:
        return ((rows.to(dtype).T @ data.features).double() - rows.sum(0)[:, None] * data.mean) / data.scale

    weight = start
    rest = back(goals) - multiply(weight)
    direction, size = rest, rest.square().sum(1)
    enough = _TOLERANCE**2 * size
    for _ in range(_MOST_STEPS):
        if bool((size <= enough).all()) or patience.is_over():
            break
        image = multiply(direction)
        length = size / (direction * image).sum(1).clamp_min(1e-300)
        weight = weight + length[:, None] * direction
        rest = rest - length[:, None] * image
        before, size = size, rest.square().sum(1)
        direction = rest + (size / before.clamp_min(1e-300))[:, None] * direction
    return weight


def _factor(left_out: Tensor, targets: Tensor, kind: TaskKind) -> Tensor:
    """Return the factor (K,) that makes logits of outputs: one for all classes, one for each label, 1 for values."""
    ones = left_out.new_ones(left_out.shape[1])
    if kind == "regression":
        return ones
    if kind == "classification":
        # Classes that no row confuses would ask for certainty; n rows cannot give more than this.
        smoothing = 1 / (len(left_out) + 2)
        return ones * _least(lambda s: F.cross_entropy(s * left_out, targets, label_smoothing=smoothing), ones[0])
    positive = targets.double()
    seen = positive.sum(0)
    smoothed = positive * (seen + 1) / (seen + 2) + (1 - positive) / (len(targets) - seen + 2)
    return _least(lambda s: F.binary_cross_entropy_with_logits(s * left_out, smoothed, reduction="none").mean(0), ones)


def _least(loss: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """Return the factors, shaped `like`, at which convex losses of the same shape are least: by golden section."""
    low, high = (torch.full_like(like, each).log() for each in (_LEAST_FACTOR, _MOST_FACTOR))
    for _ in range(_SECTIONS):
        step = _GOLDEN * (high - low)
        falls = loss((low + step).exp()) < loss((high - step).exp())
        low, high = torch.where(falls, high - step, low), torch.where(falls, high, low + step)
    return ((low + high) / 2).exp()
