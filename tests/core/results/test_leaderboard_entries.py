from __future__ import annotations

import json

import pytest
from core.results.ranked import ACCURACY, entry, model

from seedbed.core.errors import DataError
from seedbed.core.results.entries import entries_from
from seedbed.core.results.leaderboard import Leaderboard
from seedbed.core.results.ordering import rank
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import (
    EpochFinished,
    TrialFailed,
    TrialFinished,
    TrialRefused,
    TrialStarted,
    TrialStopped,
)
from seedbed.core.search.history import History

DESIGNED_KEYS = ["rank", "trial", "status", "score", "low", "high", "tie_group", "seconds", "candidate"]
NEW_KEYS = {"corrected", "latency_p50", "latency_p95", "memory_bytes", "size_bytes", "on_front"}


def test_json_has_the_promised_keys_and_comes_back():
    entries = [entry(0, model(2 / 3, 99)), entry(1, status="failed", reason="diverged", seconds=1 / 3)]
    board = rank(entries, ACCURACY, "max", name="accuracy")
    found = json.loads(json.dumps(board.to_json()))
    assert all({*DESIGNED_KEYS, *NEW_KEYS} <= row.keys() for row in found)
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
    assert loaded == []
    for each in found:
        if each.predictions is not None:
            each.read()
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


def test_entries_tell_what_a_model_costs():
    candidate = Candidate({"architecture": "resnet", "policy": "scratch"})
    costs = {"latency_p50": 0.002, "latency_p95": 0.003, "memory_bytes": 5_000, "size_bytes": 700}
    history = History(
        [
            TrialStarted(trial=0, candidate=candidate, fidelity=Fidelity(epochs=1)),
            TrialFinished(trial=0, score=0.9, seconds=3.0, epochs=1, steps=5, **costs),
            TrialStarted(trial=1, candidate=candidate, fidelity=Fidelity(epochs=1)),
            TrialFinished(trial=1, score=0.9, seconds=3.0, epochs=1, steps=5),
        ]
    )
    entries = entries_from(history, lambda trial: model(0.9))
    assert {key: getattr(entries[0], key) for key in costs} == costs
    rows = rank(entries, ACCURACY, "max").rows
    found = {row.trial: (row.latency_p50, row.latency_p95, row.memory_bytes, row.size_bytes) for row in rows}
    assert found == {0: (0.002, 0.003, 5_000, 700), 1: (None, None, None, None)}


def test_a_refused_trial_stays_on_the_board_with_the_reason():
    candidate = Candidate({"architecture": "resnet", "policy": "scratch"})
    history = History(
        [
            TrialStarted(trial=0, candidate=candidate, fidelity=Fidelity(epochs=1)),
            TrialRefused(trial=0, reason="Too large: memory ran out."),
        ]
    )
    (row,) = rank(entries_from(history, lambda trial: model(0.9)), ACCURACY, "max").rows
    assert (row.rank, row.status, row.reason, row.corrected) == (None, "refused", "Too large: memory ran out.", None)
    assert not row.on_front


def test_rows_of_an_earlier_version_can_be_read():
    (row,) = rank([entry(0, model(0.9))], ACCURACY, "max").to_json()
    old = {key: value for key, value in row.items() if key not in NEW_KEYS}
    found = Leaderboard.from_json([old], metric="accuracy", direction="max").rows[0]
    assert (found.trial, found.corrected, found.latency_p50, found.on_front) == (0, None, None, False)
