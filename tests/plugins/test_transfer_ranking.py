from __future__ import annotations

from dataclasses import replace

import pytest

from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import RunStarted, TrialFailed, TrialFinished, TrialStarted
from seedbed.core.search.history import History
from seedbed.core.space import Choice, Condition, Param, Space
from seedbed.core.task import Task
from seedbed.plugins.strategies.recipes_images import image_recipes
from seedbed.plugins.strategies.transfer import by_probe, to_probe, with_weights
from seedbed.registry.conformance.samples import profile_of

PROFILE = profile_of(size=96)


def space(*names):
    """A space in which these nets have pretrained weights."""
    return Space(
        tuple(
            Param("weights", Choice(f"of_{name}"), f"of_{name}", (Condition("architecture", (name,)),))
            for name in names
        )
    )


def history(*probes, budget=None):
    """A run in which nets were probed, given as (name, score); a score of None is a failure."""
    found = History([RunStarted(version="1", source="s", seed=0, budget_seconds=budget)])
    for number, (name, score) in enumerate(probes):
        candidate = Candidate({"architecture": name, "policy": "probe", "weights": f"of_{name}"})
        found.apply(TrialStarted(trial=number, candidate=candidate, fidelity=Fidelity(epochs=1)))
        if score is None:
            found.apply(TrialFailed(trial=number, error="no", traceback="", seconds=1.0))
        else:
            found.apply(TrialFinished(trial=number, score=score, seconds=1.0, epochs=1.0, steps=0))
    return found


def test_nets_with_weights_come_in_the_order_preferred():
    assert with_weights(space("b", "a", "other"), ("a", "b", "absent")) == ["a", "b", "other"]


@pytest.mark.parametrize(("budget", "count"), [(6.0, 1), (14.0, 2), (20.0, 3), (10_000.0, 4), (None, 4)])
def test_as_many_nets_are_looked_at_as_a_share_of_the_budget_pays_for(budget, count):
    assert len(to_probe("abcd", history(("a", 0.5), budget=budget))) == count  # a probe took 1 s


def test_what_a_look_costs_is_not_known_before_the_first():
    assert to_probe("abcd", history(budget=10_000.0)) == ["a"]


def test_what_another_kind_of_probe_cost_says_nothing_of_them():
    seen = history(budget=10_000.0)
    candidate = Candidate({"architecture": "hashed_ngrams", "policy": "probe"})
    seen.apply(TrialStarted(trial=0, candidate=candidate, fidelity=Fidelity(epochs=1)))
    seen.apply(TrialFinished(trial=0, score=0.5, seconds=1.0, epochs=1.0, steps=0))
    assert to_probe("abcd", seen) == ["a"]


def test_no_more_than_four_are_looked_at_at_all():
    assert len(with_weights(space(*"abcdef"), ("a", "b"))) == 4


def test_a_net_that_is_not_among_the_preferred_is_tried_where_there_is_no_other():
    assert with_weights(space("mine", "yours"), ("a",)) == ["mine"]
    assert with_weights(space(), ("a",)) == []


def test_the_best_probe_leads_and_what_has_none_comes_last():
    seen = history(("a", 0.5), ("b", None), ("c", 0.7))
    assert by_probe(["a", "b", "c", "d"], PROFILE, seen) == ["c", "a", "b", "d"]


def test_where_less_is_better_the_least_leads():
    task = Task(modality="image", kind="regression", metric="rmse", direction="min")
    assert by_probe(["a", "c"], replace(PROFILE, task=task), history(("a", 0.5), ("c", 0.7))) == ["a", "c"]


def test_only_the_net_whose_probe_did_best_is_trained_further():
    names = ("tf_efficientnet_lite0", "convnext_atto")
    seen = history((names[0], 0.6), (names[1], 0.8))
    wishes = list(image_recipes(space(*names), PROFILE, seen))
    tuned = [each["architecture"] for each in wishes if each["policy"] == "head_then_all"]
    assert tuned == [names[1]]
    assert [each["architecture"] for each in wishes if each["policy"] == "probe"] == list(names)
