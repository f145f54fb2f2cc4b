from __future__ import annotations

from dataclasses import replace

import pytest

from seedbed.core.search.history import History
from seedbed.core.space import Space
from seedbed.plugins.strategies.imbalance import weighs_classes
from seedbed.plugins.strategies.recipes_images import image_recipes
from seedbed.plugins.strategies.recipes_series import series_recipes
from seedbed.plugins.strategies.recipes_text import text_recipes
from seedbed.registry.conformance.samples import profile_of

WISH = {"regularizer.class_weights": True}


def profile(metric, counts, **facts):
    found = profile_of(size=96)
    return replace(found, task=replace(found.task, metric=metric), class_counts=counts, **facts)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1_macro", "recall_macro"])
def test_rare_classes_count_for_more_where_the_metric_says_so(metric):
    assert weighs_classes(profile(metric, (400, 100))) == WISH


@pytest.mark.parametrize(
    ("metric", "counts"),
    [("accuracy", (400, 100)), ("f1_weighted", (400, 100)), ("balanced_accuracy", (300, 100)), ("f1_macro", ())],
)
def test_all_examples_count_the_same_where_they_do_for_the_metric_or_classes_are_alike(metric, counts):
    assert weighs_classes(profile(metric, counts)) == {}


@pytest.mark.parametrize("recipes", [image_recipes, series_recipes, text_recipes])
def test_every_net_that_is_trained_gets_the_weights(recipes):
    facts = profile("f1_macro", (40_000, 100), train=40_100)
    trained = [each for each in recipes(Space(()), facts, History()) if each["policy"] != "probe"]
    assert trained
    assert all(each.items() >= WISH.items() for each in trained)
