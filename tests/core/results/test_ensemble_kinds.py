from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.results.ensemble import blend, select_ensemble
from seedbed.core.specs import NoOptions
from seedbed.core.training.predictions import Predictions
from seedbed.plugins.metrics import AverageOptions
from seedbed.plugins.metrics.distances import mae, r2, rmse
from seedbed.plugins.metrics.orders import average_precision
from seedbed.plugins.metrics.scores import accuracy, f1, hamming_loss

RMSE = rmse(NoOptions())


def of_values(count, *, noise=1.0, unit=1.0, rows=300, seed=0):
    """Models that know the values but for noise of their own."""
    rng = np.random.default_rng(seed)
    targets = rng.normal(3, 2, rows)
    return {
        trial: Predictions(np.arange(rows), targets * unit, (targets + rng.normal(0, noise, rows)) * unit)
        for trial in range(count)
    }


def of_labels(count, *, noise=1.0, rows=300, seed=0):
    """Models that see each label under noise of their own."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((rows, 4)) < 0.4).astype(np.uint8)
    logits = [2.0 * targets - 1 + rng.normal(0, noise, targets.shape) for _ in range(count)]
    return {trial: Predictions(np.arange(rows), targets, 1 / (1 + np.exp(-each))) for trial, each in enumerate(logits)}


CASES = [
    (of_values, RMSE, "min"),
    (of_values, mae(NoOptions()), "min"),
    (of_values, r2(NoOptions()), "max"),
    (of_labels, accuracy(NoOptions()), "max"),
    (of_labels, hamming_loss(NoOptions()), "min"),
    (of_labels, f1(AverageOptions()), "max"),
    (of_labels, average_precision(NoOptions()), "max"),
]


def score(metric, predictions):
    return metric(predictions.targets, predictions.outputs)


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(CASES), st.integers(1, 5), st.floats(0.1, 3), st.integers(5, 60), st.integers(0, 1000))
def test_an_ensemble_of_any_kind_never_scores_below_its_best_member(case, count, noise, rows, seed):
    make, metric, direction = case
    members = make(count, noise=noise, rows=rows, seed=seed)
    found, sign = select_ensemble(members, metric, direction), 1 if direction == "max" else -1
    assert sign * found.score >= max(sign * score(metric, each) for each in members.values())
    assert found.score == pytest.approx(score(metric, blend(members, found)), abs=1e-6)


@pytest.mark.parametrize(("make", "metric", "direction"), CASES)
def test_models_with_noise_of_their_own_are_averaged_in_every_kind(make, metric, direction):
    found = select_ensemble(make(5), metric, direction)
    assert len(found.trials) > 1
    assert found.gain_low > 0


@pytest.mark.parametrize(("make", "metric", "direction"), CASES)
def test_copies_of_one_model_stay_one_model_in_every_kind(make, metric, direction):
    (only,) = make(1).values()
    assert select_ensemble({4: only, 7: only}, metric, direction).trials == (4,)


def test_the_unit_of_the_values_plays_no_part():
    chosen = {select_ensemble(of_values(5, unit=unit), RMSE, "min").trials for unit in (1.0, 2.0**-30, 2.0**30)}
    assert len(chosen) == 1


def test_a_blend_is_the_weighted_mean_of_the_outputs():
    members = of_values(2, rows=10)
    found = select_ensemble(members, RMSE, "min", rounds=1)
    both = type(found)(trials=(0, 1), weights=(0.25, 0.75), score=0.0, gain_low=0.0)
    wanted = 0.25 * members[0].outputs + 0.75 * members[1].outputs
    assert blend(members, both).outputs == pytest.approx(wanted, rel=1e-6)


def test_a_worse_model_whose_errors_are_the_same_is_left_out():
    best = of_values(1)[0]
    worse = Predictions(best.rows, best.targets, best.targets + 1.5 * (best.outputs - best.targets))
    assert select_ensemble({0: best, 1: worse}, RMSE, "min").trials == (0,)


def test_a_search_over_some_of_very_many_rows_is_judged_on_all(monkeypatch):
    members = of_values(4)
    monkeypatch.setattr("seedbed.core.results.ensemble._CELLS", 100)
    found = select_ensemble(members, RMSE, "min")
    assert len(found.trials) > 1
    assert found.score == pytest.approx(score(RMSE, blend(members, found)))
    assert found.score < min(score(RMSE, each) for each in members.values())
