"""What a simple probe that was never shown a row says of its class: the evidence on labels, leaks and shortcuts.

Two simple models see more together than either alone: a linear one what the classes have in common, soft
neighbours what near copies are called.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from seedbed.core.data.checking.mixture import log_softmax, mix

_DIRECTIONS, _SPARE = 512, 32
_STRENGTHS = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
_CHOOSING_ROWS = 8_000  # enough to choose by
_FITTED_ROWS = 40_000  # of one linear fit: with more it gains next to nothing
_WORK = 4 * 10**8  # multiplications in one pass of a linear fit: rows × directions × classes
_PASSES = 30
_NEAR_DIRECTIONS = 128
_TEMPERATURES = (0.02, 0.03, 0.05, 0.08)
_ASKED = 5_000  # rows that the temperature is chosen by
_PAIRS = 4 * 10**8  # of rows that are compared
_BLOCK = 2**22  # pairs at once: 16 MB
_PRIOR = 0.1  # votes, where the nearest neighbour has one


def out_of_fold(features: np.ndarray, codes: np.ndarray, folds: np.ndarray, seed: int) -> np.ndarray:
    """Return class probabilities float32 (N, K) of every row, of probes that were fitted without its fold.

    Everything is chosen within: the strength of the linear model and the temperature of the neighbours by
    held-out log loss, how much each of them counts by a loss that tolerates wrong labels (`mixture.mix`). A
    class that has no row outside of a fold gets next to no probability in it. Of much data a part is learnt.

    Args:
        features: finite numbers (N, F). codes: classes (N,) from 0.
        folds: (N,), or (R, N) for R divisions whose verdicts are averaged. Two of five folds rank label
            errors as well as one of ten and are right a little more often about those they name, for the same work.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # Thousands of small products: while others use the machine too, a second thread makes them ten times slower.
    with threadpool_limits(1, user_api="blas"):
        return _judged(features, codes, np.atleast_2d(folds), np.random.default_rng(seed))


def _judged(features: np.ndarray, codes: np.ndarray, divisions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    classes = int(codes.max()) + 1
    directions = _principal_directions(features, rng)
    affordable = max(_WORK // (classes * min(len(codes), _FITTED_ROWS)), 64)
    linear = _Linear(directions[:, :affordable], codes, classes, divisions[0], rng)
    opinion = _mean(linear.judge(each) for each in divisions)
    neighbours = _Neighbours(directions[:, :_NEAR_DIRECTIONS], codes, classes, divisions[0], opinion, rng)
    opinions = [opinion, _mean(neighbours.judge(each) for each in divisions)]
    weights = mix(opinions, codes, rng).weights
    total = sum(np.float32(weight) * each for weight, each in zip(weights, opinions, strict=True))
    return np.asarray(np.exp(log_softmax(np.asarray(total))))


def _mean(opinions: Iterator[np.ndarray]) -> np.ndarray:
    total, count = next(opinions), 1
    for each in opinions:
        total += each
        count += 1
    total /= np.float32(count)
    return total


def _principal_directions(features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the scaled features in their main directions, at most 512, the widest first; mean square 1.

    What varies most is levelled, what varies less is left small: full standardisation would undo what
    features that are main directions already have sorted out (emoji: 0.80 told right in place of 0.85). Wide
    features are first brought to about as many columns by randomised subspace iteration (Halko et al. 2011,
    algorithm 4.4).
    """
    inputs = features.astype(np.float32)
    inputs -= inputs.mean(axis=0)
    spread = inputs.std(axis=0)
    inputs /= np.maximum(spread, max(np.quantile(spread, 0.75), 1e-6 * spread.max(), 1e-12))
    width = _DIRECTIONS + _SPARE
    if inputs.shape[1] > width:
        basis = rng.standard_normal((inputs.shape[1], width), dtype=np.float32)
        for _ in range(2):
            basis = np.linalg.qr(inputs.T @ (inputs @ basis))[0]
        inputs = inputs @ basis
    variances, turn = np.linalg.eigh((inputs.T @ inputs).astype(np.float64))  # rising
    kept = variances > max(1e-6 * variances[-1], 1e-12)
    kept[-1] = True
    inputs = inputs @ turn[:, kept][:, ::-1][:, :_DIRECTIONS].astype(np.float32)
    inputs /= np.sqrt(np.square(inputs).mean()) + np.float32(1e-12)
    return inputs


class _Linear:
    """Multinomial logistic regression, its L2 strength chosen by the log loss on the first fold."""

    def __init__(
        self, inputs: np.ndarray, codes: np.ndarray, classes: int, folds: np.ndarray, rng: np.random.Generator
    ) -> None:
        self.inputs, self.codes, self.classes, self.rng = inputs, codes, classes, rng
        held = self._some(np.flatnonzero(folds == folds[0]), _CHOOSING_ROWS)
        fitted = self._some(np.flatnonzero(folds != folds[0]), _CHOOSING_ROWS)
        self.strength, least, solution = _STRENGTHS[0], np.inf, None
        for strength in _STRENGTHS:  # from stiff to loose: each fit starts from the last
            solution = self._fit(fitted, strength, solution)
            logits = log_softmax(self._logits(held, solution))
            loss = -logits[np.arange(len(held)), codes[held]].mean()
            if loss < least:
                self.strength, least = strength, loss
            elif loss > 1.02 * least:
                break  # the curve has turned; looser fits only get worse

    def judge(self, folds: np.ndarray) -> np.ndarray:
        """Return log probabilities float32 (N, K)."""
        found = np.empty((len(self.codes), self.classes), dtype=np.float32)
        for fold in np.unique(folds):
            held = np.flatnonzero(folds == fold)
            # Each from nothing: a start from another fold's solution would have seen the rows that are held out.
            solution = self._fit(self._some(np.flatnonzero(folds != fold), _FITTED_ROWS), self.strength, None)
            found[held] = log_softmax(self._logits(held, solution))
        return found

    def _some(self, rows: np.ndarray, most: int) -> np.ndarray:
        return rows if len(rows) <= most else np.sort(self.rng.choice(rows, most, replace=False))

    def _logits(self, rows: np.ndarray, solution: np.ndarray) -> np.ndarray:
        return np.asarray(self.inputs[rows] @ solution[:-1] + solution[-1])

    def _fit(self, rows: np.ndarray, strength: float, start: np.ndarray | None) -> np.ndarray:
        """Return weights and, in the last row, biases (D + 1, K) of least mean loss + strength/2 · |weights|²."""
        from scipy.optimize import minimize

        inputs, codes, own = self.inputs[rows], self.codes[rows], np.arange(len(rows))
        # In units of about equal curvature, in which 30 passes do what takes 100 without on pixels.
        unit = 1 / np.sqrt(0.25 * np.square(inputs).mean(axis=0) + strength)
        units = np.append(unit, 2.0).astype(np.float32)[:, None]

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            solution = flat.reshape(-1, self.classes).astype(np.float32) * units
            logs = log_softmax(inputs @ solution[:-1] + solution[-1])
            value = -float(logs[own, codes].mean()) + 0.5 * strength * float(np.square(solution[:-1]).sum())
            slope = np.exp(logs)
            slope[own, codes] -= 1
            slope /= np.float32(len(rows))
            weights = inputs.T @ slope + np.float32(strength) * solution[:-1]
            return value, (np.vstack([weights, slope.sum(axis=0)]) * units).ravel().astype(np.float64)

        first = np.zeros((len(units), self.classes)) if start is None else start / units
        found = minimize(loss, first.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": _PASSES})
        return np.asarray(found.x.reshape(-1, self.classes) * units, dtype=np.float32)


class _Neighbours:
    """Votes of all rows for their own classes, by nearness: exp(cosine / temperature) (Nadaraya & Watson 1964).

    Unlike the nearest k they still tell one unlikely class from another, which is what label errors are found
    by. The temperature is the one that adds most to the opinion there is already.
    """

    def __init__(
        self,
        inputs: np.ndarray,
        codes: np.ndarray,
        classes: int,
        folds: np.ndarray,
        opinion: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        self.units = inputs / np.maximum(np.linalg.norm(inputs, axis=1, keepdims=True), 1e-6)
        self.codes, self.classes = codes, classes
        self.prior = (np.bincount(codes, minlength=classes) / len(codes)).astype(np.float32)
        voters = rng.permutation(len(codes))[: max(_PAIRS // len(codes), 1_000)]
        self.voters = voters[np.argsort(codes[voters], kind="stable")]
        asked = np.sort(rng.permutation(len(codes))[:_ASKED])
        votes = {each: self._votes(asked, folds, each) for each in _TEMPERATURES}
        losses = {each: mix([opinion[asked], found], codes[asked], rng).loss for each, found in votes.items()}
        self.temperature = min(losses, key=lambda each: losses[each])

    def judge(self, folds: np.ndarray) -> np.ndarray:
        """Return log probabilities float32 (N, K)."""
        return self._votes(np.arange(len(self.codes)), folds, self.temperature)

    def _votes(self, rows: np.ndarray, folds: np.ndarray, temperature: float) -> np.ndarray:
        """Return log probabilities of the rows (n,), each judged by the voters outside of its fold."""
        found = np.tile(np.log(self.prior + np.float32(1e-9)), (len(rows), 1))
        for fold in np.unique(folds[rows]):
            voters = self.voters[folds[self.voters] != fold]
            if not len(voters):
                continue
            present, starts = np.unique(self.codes[voters], return_index=True)
            asked = np.flatnonzero(folds[rows] == fold)
            step = max(_BLOCK // len(voters), 1)
            for block in (asked[start : start + step] for start in range(0, len(asked), step)):
                weights = self.units[rows[block]] @ self.units[voters].T
                weights -= weights.max(axis=1, keepdims=True)
                weights *= np.float32(1 / temperature)
                np.exp(weights, out=weights)
                votes = np.tile(np.float32(_PRIOR) * self.prior, (len(block), 1))
                votes[:, present] += np.add.reduceat(weights, starts, axis=1)
                found[block] = np.log(votes / votes.sum(axis=1, keepdims=True) + np.float32(1e-12))
        return found
