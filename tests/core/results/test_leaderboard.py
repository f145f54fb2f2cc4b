from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from core.results.ranked import ACCURACY, LOG_LOSS, entry, model
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.results.ordering import rank
from seedbed.core.specs import NoOptions
from seedbed.core.training.predictions import Predictions, tempered
from seedbed.plugins.metrics import AverageOptions
from seedbed.plugins.metrics.scores import balanced_accuracy, f1


@st.composite
def studies(draw):
    """Between one and six models on the same few rows."""
    examples = draw(st.integers(5, 60))
    skills = draw(st.lists(st.floats(0, 1), min_size=1, max_size=6))
    sizes = draw(st.lists(st.sampled_from([100, 200]), min_size=len(skills), max_size=len(skills)))
    return [
        entry(number, model(skill, examples, seed=number), size_bytes=size)
        for number, (skill, size) in enumerate(zip(skills, sizes, strict=True))
    ]


METRICS = st.sampled_from(
    [
        (ACCURACY, "max"),
        (LOG_LOSS, "min"),
        (f1(AverageOptions()), "max"),
        (balanced_accuracy(NoOptions()), "max"),
    ]
)


@settings(deadline=None, max_examples=40)
@given(studies(), METRICS)
def test_rows_follow_their_scores_and_lie_in_their_intervals(entries, metric):
    score, direction = metric
    board = rank(entries, score, direction, draws=50)
    assert [row.rank for row in board.rows] == list(range(1, len(entries) + 1))
    softened = {each.trial: tempered(each.predictions) for each in entries}
    losses = {trial: round(LOG_LOSS(each.targets, each.outputs), 6) for trial, each in softened.items()}
    sign = -1 if direction == "max" else 1
    keys = [(sign * row.score, losses[row.trial], row.size_bytes, row.trial) for row in board.rows]
    assert keys == sorted(keys)
    assert all(row.low <= row.score <= row.high for row in board.rows)


@settings(deadline=None, max_examples=40)
@given(studies(), METRICS)
def test_tie_groups_are_contiguous_and_count_from_one(entries, metric):
    groups = [row.tie_group for row in rank(entries, *metric, draws=50).rows]
    assert groups[0] == 1
    assert all(after - before in (0, 1) for before, after in pairwise(groups))


@settings(deadline=None, max_examples=40)
@given(studies(), METRICS)
def test_chances_to_be_best_sum_to_one(entries, metric):
    assert sum(row.best_probability for row in rank(entries, *metric, draws=50).rows) == pytest.approx(1)


@settings(deadline=None, max_examples=40)
@given(studies(), METRICS, st.randoms(use_true_random=False))
def test_the_order_of_the_entries_plays_no_part(entries, metric, random):
    entries = [*entries, entry(90, status="failed", reason="out of memory"), entry(91, status="running")]
    shuffled = random.sample(entries, len(entries))
    assert rank(shuffled, *metric, draws=50) == rank(entries, *metric, draws=50)


def test_the_seed_decides_the_draws():
    entries = [entry(number, model(0.7, seed=number)) for number in range(3)]
    chances = [[row.best_probability for row in rank(entries, ACCURACY, "max", seed=seed).rows] for seed in (1, 1, 2)]
    assert chances[0] == chances[1] != chances[2]


def test_a_clearly_better_model_does_not_tie():
    board = rank([entry(0, model(0.80, 1000, seed=0)), entry(1, model(0.95, 1000, seed=1))], ACCURACY, "max")
    assert [(row.trial, row.tie_group) for row in board.rows] == [(1, 1), (0, 2)]
    assert board.rows[0].best_probability > 0.99


def test_equal_models_tie_and_share_the_chance_to_be_best():
    same = model(0.8)
    board = rank([entry(0, same), entry(1, same)], LOG_LOSS, "min")
    assert [(row.trial, row.tie_group) for row in board.rows] == [(0, 1), (1, 1)]
    assert [row.best_probability for row in board.rows] == pytest.approx([0.5, 0.5])


def test_a_better_model_ties_where_the_rows_are_too_few_to_tell():
    right = model(1.0, 30)
    one_wrong = right.outputs.copy()
    one_wrong[0] = one_wrong[0][[1, 2, 0]]
    board = rank([entry(0, right), entry(1, Predictions(right.rows, right.targets, one_wrong))], ACCURACY, "max")
    assert [row.tie_group for row in board.rows] == [1, 1]


def test_models_that_err_on_the_same_rows_are_told_apart_by_fewer_rows():
    """The pairing at work: each interval alone covers the other model's score."""
    weak = model(0.6, 400, seed=1)
    strong = weak.outputs.copy()
    wrong = np.flatnonzero(weak.outputs.argmax(axis=1) != weak.targets)[:12]
    strong[wrong] = np.eye(3, dtype=np.float32)[weak.targets[wrong]]
    entries = [entry(0, weak), entry(1, Predictions(weak.rows, weak.targets, strong))]
    first, second = rank(entries, ACCURACY, "max").rows
    assert first.low < second.score < first.score < second.high
    assert (first.tie_group, second.tie_group) == (1, 2)


def test_a_perfect_score_on_few_rows_is_not_called_certain():
    (row,) = rank([entry(0, model(1.0, 30))], ACCURACY, "max").rows
    assert row.score == row.high == 1.0
    assert row.low == pytest.approx(0.886, abs=0.001)  # Wilson's interval for 30 of 30


def test_failed_and_running_trials_stay_on_the_board_with_their_reason():
    entries = [
        entry(3, status="failed", reason="RuntimeError: out of memory"),
        entry(2, model(0.9), status="running", score=0.9),
        entry(1, model(0.5)),
        entry(4, model(0.6), status="failed", reason="killed by SIGKILL"),
    ]
    rows = rank(entries, ACCURACY, "max").rows
    assert [(row.trial, row.rank) for row in rows] == [(1, 1), (2, None), (3, None), (4, None)]
    assert rows[2].reason == "RuntimeError: out of memory"
    assert rows[1].score == 0.9
    assert rows[1].tie_group is rows[1].low is rows[1].best_probability is None


def test_a_stopped_trial_with_predictions_is_ranked():
    board = rank([entry(0, model(0.9), status="stopped", reason="the others are better")], ACCURACY, "max")
    assert (board.rows[0].rank, board.rows[0].status) == (1, "stopped")


def test_trials_on_different_rows_meet_on_the_shared_ones():
    whole, part = model(0.7, 100), model(0.9, 100, seed=1)
    part = Predictions(part.rows[40:], part.targets[40:], part.outputs[40:])
    board = rank([entry(0, whole), entry(1, part)], ACCURACY, "max")
    assert board.examples == 60
    scores = {row.trial: row.score for row in board.rows}
    assert scores[0] == pytest.approx(ACCURACY(whole.targets[40:], whole.outputs[40:]))


def test_a_metric_that_fails_on_one_trial_leaves_the_others_ranked():
    bad = model(0.8, seed=5)

    def picky(targets, probabilities):
        if probabilities is bad.outputs:
            raise ZeroDivisionError("no such score")
        return ACCURACY(targets, probabilities)

    rows = rank([entry(0, bad), entry(1, model(0.6))], picky, "max").rows
    assert [(row.trial, row.rank) for row in rows] == [(1, 1), (0, None)]
    assert rows[1].reason == "the metric failed: no such score"


def test_a_score_that_is_no_number_has_no_rank():
    (row,) = rank([entry(0, model(0.8))], lambda targets, probabilities: float("nan"), "max").rows
    assert (row.rank, row.score, row.reason) == (None, None, "the metric gave nan")


def test_of_equal_scores_the_one_that_knows_more_comes_first_however_sure_it_is_of_it():
    targets = np.arange(40) % 2
    right = np.where(np.arange(40) < 30, 1.0, -1.0)
    # Both are right on the same 30 rows. One can tell where it errs, and is far too sure; the other cannot.
    margins = {0: np.where(right > 0, 9.0, -4.0), 1: np.where(right > 0, 1.1, -1.1)}
    given = []
    for trial, margin in margins.items():
        own = 1 / (1 + np.exp(-margin))
        given.append(
            entry(
                trial,
                Predictions(
                    np.arange(40), targets, np.where(targets[:, None] == [0, 1], own[:, None], 1 - own[:, None])
                ),
            )
        )
    assert LOG_LOSS(targets, given[0].predictions.outputs) > LOG_LOSS(targets, given[1].predictions.outputs)
    assert [row.trial for row in rank(given, ACCURACY, "max").rows] == [0, 1]
    assert [row.trial for row in rank(given, LOG_LOSS, "min").rows] == [1, 0], "where it decides, it decides as it is"


def test_of_equal_models_the_smaller_comes_first_and_then_the_earlier_whatever_a_clock_says():
    same = model(0.8)
    entries = [
        entry(0, same, seconds=1.0, size_bytes=9_000),
        entry(1, same, seconds=5.0, size_bytes=400),
        entry(2, same, seconds=2.0, size_bytes=400),
        entry(3, model(0.9), seconds=9.0, size_bytes=10**9),
    ]
    for metric, direction in ((ACCURACY, "max"), (LOG_LOSS, "min")):
        assert [row.trial for row in rank(entries, metric, direction).rows] == [3, 1, 2, 0]
