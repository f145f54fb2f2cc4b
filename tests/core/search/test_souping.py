"""Which trials go into a soup, and when a study makes one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core.search.fake_study import PROFILE

from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import DataDescribed, TrialFinished, TrialStarted
from seedbed.core.search.history import History
from seedbed.core.search.souping import ingredients

BIG = replace(PROFILE, valid=1_000)
TUNED = {"architecture": "net", "policy": "head_then_all", "weights": "w", "resolution": 64}


def history(*trials, profile=BIG):
    found = History([DataDescribed(profile=profile)])
    for number, (score, changes) in enumerate(trials):
        values = {**TUNED, "optimizer.adamw.lr": number / 10, **changes.get("values", {})}
        started = TrialStarted(
            trial=number,
            candidate=Candidate(values),
            fidelity=changes.get("fidelity", Fidelity(epochs=1)),
            ingredients=changes.get("ingredients", ()),
        )
        found.apply(started)
        knows = changes.get("knows_valid", False)
        found.apply(TrialFinished(trial=number, score=score, seconds=1, epochs=1, steps=1, knows_valid=knows))
    return found


def test_those_near_the_best_go_in_the_best_first():
    assert ingredients(history((0.90, {}), (0.91, {}), (0.70, {}), (0.905, {})), BIG) == (1, 3, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"values": {"policy": "scratch"}},
        {"values": {"policy": "probe"}},
        {"values": {"weights": "others"}},
        {"values": {"resolution": 96}},
        {"values": {"architecture": "other"}},
        {"knows_valid": True},
        {"fidelity": Fidelity(epochs=1, subset=0.5)},
        {"ingredients": (7, 8)},
    ],
)
def test_what_does_not_fit_to_the_best_stays_out(changes):
    assert ingredients(history((0.91, {}), (0.90, changes)), BIG) == ()
    assert ingredients(history((0.91, {}), (0.90, changes), (0.905, {})), BIG) == (0, 2)


def test_one_alone_is_no_soup_and_none_is_made_twice():
    assert ingredients(history((0.9, {})), BIG) == ()
    made = history((0.9, {}), (0.91, {}), (0.92, {"ingredients": (1, 0)}))
    assert ingredients(made, BIG) == ()


def test_after_folds_there_is_none():
    profile = replace(BIG, folds=5)
    assert ingredients(history((0.9, {}), (0.91, {}), profile=profile), profile) == ()
