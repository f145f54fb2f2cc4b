from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.data.checking.mixture import likelihood, log_softmax, mix, wrongness


def labelled(rows: int, classes: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log probabilities that are just right, and labels drawn from them, a share of which is then made wrong."""
    rng = np.random.default_rng(seed)
    opinion = log_softmax(2.5 * rng.standard_normal((rows, classes))).astype(np.float32)
    codes = (np.exp(opinion).cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(max=classes - 1)
    wrong = rng.random(rows) < noise
    return opinion, np.where(wrong, (codes + rng.integers(1, classes, rows)) % classes, codes)


@pytest.mark.parametrize("noise", [0.03, 0.1])
def test_the_share_of_wrong_labels_is_found_although_the_opinion_is_often_unsure(noise: float) -> None:
    opinion, codes = labelled(8_000, 6, noise)
    assert mix([opinion], codes, np.random.default_rng(0)).noise == pytest.approx(noise, rel=0.3)


def test_no_noise_is_found_where_the_opinion_explains_the_labels() -> None:
    opinion, codes = labelled(8_000, 6, 0.0)
    assert mix([opinion], codes, np.random.default_rng(0)).noise < 0.005


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_an_opinion_too_timid_or_too_bold_is_set_right_in_spite_of_wrong_labels(factor: float) -> None:
    opinion, codes = labelled(8_000, 6, 0.05)
    found = mix([np.float32(factor) * opinion], codes, np.random.default_rng(0))
    assert found.weights[0] * factor == pytest.approx(1, rel=0.1)


def test_wrong_labels_tone_the_opinion_down_where_no_noise_is_allowed_for() -> None:
    opinion, codes = labelled(8_000, 6, 0.05)
    rng = np.random.default_rng(0)
    sober, plain = mix([opinion], codes, rng), mix([opinion], codes, rng, noisy=False)
    assert plain.noise == 0
    assert plain.weights[0] < 0.9 * sober.weights[0]
    assert sober.loss < plain.loss


def test_an_opinion_without_content_counts_next_to_nothing_beside_a_good_one() -> None:
    opinion, codes = labelled(8_000, 6, 0.0)
    rubbish = log_softmax(np.random.default_rng(1).standard_normal(opinion.shape)).astype(np.float32)
    good, bad = mix([opinion, rubbish], codes, np.random.default_rng(0)).weights
    assert good == pytest.approx(1, rel=0.1)
    assert bad < 0.1


@given(right=st.floats(0, 1), other=st.floats(0, 1), noise=st.floats(1e-4, 0.9), classes=st.integers(2, 1000))
def test_the_less_expected_a_label_the_likelier_it_is_wrong(
    right: float, other: float, noise: float, classes: int
) -> None:
    low, high = wrongness(np.array(sorted([right, other])), noise, classes)
    assert 0 <= high <= low <= 1
    assert (likelihood(np.array([right, other]), noise, classes) > 0).all()


def test_without_noise_no_label_is_wrong() -> None:
    assert not wrongness(np.array([0.0, 0.5, 1.0]), 0.0, 3).any()
