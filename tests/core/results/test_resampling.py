from __future__ import annotations

import numpy as np
import pytest
from core.results.ranked import ACCURACY, model

from seedbed.core.results import resampling
from seedbed.core.results.resampling import Resampler
from seedbed.plugins.metrics import AverageOptions
from seedbed.plugins.metrics.scores import f1


def samples(members, metric, *, draws=400, seed=0):
    resampler = Resampler(metric, members[0], len(members), seed=seed, draws=draws)
    taken = [resampler.take(each, float(metric(each.targets, each.outputs))) for each in members]
    return resampler.samples(taken)


def accuracy_without_shortcuts(targets, outputs):
    return ACCURACY(targets, outputs)


class Weighted:
    """Accuracy that says it is no mean over rows."""

    def __call__(self, targets, outputs):
        return ACCURACY(targets, outputs)

    @staticmethod
    def weighted(targets, outputs, weights):
        return weights @ (outputs.argmax(1) == targets) / weights.sum(1)


@pytest.mark.parametrize("metric", [ACCURACY, Weighted(), accuracy_without_shortcuts])
def test_drawn_rows_scatter_about_the_score_and_rows_left_out_scatter_more(metric):
    members = [model(0.8, 300, seed=seed) for seed in range(3)]
    found = samples(members, metric, draws=200)
    scores = [ACCURACY(each.targets, each.outputs) for each in members]
    for part, share in ((found.inside, 1.0), (found.outside, np.exp(-1))):
        assert part.mean(0) == pytest.approx(scores, abs=0.012)
        expected = np.sqrt(0.16 / 300) if share == 1.0 else np.sqrt(0.16 / 300 * (1 / share - 1))
        assert part.std(0) == pytest.approx(np.full(3, expected), rel=0.25)


@pytest.mark.parametrize("metric", [ACCURACY, Weighted(), accuracy_without_shortcuts])
def test_all_models_are_scored_on_the_same_rows(metric):
    same = model(0.7, 100)
    found = samples([same, model(0.9, 100, seed=3), same], metric, draws=50)
    assert np.allclose(found.inside[:, 0], found.inside[:, 2], atol=1e-12)
    assert np.allclose(found.outside[:, 0], found.outside[:, 2], atol=1e-12)


def test_what_was_drawn_is_not_left_out():
    """Of a model that is right on one row alone, the score outside is 0 wherever the one inside is not."""
    outputs = np.tile(np.float32([0, 1, 0]), (20, 1))
    targets = np.zeros(20, dtype=np.int64)
    outputs[7] = [1, 0, 0]
    found = samples([type(model(0.5))(np.arange(20), targets, outputs)], ACCURACY)
    assert ((found.inside > 0) != (found.outside > 0)).all()
    assert (found.inside > 0).mean() == pytest.approx(1 - (1 - 1 / 20) ** 20, abs=0.08)


def test_a_single_row_that_is_always_drawn_says_the_same_outside():
    found = samples([model(1.0, 1)], ACCURACY, draws=5)
    assert (found.inside == 1).all()
    assert (found.outside == 1).all()


def test_rows_that_are_too_many_are_drawn_in_blocks_and_scatter_alike(monkeypatch):
    members = [model(0.8, 3001, seed=seed) for seed in range(2)]
    plain = samples(members, ACCURACY, draws=400)
    monkeypatch.setattr(resampling, "_BLOCKS", 400)
    in_blocks = samples(members, ACCURACY, draws=400)
    assert in_blocks.inside.mean(0) == pytest.approx(plain.inside.mean(0), abs=0.002)
    assert in_blocks.inside.std(0) == pytest.approx(plain.inside.std(0), rel=0.25)
    distance = [np.std(part[:, 0] - part[:, 1]) for part in (plain.inside, in_blocks.inside)]
    assert distance[1] == pytest.approx(distance[0], rel=0.25)


def test_draws_become_fewer_where_models_are_many(monkeypatch):
    members = [model(0.8, 50, seed=seed) for seed in range(4)]
    monkeypatch.setattr(resampling, "_WORK", 50 * 4 * 300)
    assert samples(members, ACCURACY, draws=1000).inside.shape == (300, 4)
    monkeypatch.setattr(resampling, "_SLOW_CELLS", 50 * 3 * 4 * 70)
    found = samples(members, f1(AverageOptions()), draws=1000)
    assert (len(found.inside), len(found.outside)) == (70, 20)
    monkeypatch.setattr(resampling, "_SLOW_CELLS", 50 * 3 * 4 * 120)
    found = samples(members, f1(AverageOptions()), draws=1000)
    assert (len(found.inside), len(found.outside)) == (120, 30)


def test_a_draw_of_which_the_metric_says_nothing_has_the_score_itself():
    def moody(targets, outputs):
        return ACCURACY(targets, outputs) if (targets == 2).any() else float("nan")

    targets = np.zeros(30, dtype=np.int64)
    targets[0] = 2
    given = type(model(0.5))(np.arange(30), targets, model(0.5, 30).outputs)
    found = samples([given], moody, draws=60)
    assert np.isfinite(found.inside).all()
    assert np.isfinite(found.outside).all()
    score = ACCURACY(given.targets, given.outputs)
    assert 0.2 < (found.inside == score).mean() < 0.7
