from __future__ import annotations

import numpy as np
import pytest

from seedbed.core.data.checking import probe
from seedbed.core.data.checking.probe import out_of_fold
from seedbed.core.data.splitting.folds import make_folds


def folds_of(codes: np.ndarray, groups: np.ndarray | None = None, seed: int = 0, folds: int = 5) -> np.ndarray:
    alone = np.full(len(codes), -1)
    return make_folds(codes, alone if groups is None else groups, folds, np.random.default_rng(seed))


def blobs(rows: int, width: int, classes: int, seed: int = 0, apart: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.arange(rows) % classes)
    centres = rng.standard_normal((classes, width)) * apart / np.sqrt(width) * 2
    return (centres[codes] + rng.standard_normal((rows, width))).astype(np.float32), codes


def accuracy(probabilities: np.ndarray, codes: np.ndarray) -> float:
    return float((probabilities.argmax(axis=1) == codes).mean())


def test_classes_that_lie_apart_are_told_by_probabilities() -> None:
    features, codes = blobs(300, 20, 4)
    found = out_of_fold(features, codes, folds_of(codes), seed=0)
    assert found.shape == (300, 4)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert accuracy(found, codes) > 0.97


def test_labels_without_a_reason_cannot_be_told_although_every_row_is_its_own_best_neighbour() -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 3, 400)
    found = out_of_fold(rng.standard_normal((400, 30)), codes, folds_of(codes), seed=0)
    assert accuracy(found, codes) < 0.45


def test_copies_in_one_fold_do_not_tell_each_other_and_copies_apart_do() -> None:
    rng = np.random.default_rng(2)
    features = np.repeat(rng.standard_normal((150, 30)), 2, axis=0)
    codes = np.repeat(rng.integers(0, 3, 150), 2)
    together = out_of_fold(features, codes, folds_of(codes, np.repeat(np.arange(150), 2)), seed=0)
    apart = out_of_fold(features, codes, np.tile([0, 1], 150), seed=0)
    assert accuracy(together, codes) < 0.5
    assert accuracy(apart, codes) > 0.95


def test_classes_that_no_line_divides_are_told_by_their_neighbours() -> None:
    rng = np.random.default_rng(3)
    corners = np.array([[1, 1], [-1, -1], [1, -1], [-1, 1]])
    corner = rng.integers(0, 4, 400)
    features = corners[corner] + 0.2 * rng.standard_normal((400, 2))
    codes = corner // 2
    assert accuracy(out_of_fold(features, codes, folds_of(codes), seed=0), codes) > 0.97


def test_several_divisions_make_one_verdict_that_fits_better_than_a_single_one() -> None:
    features, codes = blobs(400, 200, 4, apart=1.0)
    divisions = np.stack([folds_of(codes, seed=seed) for seed in range(4)])

    def loss(folds: np.ndarray) -> float:
        return float(-np.log(out_of_fold(features, codes, folds, seed=0)[np.arange(400), codes]).mean())

    assert loss(divisions) < min(loss(each) for each in divisions)


def test_the_same_seed_gives_the_same_probabilities() -> None:
    features, codes = blobs(200, 10, 3)
    first, second = (out_of_fold(features, codes, folds_of(codes), seed=7) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("width", [2, 100, 1500])
def test_features_narrow_and_wide_are_taken(width: int) -> None:
    features, codes = blobs(150, width, 3)
    assert accuracy(out_of_fold(features, codes, folds_of(codes), seed=0), codes) > 0.9


def test_features_in_wild_units_do_not_drown_the_others() -> None:
    features, codes = blobs(300, 12, 3)
    wild = np.random.default_rng(5).standard_normal((300, 2)) * 1e6
    assert accuracy(out_of_fold(np.hstack([features, wild]), codes, folds_of(codes), seed=0), codes) > 0.95


def test_features_that_never_change_leave_the_shares_of_the_classes() -> None:
    codes = np.repeat([0, 1], [150, 50])
    found = out_of_fold(np.ones((200, 5)), codes, folds_of(codes), seed=0)
    np.testing.assert_allclose(found[:, 1], 0.25, atol=0.05)


def test_a_class_of_one_row_is_never_expected_and_harms_no_other() -> None:
    features, codes = blobs(200, 10, 3)
    codes[17] = 3
    found = out_of_fold(features, codes, folds_of(codes), seed=0)
    assert np.isfinite(found).all()
    assert found[17, 3] < 0.05
    assert accuracy(found, codes) > 0.95


def test_much_data_is_learnt_from_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    features, codes = blobs(3_000, 10, 3)
    monkeypatch.setattr(probe, "_FITTED_ROWS", 200)
    monkeypatch.setattr(probe, "_CHOOSING_ROWS", 200)
    monkeypatch.setattr(probe, "_PAIRS", 3_000_000)
    monkeypatch.setattr(probe, "_BLOCK", 2**14)
    fitted, fit = [], probe._Linear._fit
    monkeypatch.setattr(
        probe._Linear, "_fit", lambda self, rows, *more: fitted.append(len(rows)) or fit(self, rows, *more)
    )
    assert accuracy(out_of_fold(features, codes, folds_of(codes), seed=0), codes) > 0.97
    assert max(fitted) == 200
