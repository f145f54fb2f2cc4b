from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.errors import BadSpec, UnknownName, UsageError
from seedbed.core.space import (
    Choice,
    Condition,
    Float,
    Int,
    Param,
    Space,
    domains,
    options_from,
    pick_any,
    pick_one,
)

numbers = st.floats(-1e6, 1e6)
seeds = st.integers(0, 2**32)


@st.composite
def floats(draw):
    low, high = sorted((draw(numbers), draw(numbers)))
    return Float(abs(low) + 1e-9, abs(low) + abs(high) + 1e-9, log=True) if draw(st.booleans()) else Float(low, high)


@st.composite
def ints(draw):
    low, width = draw(st.integers(-1000, 1000)), draw(st.integers(0, 1000))
    if draw(st.booleans()):
        return Int(abs(low) + 1, abs(low) + 1 + width, log=True)
    return Int(low, low + width, step=draw(st.integers(1, 7)))


choices = st.lists(st.one_of(st.booleans(), st.integers(-3, 3), st.text(max_size=3)), min_size=1, max_size=4).map(
    lambda options: Choice(*options)
)
any_domain = st.one_of(floats(), ints(), choices)


@st.composite
def spaces(draw):
    """A tree of up to eight parameters, some of them under a choice made above."""
    rng = random.Random(draw(seeds))
    params: list[Param] = []
    for number in range(draw(st.integers(1, 8))):
        domain = draw(any_domain)
        parents = [param for param in params if isinstance(param.domain, Choice)]
        when: tuple[Condition, ...] = ()
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            when = (*parent.when, Condition(parent.name, (parent.domain.sample(rng),)))
        params.append(Param(f"p{number}", domain, domain.sample(rng), when))
    return Space(tuple(params))


@given(any_domain, seeds)
def test_a_drawn_value_lies_in_its_domain(domain, seed):
    assert domain.sample(random.Random(seed)) in domain


@given(any_domain, seeds)
def test_equal_seeds_draw_equal_values(domain, seed):
    assert domain.sample(random.Random(seed)) == domain.sample(random.Random(seed))


@given(spaces(), seeds)
def test_samples_are_valid(space, seed):
    space.validate(space.sample(random.Random(seed)))


@given(spaces())
def test_the_default_point_is_valid(space):
    space.validate(space.default())
    assert space.complete({}) == space.default()


@given(spaces(), seeds)
def test_points_survive_json(space, seed):
    point = space.sample(random.Random(seed))
    read = json.loads(json.dumps(point))
    space.validate(read)
    assert read == point


@given(spaces(), seeds, st.data())
def test_completing_a_part_of_a_point_gives_a_valid_point(space, seed, data):
    point = space.sample(random.Random(seed))
    # A parent decides what its children are, so a part that keeps a child keeps its parents too.
    kept = set(data.draw(st.sets(st.sampled_from(sorted(point)))))
    for param in reversed(list(space.active(point))):
        if param.name in kept:
            kept |= {condition.parent for condition in param.when}
    part = {name: point[name] for name in kept}
    full = space.complete(part)
    space.validate(full)
    assert part.items() <= full.items()


@given(spaces(), seeds)
def test_fixed_values_stay_while_the_rest_is_drawn(space, seed):
    fixed = {space.params[0].name: space.params[0].default}
    point = space.sample(random.Random(seed), fixed)
    space.validate(point)
    assert fixed.items() <= point.items()


@given(spaces(), st.text(min_size=1))
def test_unknown_names_are_refused(space, name):
    known = {param.name for param in space.params}
    if name not in known:
        with pytest.raises(UnknownName):
            space.complete({name: 1})


@dataclass(frozen=True)
class Descent:
    lr: Annotated[float, Float(1e-3, 1.0, log=True)] = 0.1
    nesterov: Annotated[bool, Choice(False, True)] = True
    note: str = "no domain: a constant"


@dataclass(frozen=True)
class Empty:
    pass


SPACE = Space(
    (
        *pick_one("optimizer", [("sgd", Descent), ("adamw", Empty)], "sgd"),
        *pick_any("augmenter", [("flip", Empty), ("shift", Descent)], on=["flip"]),
    )
)


def test_a_component_brings_its_own_parameters():
    assert SPACE.default() == {
        "optimizer": "sgd",
        "optimizer.sgd.lr": 0.1,
        "optimizer.sgd.nesterov": True,
        "augmenter.flip": True,
        "augmenter.shift": False,
    }


def test_other_choices_switch_parameters_on_and_off():
    point = SPACE.complete({"optimizer": "adamw", "augmenter.shift": True})
    assert "optimizer.sgd.lr" not in point
    assert point["augmenter.shift.lr"] == 0.1


def test_a_misspelt_parameter_gets_a_suggestion():
    with pytest.raises(UnknownName, match=r"Did you mean 'optimizer.sgd.lr'\?"):
        SPACE.complete({"optimizer.sgd.rl": 0.1})


def test_a_parameter_that_is_switched_off_says_when_it_is_on():
    with pytest.raises(UsageError, match=r"it is when optimizer in \['sgd'\]"):
        SPACE.complete({"optimizer": "adamw", "optimizer.sgd.lr": 0.1})


@pytest.mark.parametrize("value", [2.0, True, "0.1", None, float("nan")])
def test_a_value_outside_its_domain_is_refused(value):
    with pytest.raises(UsageError, match="pick a value inside it"):
        SPACE.complete({"optimizer.sgd.lr": value})


def test_a_missing_value_is_refused():
    with pytest.raises(UsageError, match=r"optimizer\.sgd\.lr has no value"):
        SPACE.validate(
            {"optimizer": "sgd", "optimizer.sgd.nesterov": True, "augmenter.flip": True, "augmenter.shift": False}
        )


def test_two_parameters_may_share_a_name_if_never_active_together():
    space = Space(
        (
            Param("architecture", Choice("small", "large"), "small"),
            Param("size", Choice(8), 8, (Condition("architecture", ("small",)),)),
            Param("size", Choice(64, 128), 64, (Condition("architecture", ("large",)),)),
        )
    )
    assert space.default() == {"architecture": "small", "size": 8}
    assert space.complete({"architecture": "large"}) == {"architecture": "large", "size": 64}
    with pytest.raises(UsageError, match="size=64 is outside"):
        space.complete({"size": 64})


def test_true_is_no_number_and_one_is_no_truth():
    assert True not in Int(0, 1)
    assert 1 not in Choice(False, True)
    assert True not in Choice(0, 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Float(2.0, 1.0),
        lambda: Float(0.0, 1.0, log=True),
        lambda: Float(float("nan"), 1.0),
        lambda: Int(2, 1),
        lambda: Int(1, 9, step=0),
        lambda: Int(1, 9, step=2, log=True),
        lambda: Int(0, 9, log=True),
        lambda: Choice(),
        lambda: Param("x", Int(0, 1), 5),
    ],
)
def test_a_domain_that_makes_no_sense_is_refused(make):
    with pytest.raises(BadSpec):
        make()


def test_options_are_read_with_their_domains_and_defaults():
    assert domains(Descent) == {"lr": (Float(1e-3, 1.0, log=True), 0.1), "nesterov": (Choice(False, True), True)}


def test_options_without_a_default_are_refused():
    @dataclass(frozen=True)
    class Bare:
        lr: Annotated[float, Float(0.0, 1.0)]

    with pytest.raises(BadSpec, match=r"Bare\.lr needs a default"):
        domains(Bare)


def test_options_with_a_default_outside_are_refused():
    @dataclass(frozen=True)
    class Outside:
        lr: Annotated[float, Float(0.0, 1.0)] = 2.0

    with pytest.raises(BadSpec, match=r"Outside\.lr: the default 2\.0 is outside"):
        domains(Outside)


def test_builders_receive_typed_options():
    point = SPACE.complete({"optimizer.sgd.lr": 0.5})
    assert options_from(Descent, "optimizer.sgd", point) == Descent(lr=0.5)
