from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.data.profile import Profile
from seedbed.core.errors import DataError
from seedbed.core.results.leaderboard import NO_TRIAL, Entry, Leaderboard, baseline_entry, entries_from, rank
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import EpochFinished, TrialFailed, TrialFinished, TrialStarted, TrialStopped
from seedbed.core.search.history import History
from seedbed.core.specs import NoOptions
from seedbed.core.task import Task
from seedbed.core.training.predictions import Predictions
from seedbed.plugins.metrics import AverageOptions
from seedbed.plugins.metrics.scores import accuracy, balanced_accuracy, f1, log_loss

ACCURACY = accuracy(NoOptions())
LOG_LOSS = log_loss(NoOptions())
DESIGNED_KEYS = ["rank", "trial", "status", "score", "low", "high", "tie_group", "seconds", "candidate"]


def model(skill, examples=200, classes=3, seed=0):
    """Predictions that are right with probability `skill`; equal arguments give equal targets."""
    targets = np.arange(examples) % classes
    rng = np.random.default_rng(seed)
    answers = np.where(rng.random(examples) < skill, targets, (targets + 1) % classes)
    probabilities = rng.dirichlet(np.ones(classes), examples) * 0.3
    probabilities[np.arange(examples), answers] += 0.7
    return Predictions(np.arange(examples), targets, probabilities.astype(np.float32))


def entry(trial, predictions=None, **changes):
    given = Entry(
        trial=trial,
        status="finished",
        role="candidate",
        label=f"model {trial}",
        seconds=1.0,
        predictions=predictions,
    )
    return replace(given, **changes)


@st.composite
def studies(draw):
    """Between one and six models on the same few rows."""
    examples = draw(st.integers(5, 60))
    skills = draw(st.lists(st.floats(0, 1), min_size=1, max_size=6))
    seconds = draw(st.lists(st.sampled_from([1.0, 2.0]), min_size=len(skills), max_size=len(skills)))
    return [
        entry(number, model(skill, examples, seed=number), seconds=second)
        for number, (skill, second) in enumerate(zip(skills, seconds, strict=True))
    ]


METRICS = st.sampled_from(
    [
        (ACCURACY, "max"),
        (LOG_LOSS, "min"),
        (f1(AverageOptions()), "max"),
        (balanced_accuracy(NoOptions()), "max"),
    ]
)


def majority_entry(predictions, counts):
    task = Task(modality="image", kind="classification", metric="accuracy", classes=tuple("abc")[: len(counts)])
    profile = Profile(task=task, examples=300, train=200, valid=100, test=0, class_counts=tuple(counts))
    return baseline_entry(predictions, profile)


@settings(deadline=None, max_examples=40)
@given(studies(), METRICS)
def test_rows_follow_their_scores_and_lie_in_their_intervals(entries, metric):
    score, direction = metric
    board = rank(entries, score, direction, draws=50)
    assert [row.rank for row in board.rows] == list(range(1, len(entries) + 1))
    losses = {each.trial: round(LOG_LOSS(each.predictions.targets, each.predictions.outputs), 6) for each in entries}
    sign = -1 if direction == "max" else 1
    keys = [(sign * row.score, losses[row.trial], row.seconds, row.trial) for row in board.rows]
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
    board = rank([entry(0, same, seconds=3.0), entry(1, same, seconds=2.0)], LOG_LOSS, "min")
    assert [(row.trial, row.tie_group) for row in board.rows] == [(1, 1), (0, 1)]
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


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(any))
def test_the_majority_class_scores_its_frequency(counts):
    predictions = model(0.5, 31)
    baseline = majority_entry(predictions, counts)
    (row,) = rank([baseline], ACCURACY, "max").rows
    assert row.score == pytest.approx(np.mean(predictions.targets == np.argmax(counts)))
    assert (row.trial, row.candidate, row.role) == (NO_TRIAL, "majority class", "baseline")


@pytest.mark.parametrize("counts", [(1, 2), (0, 0, 0)])
def test_counts_of_other_classes_are_refused(counts):
    with pytest.raises(DataError, match="does not count the examples of 3 classes"):
        majority_entry(model(0.5), counts)


def test_best_is_a_row_with_a_checkpoint():
    weak = model(0.0)
    board = rank([majority_entry(weak, (1, 1, 1)), entry(7, weak)], ACCURACY, "max")
    assert [row.trial for row in board.rows] == [NO_TRIAL, 7]
    assert board.best.trial == 7
    assert not board.beats_baseline


def test_best_may_be_a_baseline_and_then_nothing_beats_it():
    board = rank([entry(0, model(0.9), role="baseline"), entry(1, model(0.6))], ACCURACY, "max")
    assert (board.best.trial, board.best.role) == (0, "baseline")
    assert not board.beats_baseline


def test_an_equal_score_does_not_beat_the_baseline():
    same = model(0.8)
    entries = [entry(0, same), entry(1, same, role="baseline", seconds=9.0)]
    assert rank(entries, ACCURACY, "max").rows[0].role == "candidate"
    assert not rank(entries, ACCURACY, "max").beats_baseline


def test_of_equal_models_the_smaller_comes_first():
    same = model(0.8)
    entries = [
        entry(0, same, seconds=1.0, size_bytes=9_000),
        entry(1, same, seconds=5.0, size_bytes=400),
        entry(2, same, seconds=2.0, size_bytes=400),
        entry(3, model(0.9), seconds=9.0, size_bytes=10**9),
    ]
    for metric, direction in ((ACCURACY, "max"), (LOG_LOSS, "min")):
        assert [row.trial for row in rank(entries, metric, direction).rows] == [3, 2, 1, 0]


def test_a_tie_at_the_best_possible_score_leaves_nothing_to_gain():
    right, wrong = model(1.0), model(0.8)
    perfect = Predictions(right.rows, right.targets, np.eye(3, dtype=np.float32)[right.targets])
    for metric, direction in ((ACCURACY, "max"), (LOG_LOSS, "min"), (f1(AverageOptions()), "max")):
        tied = [entry(0, perfect), entry(1, perfect, role="baseline")]
        assert rank(tied, metric, direction).is_saturated
        assert not rank([entry(0, wrong), entry(1, wrong, role="baseline")], metric, direction).is_saturated
        assert not rank([entry(0, perfect), entry(1, wrong, role="baseline")], metric, direction).is_saturated
        assert not rank([entry(0, perfect)], metric, direction).is_saturated


@pytest.mark.parametrize(("metric", "direction"), [(ACCURACY, "max"), (LOG_LOSS, "min")])
def test_a_better_candidate_beats_the_baseline_in_either_direction(metric, direction):
    good = model(0.95)
    assert rank([entry(0, good), majority_entry(good, (1, 1, 1))], metric, direction).beats_baseline


def test_a_board_without_a_candidate_beats_nothing():
    assert not rank([majority_entry(model(0.5), (1, 1, 1))], ACCURACY, "max").beats_baseline
    assert rank([entry(0, status="failed")], ACCURACY, "max").best is None
    assert rank([], ACCURACY, "max") == Leaderboard(rows=(), metric="", direction="max", examples=0)


def test_json_has_the_promised_keys_and_comes_back():
    entries = [entry(0, model(2 / 3, 99)), entry(1, status="failed", reason="diverged", seconds=1 / 3)]
    board = rank(entries, ACCURACY, "max", name="accuracy")
    found = json.loads(json.dumps(board.to_json()))
    assert all(set(DESIGNED_KEYS) <= row.keys() for row in found)
    assert found[1]["seconds"] == 0.333333
    back = Leaderboard.from_json(found, metric="accuracy", direction="max", examples=99)
    assert back.to_json() == found
    assert back.best.trial == 0


def test_rows_of_another_form_are_refused():
    with pytest.raises(DataError, match="This is no leaderboard"):
        Leaderboard.from_json([{"rank": 1}], metric="accuracy", direction="max")


def history_of_four():
    def started(trial):
        candidate = Candidate({"architecture": "resnet", "policy": "scratch"})
        return TrialStarted(trial=trial, candidate=candidate, fidelity=Fidelity(epochs=1))

    def looked(trial, score):
        return EpochFinished(
            trial=trial,
            epoch=1,
            progress=1,
            train_loss=0.5,
            valid_loss=0.5,
            score=score,
            seconds=2.0,
            is_best=True,
        )

    return History(
        [
            *map(started, range(4)),
            looked(0, 0.9),
            TrialFinished(trial=0, score=0.9, seconds=3.0, epochs=1, steps=5),
            looked(1, 0.5),
            TrialStopped(trial=1, reason="not worth its time", at=4.0),
            TrialFailed(trial=2, error="diverged", at=4.0),
            looked(3, 0.4),
        ]
    )


def test_entries_tell_the_history_and_load_what_can_be_ranked():
    loaded = []

    def load(trial):
        loaded.append(trial)
        return model(0.9)

    found = entries_from(history_of_four(), load, size=lambda trial: 100 + trial)
    assert loaded == [0, 1]  # what runs may be half written, what failed is not to be trusted
    assert [(each.status, each.score, each.reason) for each in found] == [
        ("finished", 0.9, ""),
        ("stopped", 0.5, "not worth its time"),
        ("failed", None, "diverged"),
        ("running", 0.4, ""),
    ]
    assert found[0].label == "resnet · scratch"
    assert [each.seconds for each in found] == [3.0, 4.0, 4.0, 2.0]
    assert [each.size_bytes for each in found] == [100, 101, 0, 0]


def test_unreadable_predictions_cost_one_trial_its_rank():
    def load(trial):
        if trial == 0:
            raise DataError("predictions.npz is torn")
        return model(0.6)

    rows = rank(entries_from(history_of_four(), load), ACCURACY, "max").rows
    assert [(row.trial, row.rank) for row in rows] == [(1, 1), (0, None), (2, None), (3, None)]
    assert rows[1].reason == "predictions.npz is torn"
