"""What is believed of curves: the prior, and what evidence makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.results.power_laws import ErrorScale, Falls, PowerLaws, go_on, remaining, steady

SCORES = st.lists(st.floats(-50, 50, allow_nan=False), min_size=1, max_size=6)


@given(SCORES, st.sampled_from(["max", "min"]))
def test_errors_are_never_negative_and_go_back_to_their_scores(scores, direction):
    scale = ErrorScale.of(direction, scores)
    errors = scale.error(np.array(scores))
    assert (errors >= 0).all()
    assert scale.score(errors) == pytest.approx(scores, abs=1e-9)
    best = scores.index(max(scores) if direction == "max" else min(scores))
    assert errors[best] == errors.min()


def test_shares_have_their_best_at_one_and_losses_at_nothing():
    assert ErrorScale.of("max", [0.2, 0.9]).error(np.array(0.9)) == pytest.approx(0.1)
    assert ErrorScale.of("min", [3.0, 2.0]).error(np.array(2.0)) == pytest.approx(2.0)


def test_standstills_are_joined_and_nothing_is_lost_of_the_falls():
    falls = Falls(np.array([0.1, 0.2, 0.3, 0.4, 0.8, 1.0]), np.array([0.0, 0.0, 0.5, 0.0, 0.0]))
    joined = falls.joined()
    assert joined.edges.tolist() == [0.1, 0.3, 0.4, 1.0]
    assert joined.amounts.tolist() == [0.0, 0.5, 0.0]


@pytest.mark.parametrize("edges", [[0.5, 0.5, 1.0], [0.0, 0.5, 1.0], [0.5, 1.0]])
def test_edges_that_do_not_ascend_are_refused(edges):
    with pytest.raises(ValueError, match="no ascending edges"):
        Falls(np.array(edges), np.array([0.1, 0.1]))


def test_the_prior_lies_about_what_is_usual_and_is_wide():
    left = remaining(PowerLaws.prior(), 2.0, np.random.default_rng(0), 20_000)
    assert 0.85 < np.median(left) < 0.95
    assert np.quantile(left, 0.1) < 0.8
    assert np.quantile(left, 0.9) > 0.96


@pytest.mark.parametrize("b", [0.15, 0.4, 1.2])
def test_an_even_fall_is_gone_on_with(b):
    edges = np.geomspace(1 / 32, 1, 25)
    laws = steady(Falls(edges, b * np.diff(np.log(edges))))
    assert laws.weights.sum() == pytest.approx(1.0)
    fallen = go_on(laws, np.array([2.0]), np.random.default_rng(0), 4000)
    assert np.median(fallen) == pytest.approx(b * np.log(2), rel=0.15)


def test_falls_only_add_up():
    laws = steady(Falls(np.array([0.2, 0.5, 1.0]), np.array([0.3, 0.0])))
    fallen = go_on(laws, np.array([2.0, 4.0, 10.0]), np.random.default_rng(0), 500)
    assert fallen.shape == (3, 500)
    assert (fallen[0] >= 0).all()
    assert (np.diff(fallen, axis=0) >= 0).all()
