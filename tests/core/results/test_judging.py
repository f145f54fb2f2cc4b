from __future__ import annotations

import numpy as np
import pytest
from core.results.ranked import ACCURACY, LOG_LOSS, entry, model

from seedbed.core.errors import DataError
from seedbed.core.results import judging
from seedbed.core.results.ordering import rank
from seedbed.core.training.predictions import Predictions


def lazily(members, read):
    def reader(place):
        def load():
            read.append(place)
            return members[place]

        return load

    return [entry(place, reader(place)) for place in range(len(members))]


def test_what_is_read_later_ranks_as_what_is_at_hand():
    members = [model(skill, seed=seed) for seed, skill in enumerate((0.7, 0.9, 0.8, 0.8))]
    assert rank(lazily(members, []), ACCURACY, "max") == rank(
        [entry(place, each) for place, each in enumerate(members)], ACCURACY, "max"
    )


def test_what_does_not_fit_into_memory_is_read_again_and_ranks_alike(monkeypatch):
    members = [model(0.8, seed=seed) for seed in range(6)]
    once, again = [], []
    board = rank(lazily(members, once), LOG_LOSS, "min")
    monkeypatch.setattr(judging, "_HELD_BYTES", 0)
    assert rank(lazily(members, again), LOG_LOSS, "min") == board
    assert once == list(range(6))
    assert len(again) > len(once)


def test_a_file_that_cannot_be_read_costs_its_trial_its_place_alone():
    def broken():
        raise DataError("predictions.npz is torn")

    rows = rank([entry(0, broken), entry(1, model(0.6))], ACCURACY, "max").rows
    assert [(row.trial, row.rank, row.reason) for row in rows] == [(1, 1, ""), (0, None, "predictions.npz is torn")]


def test_each_member_may_have_rows_of_its_own_and_all_are_judged_on_those_that_all_have():
    def part_of(whole, rows):
        return Predictions(whole.rows[rows], whole.targets[rows], whole.outputs[rows])

    whole = model(0.7, 100)
    members = [
        whole,
        part_of(model(0.8, 100, seed=1), np.arange(99, 19, -1)),
        part_of(model(0.9, 100, seed=2), np.arange(0, 60)),
    ]
    board = rank([entry(place, each) for place, each in enumerate(members)], ACCURACY, "max")
    assert board.examples == 40
    shared = np.arange(20, 60)
    scores = {row.trial: row.score for row in board.rows}
    assert scores[0] == pytest.approx(ACCURACY(whole.targets[shared], whole.outputs[shared]))


def test_equals_far_down_are_told_apart_by_their_losses_as_they_are(monkeypatch):
    """Only the first are looked at at their best temperature."""
    targets = np.arange(40) % 2
    right = np.where(np.arange(40) < 30, 1.0, -1.0)

    def sure_of(margin):
        own = 1 / (1 + np.exp(-margin))
        return Predictions(np.arange(40), targets, np.where(targets[:, None] == [0, 1], own[:, None], 1 - own[:, None]))

    knowing, careful = sure_of(np.where(right > 0, 9.0, -4.0)), sure_of(np.where(right > 0, 1.1, -1.1))
    best = model(1.0, 40, classes=2)
    entries = [entry(0, knowing), entry(1, careful), entry(2, best)]
    assert [row.trial for row in rank(entries, ACCURACY, "max").rows] == [2, 0, 1]
    monkeypatch.setattr(judging, "_TEMPERED", 1)
    assert [row.trial for row in rank(entries, ACCURACY, "max").rows] == [2, 1, 0]
    assert LOG_LOSS(targets, knowing.outputs) > LOG_LOSS(targets, careful.outputs)
