import json
import random

import pytest
from core.search.spaces import composed
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.errors import DataError, UsageError
from seedbed.core.search.flat import MOST_OPTIONS, flatten, from_rows, point, to_rows
from seedbed.core.space import Choice, Condition, Float, Int, Param, Space

SPACE = Space(
    (
        Param("optimizer", Choice("sgd", "adamw"), "adamw"),
        Param("optimizer.sgd.lr", Float(1e-3, 1.0, log=True), 0.1, (Condition("optimizer", ("sgd",)),)),
        Param("optimizer.adamw.lr", Float(1e-5, 1e-2, log=True), 1e-3, (Condition("optimizer", ("adamw",)),)),
        Param("depth", Int(1, 9), 3),
        Param("width", Int(8, 64, step=8), 16),
        Param("flip", Choice(False, True), True),
        Param("policy", Choice("scratch"), "scratch"),
    )
)


def texts(values):
    """What a tuning job would send for a point: decimals for numbers, the options' own texts."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def test_every_open_parameter_has_a_range_and_what_is_settled_has_none():
    found = {each.name: each for each in flatten(SPACE)}
    assert list(found) == ["optimizer", "optimizer.sgd.lr", "optimizer.adamw.lr", "depth", "width", "flip"]
    assert (found["depth"].kind, found["depth"].low, found["depth"].high) == ("whole", 1, 9)
    assert (found["optimizer.sgd.lr"].kind, found["optimizer.sgd.lr"].log) == ("real", True)
    assert found["width"].options == ("8", "16", "24", "32", "40", "48", "56", "64")
    assert found["flip"].options == ("false", "true")


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_a_point_comes_back_from_its_texts(seed):
    values = SPACE.sample(random.Random(seed))
    assert point(SPACE, texts(values)) == values


def test_what_is_drawn_for_an_inactive_parameter_is_dropped():
    drawn = {"optimizer": "sgd", "optimizer.adamw.lr": "0.001", "optimizer.sgd.lr": "0.5"}
    values = point(SPACE, drawn)
    SPACE.validate(values)
    assert values["optimizer.sgd.lr"] == 0.5
    assert "optimizer.adamw.lr" not in values


def test_a_decimal_that_was_rounded_beyond_the_end_is_the_end():
    assert point(SPACE, {"optimizer.adamw.lr": "0.010000000000000002"})["optimizer.adamw.lr"] == 0.01
    assert point(SPACE, {"depth": "3.0"})["depth"] == 3


@pytest.mark.parametrize(("name", "text"), [("depth", "12"), ("optimizer", "adam"), ("flip", "True"), ("depth", "x")])
def test_a_text_that_stands_for_nothing_is_refused(name, text):
    with pytest.raises(DataError, match=name):
        point(SPACE, {name: text})


def test_options_that_would_read_alike_are_told_apart():
    space = Space((Param("size", Choice(1, "1"), 1),))
    assert [point(space, {"size": each})["size"] for each in flatten(space)[0].options] == [1, "1"]


def test_a_range_that_depends_on_another_parameter_is_refused_until_that_is_settled():
    def space(*policies):
        return Space(
            (
                Param("policy", Choice(*policies), policies[0]),
                Param("lr", Float(0.1, 1.0), 0.5, (Condition("policy", ("scratch",)),)),
                Param("lr", Float(0.001, 0.01), 0.005, (Condition("policy", ("full",)),)),
            )
        )

    with pytest.raises(UsageError, match="--set policy="):
        flatten(space("scratch", "full"))
    assert [(each.low, each.high) for each in flatten(space("full"))] == [(0.001, 0.01)]


def test_what_is_not_to_be_tuned_stays_at_its_default_and_so_does_what_it_would_switch_on():
    assert [each.name for each in flatten(SPACE, ("*.lr", "depth"))] == ["optimizer.adamw.lr", "depth"]


def test_too_many_options_are_refused_with_the_way_out():
    with pytest.raises(UsageError, match=f"takes {MOST_OPTIONS}; settle it"):
        flatten(Space((Param("size", Int(0, 100, step=2), 0),)))


def test_a_space_comes_back_from_json():
    assert from_rows(json.loads(json.dumps(to_rows(SPACE)))) == SPACE
    with pytest.raises(DataError, match="no search space"):
        from_rows([{"name": "x", "domain": ["what"], "default": 1, "when": []}])


def test_a_space_of_the_built_in_components_lies_flat_once_the_net_is_settled():
    space = composed(fixed={"architecture": "small_resnet", "policy": "scratch", "optimizer": "sgd"}).space
    ranges = flatten(space, ("batch_size", "optimizer.*", "architecture.*"))
    assert {"batch_size", "optimizer.sgd.lr"} <= {each.name for each in ranges}
    assert not [each.name for each in ranges if each.name.startswith("augmenter")]
    drawn = texts(space.sample(random.Random(1)))
    space.validate(point(from_rows(to_rows(space)), drawn))
    with pytest.raises(UsageError, match="settle"):
        flatten(composed().space)
