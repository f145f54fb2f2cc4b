from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from core.training.helpers import DictLookup, candidate, fake_lookup, make_data

from seedbed import NoOptions
from seedbed.core.errors import DataError
from seedbed.core.results import ranking
from seedbed.core.results.calibration import calibrated
from seedbed.core.results.leaderboard import NO_TRIAL
from seedbed.core.results.ranking import rank_run
from seedbed.core.runfolder import RunFolder
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import EpochFinished, TrialFailed, TrialFinished, TrialStarted
from seedbed.core.search.history import History
from seedbed.core.specs import MetricSpec
from seedbed.core.task import Task
from seedbed.core.training.predictions import Predictions
from seedbed.plugins.metrics.distances import rmse
from seedbed.plugins.metrics.scores import brier_score, log_loss

ROWS = 300


@pytest.fixture
def profile(tmp_path):
    return replace(make_data(tmp_path / "made", rows=36).profile, class_counts=(30, 20, 20), test=1000)


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def _predictions(right, *, seed=0, rows=ROWS, start=0):
    """Predictions of which a share is right; the rest is wrong, at random places."""
    rng = np.random.default_rng(seed)
    targets = np.arange(rows) % 3
    answers = np.where(rng.random(rows) < right, targets, (targets + 1) % 3)
    probabilities = np.full((rows, 3), 0.2, dtype=np.float32)
    probabilities[np.arange(rows), answers] = 0.6
    return Predictions(np.arange(start, start + rows), targets, probabilities)


def _errors(found):
    return float(np.sqrt(np.square(found.outputs - found.targets).mean()))


def _share(found):
    return float((found.outputs.argmax(1) == found.targets).mean())


def _history(folder, results, *, row_seconds=0.001, judge=_share):
    """A history of trials: predictions of each that finished, None for one that failed."""
    history = History()
    for trial, found in enumerate(results):
        chosen = candidate(batch_size=16 + trial)
        history.apply(TrialStarted(trial=trial, candidate=chosen, fidelity=Fidelity(epochs=1)))
        if found is None:
            history.apply(TrialFailed(trial=trial, error="broken"))
            continue
        folder.trial(trial).mkdir(parents=True)
        found.save(folder.trial(trial) / "predictions.npz")
        score = judge(found)
        history.apply(
            EpochFinished(
                trial=trial,
                epoch=1.0,
                progress=1.0,
                train_loss=0.5,
                valid_loss=0.5,
                score=score,
                seconds=1.0,
                is_best=True,
            )
        )
        history.apply(
            TrialFinished(trial=trial, score=score, seconds=1.0, epochs=1.0, steps=9, row_seconds=row_seconds)
        )
    return history


def _rank(history, profile, folder, seconds_left=None):
    return rank_run(history, profile, folder, fake_lookup(), seed=0, seconds_left=seconds_left)


def _order(board):
    return [row.trial for row in board.rows if row.rank is not None]


def test_the_best_trial_wins_and_the_majority_class_is_on_the_board(profile, folder):
    found = _rank(_history(folder, [_predictions(0.5), _predictions(0.95, seed=1), None]), profile, folder)
    assert _order(found.board)[0] == 1
    assert found.board.best.trial == 1
    assert found.winner.trials == (1,)
    assert sorted(row.trial for row in found.board.rows) == [NO_TRIAL, 0, 1, 2]
    assert {row.role for row in found.board.rows if row.trial == NO_TRIAL} == {"baseline"}


def test_before_the_first_result_there_is_no_winner(profile, folder):
    assert _rank(History(), profile, folder).winner is None
    assert _rank(_history(folder, [None]), profile, folder).winner is None


def test_models_that_err_in_different_places_are_averaged(profile, folder):
    history = _history(folder, [_predictions(0.8, seed=seed) for seed in range(4)])
    found = _rank(history, profile, folder)
    assert len(found.winner.trials) > 1
    assert found.winner.score > found.board.best.score
    assert sum(found.winner.weights) == pytest.approx(1.0)


@pytest.mark.parametrize(("seconds_left", "is_ensemble"), [(None, True), (1000.0, True), (3.0, False), (0.0, False)])
def test_an_average_that_would_take_too_long_to_test_is_not_considered(profile, folder, seconds_left, is_ensemble):
    """Each of the members takes 1 s for the 1,000 test rows."""
    history = _history(folder, [_predictions(0.8, seed=seed) for seed in range(4)])
    found = _rank(history, profile, folder, seconds_left)
    assert (len(found.winner.trials) > 1) == is_ensemble
    assert found.winner.trials[0] in range(4)


def _slowed(history, *latencies):
    """The same trials, the i-th of which takes so long for a row."""
    for trial, seconds in enumerate(latencies):
        found = history.trials[trial]
        history.trials[trial] = replace(found, result=replace(found.result, latency_p95=seconds, latency_p50=seconds))
    return history


def _kept_within(history, profile, folder, max_latency):
    return rank_run(history, profile, folder, fake_lookup(), seed=0, seconds_left=None, max_latency=max_latency)


@pytest.mark.parametrize(("max_latency", "kept"), [(None, 1), (0.02, 1), (0.01, 0), (0.001, 2)])
def test_the_best_of_those_that_are_fast_enough_is_kept_and_of_none_the_fastest(profile, folder, max_latency, kept):
    history = _history(folder, [_predictions(0.7), _predictions(0.95, seed=1), _predictions(0.5, seed=2)])
    found = _kept_within(_slowed(history, 0.01, 0.02, 0.005), profile, folder, max_latency)
    assert found.winner.trials[0] == kept
    assert found.board.best.trial == 1
    assert found.latency == sum((0.01, 0.02, 0.005)[trial] for trial in found.winner.trials)


def test_what_was_not_measured_is_not_kept_within_a_limit_unless_nothing_was(profile, folder):
    history = _history(folder, [_predictions(0.7), _predictions(0.95, seed=1)])
    assert _kept_within(_slowed(history, 0.01, 0.0), profile, folder, 0.02).winner.trials == (0,)
    found = _kept_within(_slowed(history, 0.0, 0.0), profile, folder, 0.02)
    assert found.winner.trials == (1,)
    assert math.isinf(found.latency)


@pytest.mark.parametrize("metric", [log_loss, brier_score])
def test_a_metric_that_sees_how_sure_a_model_is_judges_it_as_it_will_be_used(profile, folder, metric):
    """The better of the two is far too sure of itself, which its temperature mends."""
    sure, shy = _predictions(0.8), _predictions(0.7, seed=1)
    sure = Predictions(sure.rows, sure.targets, np.where(sure.outputs > 0.5, 0.998, 0.001).astype(np.float32))
    history = _history(folder, [sure, shy])
    spec = MetricSpec(name="accuracy", summary="It.", build="fakes:anything", direction="min")
    lookup = DictLookup((spec, metric))
    found = rank_run(history, profile, folder, lookup, seed=0, seconds_left=None)
    judge = metric(NoOptions())
    assert judge(sure.targets, sure.outputs) > judge(shy.targets, shy.outputs)
    assert [row.trial for row in found.board.rows if row.trial >= 0] == [0, 1]
    for one, trial in ((sure, 0), (shy, 1)):
        shipped = calibrated(one)
        assert {row.trial: row.score for row in found.board.rows}[trial] == judge(shipped.targets, shipped.outputs)
    shipped = calibrated(found.predictions)
    assert found.winner.score == judge(shipped.targets, shipped.outputs)


@pytest.mark.parametrize(("max_latency", "most"), [(None, 4), (0.035, 3), (0.025, 2), (0.015, 1)])
def test_an_average_is_as_large_as_its_latency_may_be(profile, folder, max_latency, most):
    history = _history(folder, [_predictions(0.8, seed=seed) for seed in range(4)])
    found = _kept_within(_slowed(history, *[0.01] * 4), profile, folder, max_latency)
    assert len(found.winner.trials) <= most
    assert (len(found.winner.trials) > 1) == (most > 1)


def test_a_trial_whose_predictions_are_lost_cannot_win(profile, folder):
    history = _history(folder, [_predictions(0.5), _predictions(0.95, seed=1)])
    (folder.trial(1) / "predictions.npz").write_bytes(b"damaged")
    assert _rank(history, profile, folder).winner.trials == (0,)


def test_of_equals_the_one_with_the_smaller_checkpoint_wins(profile, folder):
    history = _history(folder, [_predictions(0.9), _predictions(0.9), _predictions(0.9)])
    for trial, size in enumerate((900, 300, 300)):
        (folder.trial(trial) / "checkpoint.safetensors").write_bytes(b"0" * size)
    found = _rank(history, profile, folder)
    assert _order(found.board)[:3] == [1, 2, 0]
    assert found.winner.trials == (1,)


def test_an_average_is_made_of_the_best_alone_where_trials_are_many(profile, folder, monkeypatch):
    monkeypatch.setattr(ranking, "_AVERAGED", 2)
    history = _history(folder, [_predictions(0.8, seed=seed) for seed in range(6)])
    found = _rank(history, profile, folder)
    assert set(found.winner.trials) <= set(_order(found.board)[:2])
    assert len(found.winner.trials) == 2


def test_trials_of_different_splits_are_not_ranked_against_each_other(profile, folder):
    history = _history(folder, [_predictions(0.7), _predictions(0.7, seed=1, start=10_000)])
    with pytest.raises(DataError, match="share no validation row"):
        _rank(history, profile, folder)


def test_values_are_ranked_by_their_errors_next_to_the_training_mean(profile, folder):
    rng = np.random.default_rng(0)
    targets = rng.normal(10, 3, ROWS)
    results = [
        Predictions(np.arange(ROWS), targets, targets + rng.normal(0, noise, ROWS)) for noise in (5.0, 1.0, 1.02)
    ]
    spec = MetricSpec(name="rmse", summary="x", build="fakes:x", direction="min", tasks=("regression",))
    lookup = fake_lookup().with_((spec, rmse))
    task = Task(modality="series", kind="regression", metric="rmse", direction="min")
    found = rank_run(
        _history(folder, results, judge=_errors),
        replace(profile, task=task, class_counts=(), target_mean=10.0),
        folder,
        lookup,
        seed=0,
        seconds_left=None,
    )
    assert _order(found.board)[-2:] == [NO_TRIAL, 0]
    assert found.board.beats_baseline
    assert sorted(found.winner.trials) == [1, 2]
    assert found.winner.score < found.board.best.score < 1.1
