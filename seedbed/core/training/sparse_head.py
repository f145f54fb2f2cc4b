"""A linear head on sparse features, hashed n-grams say: hundreds of thousands of columns, nearly all of them 0.

Newton's method whose steps come from conjugate gradients (Lin, Weng & Keerthi 2008, "Trust region Newton method
for large-scale logistic regression"), with a line search in place of the region, and solved for the share of each
row in the weights, of which there are far fewer than weights. A step of the gradients takes two products with the
features, for all outputs at once, in SciPy: single-threaded, so equal seeds give equal bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from seedbed.core.task import TaskKind
from seedbed.core.training.evaluate import Patience, Stop, never
from seedbed.core.training.head import LinearHead
from seedbed.core.training.log_ratios import chunks, column_weights, weighted
from seedbed.core.training.sparse import sample_within
from seedbed.core.training.sparse_losses import SparseLoss, loss_of

# Of the sum over rows, from stiff to loose: 1/C in scikit-learn's words. That of a sum keeps its meaning from a part
# of the rows to all of them.
_STRENGTHS = (30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
_USUAL_STRENGTH = 1.0
_CHOOSING_ROWS = 8_000
_CHOOSING_VALUES = 30_000_000  # times outputs: of many classes fewer rows, as each fit takes that much longer
_FEWEST_CHOOSING_ROWS = 2_000
_FEW_ROWS = 1_000  # below, one held-out part says too little: five take turns
_FOLDS = 5
_TOLERANCE = 1e-2  # of the gradient at zero weights
_BIAS = np.float32(16.0)  # square of a constant column: so large that the strength hardly holds the bias back
_MOST_STEPS = 30
_MOST_PRODUCTS = 60
_STEP_SIZES = (1.0, 0.5, 0.25, 0.1, 0.03, 0.01)
MOST_VALUES = 100_000_000
"""Of the features, the stored values that a fit uses at most: those of 300,000 sentences or 70,000 texts of 100 words.

0.8 GB, and at its height the fit holds twice as much besides: columns numbered by use, values weighted, and both
transposed."""

MOST_OUTPUTS = 16_000_000
"""The most rows times outputs: 64 MB, of which the solver holds seventeen at once."""

_Array = np.ndarray


def fit_sparse_head(
    features: Tensor,
    targets: Tensor,
    kind: TaskKind,
    outputs: int,
    generator: torch.Generator,
    *,
    patience: Patience | None = None,
) -> LinearHead:
    """Fit the linear head of least loss, with the L2 strength that does best on rows held out.

    Logistic regression, multinomial for classes and one for each label, or ridge regression. The strength, and
    whether columns are weighted by how differently the classes use them (`log_ratios`), is chosen by the loss
    itself, so that probabilities come out calibrated. Of more rows than fit into memory a random sample is used.
    When `patience` is over, the best strength so far stands, and the fit ends at the step it has reached.

    Args:
        features: float32 (N, F), sparse CSR, on the CPU; rows of about length 1.
        targets: int64 (N,) in [0, outputs) for classification, 0 and 1 (N, K) for multi-label, float32 (N,)
            for regression.

    Raises:
        Stopped: the fit was asked to end.
    """
    patience = patience or Patience()
    picked = sample_within(features, max(MOST_OUTPUTS // outputs, 1), MOST_VALUES, generator)
    inputs, columns = _in_use(_rows_of(features, picked))
    wanted = targets.numpy() if picked is None else targets.numpy()[picked]
    loss = loss_of(kind, outputs)
    goals = loss.goals(wanted)

    order = torch.randperm(inputs.shape[0], generator=generator).numpy()
    order = order[: _choosing_rows(inputs, goals)]
    strength, expected = _choose(inputs, goals, loss, order, patience.is_half_over, by_ratios=False)
    scale = np.ones(inputs.shape[1], dtype=np.float32)
    if kind != "regression" and not patience.is_half_over():
        other, reached = _choose(inputs, goals, loss, order, patience.is_half_over, by_ratios=True)
        if reached < expected:
            strength, scale = other, column_weights(inputs, goals)
            inputs = weighted(inputs, scale)
    problem = _Problem.of(inputs, goals, loss)
    found: _Solution | None = None
    for each in (100 * strength, 10 * strength):  # straight to a loose one takes five times as many products
        found = problem.solve(each, found, slack=3.0, is_over=patience.is_over)
    found = problem.solve(strength, found, is_over=patience.is_over)
    weight, bias = problem.weights(found)
    weight = weight * scale[:, None]

    everything = torch.zeros(outputs, features.shape[1])
    everything[:, torch.from_numpy(columns)] = torch.from_numpy(np.ascontiguousarray(loss.to_logits(weight).T))
    return LinearHead(everything, torch.from_numpy(loss.to_logits(bias)), strength)


@dataclass(frozen=True, slots=True)
class _Solution:
    """Linear outputs Z (N, K) of the rows fitted, and how the rows add up to the weights.

    The best weights are a sum of rows, `mix` (N, K) of each (the representer theorem), and the bias is that of a
    constant column. So all that is solved for is a number for each row and output, and not for each column.
    """

    mix: _Array
    outputs: _Array


def _rows_of(features: Tensor, picked: _Array | None) -> Any:  # noqa: ANN401 - SciPy's matrices have no types
    parts = (features.values(), features.col_indices(), features.crow_indices())
    rows = scipy.sparse.csr_matrix(tuple(part.numpy() for part in parts), shape=tuple(features.shape))
    return rows if picked is None else rows[picked]


def _in_use(rows: Any) -> tuple[Any, _Array]:  # noqa: ANN401
    """Return rows (N, F) without the columns in which there is nothing, and the numbers of those that are left."""
    count = np.zeros(rows.shape[1], dtype=np.int64)
    for some in chunks(rows.nnz):
        count += np.bincount(rows.indices[some], minlength=rows.shape[1])
    # Common columns come first: what a product reads again and again then lies side by side in the cache.
    columns = np.argsort(-count, kind="stable")[: np.count_nonzero(count)]
    place = np.zeros(rows.shape[1], dtype=np.int32)
    place[columns] = np.arange(len(columns), dtype=np.int32)
    indices = np.empty_like(rows.indices)
    for some in chunks(rows.nnz):
        indices[some] = place[rows.indices[some]]
    return scipy.sparse.csr_matrix((rows.data, indices, rows.indptr), shape=(rows.shape[0], len(columns))), columns


def _choosing_rows(inputs: Any, goals: _Array) -> int:  # noqa: ANN401 - SciPy's matrices have no types
    cost_of_a_row = goals.shape[1] * inputs.nnz / max(inputs.shape[0], 1)
    affordable = int(_CHOOSING_VALUES / max(cost_of_a_row, 1.0))
    return min(max(affordable, _FEWEST_CHOOSING_ROWS), _CHOOSING_ROWS)


def _choose(
    inputs: Any,  # noqa: ANN401
    goals: _Array,
    loss: SparseLoss,
    order: _Array,
    is_over: Stop,
    *,
    by_ratios: bool,
) -> tuple[float, float]:
    """Return the strength, summed over rows, that has the least loss on held-out rows, and that loss."""
    if len(order) < _FOLDS:
        return _USUAL_STRENGTH, math.inf
    held = np.array_split(order, _FOLDS)[: _FOLDS if len(order) < _FEW_ROWS else 1]
    parts = [_Part.of(inputs, goals, loss, np.setdiff1d(order, each), each, by_ratios=by_ratios) for each in held]
    losses: dict[float, float] = {}
    for strength in _STRENGTHS:  # each fit starts from the last, stiffer one
        if losses and is_over():
            break
        losses[strength] = sum(part.fit(strength, is_over) for part in parts)
        if losses[strength] > 1.02 * min(losses.values()):
            break  # the curve has turned; looser fits only get worse
    best = min(losses, key=lambda each: losses[each])
    return best, losses[best]


@dataclass(slots=True)
class _Part:
    """Rows to fit on and rows held out; remembers the last fit."""

    problem: _Problem
    far: Any
    far_goals: _Array
    found: _Solution | None = None

    @classmethod
    def of(
        cls,
        inputs: Any,  # noqa: ANN401
        goals: _Array,
        loss: SparseLoss,
        kept: _Array,
        held: _Array,
        *,
        by_ratios: bool,
    ) -> _Part:
        """Cut them out of all rows; the weights of columns are those of the rows to fit on."""
        near, columns = _in_use(inputs[kept])
        far = inputs[held][:, columns]
        if by_ratios:
            scale = column_weights(near, goals[kept])
            near, far = weighted(near, scale), weighted(far, scale)
        return cls(_Problem.of(near, goals[kept], loss), far, goals[held])

    def fit(self, strength: float, is_over: Stop) -> float:
        """Fit anew from the last fit, and return the loss on the rows held out."""
        self.found = self.problem.solve(strength, self.found, is_over=is_over)
        weight, bias = self.problem.weights(self.found)
        return self.problem.loss.value(self.far @ weight + bias, self.far_goals)


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """Rows (N, F) and goals (N, K), the loss between them, and the best constant outputs `base` (K,)."""

    inputs: Any
    transposed: Any
    goals: _Array
    loss: SparseLoss
    base: _Array

    @classmethod
    def of(cls, inputs: Any, goals: _Array, loss: SparseLoss) -> _Problem:  # noqa: ANN401 - SciPy's have no types
        """Lay out what the fit reads again and again."""
        # Rows of the transposed are twice as fast to go through as columns of `inputs`.
        return cls(inputs, inputs.T.tocsr(), goals, loss, loss.base(goals))

    def weights(self, solution: _Solution) -> tuple[_Array, _Array]:
        """Return weights (F, K) and biases (K,)."""
        return self.transposed @ solution.mix, self.base + _BIAS * solution.mix.sum(0)

    def alike(self, mix: _Array) -> _Array:
        """Return the products of all rows, with their constant column, and a sum of them: (N, K)."""
        return cast(_Array, self.inputs @ (self.transposed @ mix) + _BIAS * mix.sum(0))

    def solve(
        self, strength: float, start: _Solution | None = None, *, slack: float = 1.0, is_over: Stop = never
    ) -> _Solution:
        """Minimise summed loss + strength/2 · |weights|², `slack` times less exactly than usual, until `is_over`."""
        found = start or _Solution(np.zeros_like(self.goals), np.broadcast_to(self.base, self.goals.shape))
        first = self.loss.slope(np.broadcast_to(self.base, self.goals.shape), self.goals)
        enough = (slack * _TOLERANCE) ** 2 * _dot(first, self.alike(first))
        for _ in range(_MOST_STEPS):
            if is_over():
                break
            slope = self.loss.slope(found.outputs, self.goals) + np.float32(strength) * found.mix
            step = self._step(found, slope, strength, enough, is_over)
            if step is None or (better := self._along(found, step, slope, strength)) is None:
                break
            found = better
        return found

    def _along(self, found: _Solution, step: _Solution, slope: _Array, strength: float) -> _Solution | None:
        """Return what lies far enough along a step to be better by what the slope promises; None: nothing does."""
        promised = _dot(slope, step.outputs)
        before = self._objective(found, strength)
        for size in _STEP_SIZES:
            tried = _Solution(found.mix + np.float32(size) * step.mix, found.outputs + np.float32(size) * step.outputs)
            if self._objective(tried, strength) <= before + 1e-4 * size * promised:
                return tried
        return None

    def _objective(self, found: _Solution, strength: float) -> float:
        square = _dot(found.mix, found.outputs - self.base)
        return len(self.goals) * self.loss.value(found.outputs, self.goals) + strength / 2 * square

    def _step(self, found: _Solution, slope: _Array, strength: float, enough: float, is_over: Stop) -> _Solution | None:
        """Return about the step to where the quadratic model of the objective is least; None: it is here.

        Conjugate gradients in the metric of the weights: of each direction both its mix of rows and the change
        of the outputs that it makes are kept, so that one product with all rows an iteration is all it takes.
        """
        bend = self.loss.bend(found.outputs)
        residual = -slope
        pulled = self.alike(residual)
        square = _dot(residual, pulled)
        if square <= enough:
            return None
        least = max(0.09 * square, 0.1 * enough)  # more exact ones take half as many products again
        mix, outputs = np.zeros_like(residual), np.zeros_like(residual)
        direction, change = residual, pulled
        for _ in range(_MOST_PRODUCTS):
            bent = bend(change) + np.float32(strength) * direction
            curve = _dot(bent, change)
            if curve <= 0.0:  # rounding: there is no more to be had in float32
                break
            size = np.float32(square / curve)
            mix, outputs = mix + size * direction, outputs + size * change
            residual = residual - size * bent
            pulled = self.alike(residual)
            before, square = square, _dot(residual, pulled)
            if square <= least or is_over():
                break
            turn = np.float32(square / before)
            direction, change = residual + turn * direction, pulled + turn * change
        return _Solution(mix, outputs)


def _dot(one: _Array, other: _Array) -> float:
    return float(np.multiply(one, other).sum(dtype=np.float64))
