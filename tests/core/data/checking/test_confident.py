from __future__ import annotations

import numpy as np
import pytest

from seedbed.core.data.checking.confident import FEWEST_OF_CLASS, LabelErrors, find_label_errors
from seedbed.core.data.checking.mixture import log_softmax
from seedbed.core.data.checking.probe import out_of_fold
from seedbed.core.data.splitting.folds import make_folds


def opinions(rows: int, classes: int, sure: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Class probabilities that are just right, the surer the greater `sure`, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((rows, classes))
    logits[np.arange(rows), rng.integers(0, classes, rows)] += 3
    probabilities = np.exp(log_softmax(sure * logits)).astype(np.float32)
    codes = (probabilities.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(max=classes - 1)
    return probabilities, codes


def flip(codes: np.ndarray, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of which a share is changed to another class, and the rows."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(codes), round(share * len(codes)), replace=False)
    changed, classes = codes.copy(), codes.max() + 1
    changed[rows] = (codes[rows] + rng.integers(1, classes, len(rows))) % classes
    return changed, rows


def judged(features: np.ndarray, codes: np.ndarray, seed: int = 0) -> LabelErrors:
    alone, rng = np.full(len(codes), -1), np.random.default_rng(seed)
    folds = np.stack([make_folds(codes, alone, 5, rng) for _ in range(2)])
    return find_label_errors(out_of_fold(features, codes, folds, seed), codes)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.data.astype(np.float32), found.target


@pytest.mark.parametrize("share", [0.01, 0.03, 0.1])
def test_wrong_labels_among_real_digits_are_named(digits: tuple[np.ndarray, np.ndarray], share: float) -> None:
    features, codes = digits
    changed, rows = flip(codes, share)
    found = judged(features, changed)
    hits = np.isin(found.rows, rows)
    assert hits.mean() >= 0.6
    assert hits.sum() >= 0.85 * len(rows)
    assert (found.suggestions[hits] == codes[found.rows[hits]]).mean() >= 0.9
    assert found.noise == pytest.approx(share, rel=0.3)
    assert found.is_able


def test_among_digits_as_they_are_next_to_none_is_named(digits: tuple[np.ndarray, np.ndarray]) -> None:
    found = judged(*digits)
    assert len(found.rows) <= 2
    assert found.is_able
    assert found.accuracy > 0.95


def test_a_probe_that_is_often_wrong_and_knows_it_accuses_no_label() -> None:
    probabilities, codes = opinions(3_000, 8, sure=1.5)
    found = find_label_errors(probabilities, codes)
    assert found.accuracy < 0.9  # counting predictions of another class would name hundreds
    assert len(found.rows) == 0
    assert found.noise == 0
    assert found.is_able


def test_half_of_what_such_a_probe_names_is_wrong_where_labels_are() -> None:
    probabilities, codes = opinions(3_000, 8, sure=2.0)
    changed, rows = flip(codes, 0.03)
    found = find_label_errors(probabilities, changed)
    hits = np.isin(found.rows, rows)
    assert hits.mean() >= 0.5
    assert hits.sum() >= 0.5 * len(rows)


def test_a_probe_too_weak_to_have_an_opinion_says_nothing_and_that_it_cannot_tell() -> None:
    probabilities, codes = opinions(3_000, 2, sure=0.4)
    changed, _ = flip(codes, 0.1)
    found = find_label_errors(probabilities, changed)
    assert len(found.rows) == len(found.suggestions) == len(found.scores) == 0
    assert not found.is_able
    assert found.power < 0.2


def test_the_most_suspicious_come_first_with_another_class_for_each() -> None:
    probabilities, codes = opinions(3_000, 5, sure=3.0)
    changed, _ = flip(codes, 0.05)
    found = find_label_errors(probabilities, changed)
    assert len(found.rows) > 100
    assert (np.diff(found.scores) <= 0).all()
    assert ((found.scores > 0) & (found.scores <= 1)).all()
    assert (found.suggestions != changed[found.rows]).all()
    assert len(np.unique(found.rows)) == len(found.rows)


def test_rows_of_a_class_too_rare_to_be_learnt_are_not_judged() -> None:
    probabilities, codes = opinions(2_000, 5, sure=3.0)
    changed, _ = flip(codes, 0.05)
    rare = np.flatnonzero(changed == 4)
    changed[rare[FEWEST_OF_CLASS - 1 :]] = 3
    probabilities[rare] = np.float32([0.999, 0.001, 0, 0, 0])
    found = find_label_errors(probabilities, changed)
    assert len(found.rows) > 20
    assert not np.isin(rare[: FEWEST_OF_CLASS - 1], found.rows).any()


def test_a_probe_that_is_sure_beyond_reason_is_believed_no_more_than_its_record_allows() -> None:
    probabilities, codes = opinions(3_000, 8, sure=1.5)
    bold = np.exp(log_softmax(6 * np.log(probabilities)))
    assert len(find_label_errors(bold, codes).rows) == 0


@pytest.mark.parametrize("codes", [np.array([0, 1] * 20), np.zeros(500, dtype=int)])
def test_too_few_rows_and_a_single_class_are_left_alone(codes: np.ndarray) -> None:
    found = find_label_errors(np.full((len(codes), codes.max() + 1), 1 / (codes.max() + 1), np.float32), codes)
    assert len(found.rows) == 0
    assert not found.is_able
