from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.errors import UsageError
from seedbed.core.results.ensemble import blend, select_ensemble
from seedbed.core.specs import NoOptions
from seedbed.core.training.predictions import Predictions
from seedbed.plugins.metrics import AverageOptions
from seedbed.plugins.metrics.scores import accuracy, f1, log_loss

ACCURACY = accuracy(NoOptions())
LOG_LOSS = log_loss(NoOptions())


def models(count, *, signal=2.0, own=1.0, examples=400, classes=4, seed=0):
    """Models that see the same signal, each under noise of its own."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, examples)
    found = {}
    for trial in range(count):
        logits = rng.normal(size=(examples, classes)) * own
        logits[np.arange(examples), targets] += signal
        weights = np.exp(logits)
        probabilities = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        found[trial] = Predictions(np.arange(examples), targets, probabilities)
    return found


def score(metric, predictions):
    return metric(predictions.targets, predictions.outputs)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 6),
    st.floats(0.2, 3),
    st.integers(5, 80),
    st.integers(0, 1000),
    st.sampled_from([(ACCURACY, 1, "max"), (LOG_LOSS, -1, "min"), (f1(AverageOptions()), 1, "max")]),
)
def test_an_ensemble_never_scores_below_its_best_member(count, signal, examples, seed, chosen):
    metric, sign, direction = chosen
    members = models(count, signal=signal, examples=examples, seed=seed)
    found = select_ensemble(members, metric, direction)
    best = max(sign * score(metric, each) for each in members.values())
    assert sign * found.score >= best
    assert found.score == pytest.approx(score(metric, blend(members, found)), abs=1e-6)
    assert sum(found.weights) == pytest.approx(1)
    assert set(found.trials) <= members.keys()
    assert list(found.weights) == sorted(found.weights, reverse=True)


def test_models_with_noise_of_their_own_are_averaged():
    members = models(6)
    found = select_ensemble(members, ACCURACY, "max")
    assert len(found.trials) > 1
    assert found.gain_low > 0
    assert found.score > max(score(ACCURACY, each) for each in members.values())


def test_the_average_holds_up_on_rows_it_was_not_chosen_on():
    members = models(6, examples=4000)
    chosen_on = {
        trial: Predictions(each.rows[:500], each.targets[:500], each.outputs[:500]) for trial, each in members.items()
    }
    unseen = {
        trial: Predictions(each.rows[500:], each.targets[500:], each.outputs[500:]) for trial, each in members.items()
    }
    found = select_ensemble(chosen_on, ACCURACY, "max")
    assert score(ACCURACY, blend(unseen, found)) > max(score(ACCURACY, each) for each in unseen.values())


def test_copies_of_one_model_stay_one_model():
    (only,) = models(1).values()
    found = select_ensemble({4: only, 7: only, 9: only}, LOG_LOSS, "min")
    assert (found.trials, found.weights, found.gain_low) == ((4,), (1.0,), 0.0)


def test_a_gain_within_the_noise_is_declined():
    """The second model mends one row of the first: no reason to pay for two models."""
    first = models(1, signal=4.0, examples=200)[0]
    mended = first.outputs.copy()
    wrong = np.flatnonzero(mended.argmax(axis=1) != first.targets)
    mended[:] = 0.25  # knows nothing …
    mended[wrong[0]] = np.eye(4)[first.targets[wrong[0]]]  # … but one thing
    second = Predictions(first.rows, first.targets, mended)
    both = (first.outputs + mended) / 2
    assert ACCURACY(first.targets, both) > score(ACCURACY, first)
    assert select_ensemble({0: first, 1: second}, ACCURACY, "max").trials == (0,)


def test_equal_scores_are_decided_by_log_loss():
    sure = Predictions(np.arange(2), np.array([0, 1]), np.array([[0.9, 0.1], [0.1, 0.9]]))
    unsure = Predictions(np.arange(2), np.array([0, 1]), np.array([[0.6, 0.4], [0.4, 0.6]]))
    assert select_ensemble({0: unsure, 1: sure}, ACCURACY, "max").trials == (1,)


def test_no_more_members_than_allowed():
    members = models(8)
    assert len(select_ensemble(members, ACCURACY, "max", max_members=3).trials) <= 3
    assert len(select_ensemble(members, ACCURACY, "max", max_members=1).trials) == 1
    assert len(select_ensemble(members, ACCURACY, "max", rounds=1).trials) == 1


def test_the_order_of_the_members_plays_no_part():
    members = models(6)
    backwards = dict(reversed(members.items()))
    assert select_ensemble(members, LOG_LOSS, "min") == select_ensemble(backwards, LOG_LOSS, "min")


def test_members_on_different_rows_meet_on_the_shared_ones():
    members = models(6)
    short = models(1, signal=0.0, examples=300)[0]  # knows nothing, but lacks the last hundred rows
    short = Predictions(short.rows, members[0].targets[:300], short.outputs)
    found = select_ensemble({**members, 9: short}, ACCURACY, "max")
    assert len(found.trials) > 1
    assert 9 not in found.trials
    alike = {
        trial: Predictions(each.rows[:300], each.targets[:300], each.outputs[:300]) for trial, each in members.items()
    }
    assert found == select_ensemble(alike, ACCURACY, "max")


def test_nothing_to_choose_from_is_refused():
    with pytest.raises(UsageError, match="0 members"):
        select_ensemble({}, ACCURACY, "max")


def test_equally_accurate_models_are_averaged_where_log_loss_tells_what_accuracy_cannot():
    """Both are wrong on the same two of 288 rows, and each is unsure of twenty rows of its own."""
    targets = np.random.default_rng(0).integers(0, 4, 288)

    def model(unsure):
        probabilities = np.full((288, 4), 0.01)
        probabilities[np.arange(288), targets] = 0.97
        probabilities[unsure] = 0.7 / 3
        probabilities[unsure, targets[unsure]] = 0.3
        probabilities[:2] = np.eye(4)[(targets[:2] + 1) % 4] * 0.97 + 0.0075
        return Predictions(np.arange(288), targets, probabilities)

    pair = {0: model(np.arange(10, 30)), 1: model(np.arange(10, 30))}
    assert select_ensemble(pair, ACCURACY, "max").trials == (0,)  # copies stay one model
    pair[1] = model(np.arange(50, 70))
    found = select_ensemble(pair, ACCURACY, "max")
    assert sorted(found.trials) == [0, 1]
    assert found.score == score(ACCURACY, pair[0])


def test_a_weak_but_sure_model_is_no_help_for_a_good_one_that_is_unsure():
    """What label smoothing does to log loss is not mended by averaging with a worse model."""
    targets = np.random.default_rng(0).integers(0, 4, 288)
    good = np.full((288, 4), 0.1)
    good[np.arange(288), targets] = 0.7
    sure = np.full((288, 4), 0.001)
    sure[np.arange(288), targets] = 0.997
    sure[:12] = np.eye(4)[(targets[:12] + 1) % 4] * 0.9 + 0.025
    pair = {1: Predictions(np.arange(288), targets, good), 2: Predictions(np.arange(288), targets, sure)}
    assert select_ensemble(pair, ACCURACY, "max").trials == (1,)
