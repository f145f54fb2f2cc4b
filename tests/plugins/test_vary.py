from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.space import Choice, Condition, Float, Int, Param, Space
from seedbed.plugins.strategies.vary import vary

ADAM, SGD = (Condition("optimizer", (name,)) for name in ("adam", "sgd"))
SPACE = Space(
    (
        Param("architecture", Choice("a", "b", "c"), "a"),
        Param("optimizer", Choice("adam", "sgd"), "adam"),
        Param("lr", Float(1e-4, 1.0, log=True), 1e-2),
        Param("momentum", Float(0.0, 1.0), 0.9, (SGD,)),
        Param("beta", Float(0.0, 1.0), 0.5, (ADAM,)),
        Param("depth", Int(2, 10, step=2), 4),
        Param("width", Int(1, 1000, log=True), 10),
        Param("flip", Choice(False, True), False),
        Param("pinned", Choice(7), 7),
        Param("one", Float(0.3, 0.3), 0.3),
    )
)
SEEDS = st.integers(0, 2**32)


@given(SEEDS, st.floats(0, 1))
def test_a_neighbour_is_a_point_of_the_space(seed, change):
    rng = random.Random(seed)
    values = SPACE.sample(rng)
    for _ in range(3):
        values = vary(SPACE, values, rng, change=change)
        SPACE.validate(values)


@given(SEEDS)
def test_the_same_random_state_gives_the_same_neighbour(seed):
    values = SPACE.sample(random.Random(seed))
    assert vary(SPACE, values, random.Random(1), change=0.5) == vary(SPACE, values, random.Random(1), change=0.5)


@given(SEEDS)
def test_the_point_itself_is_left_as_it_is(seed):
    values = SPACE.sample(random.Random(seed))
    before = dict(values)
    vary(SPACE, values, random.Random(seed), change=1.0)
    assert values == before


@given(SEEDS)
def test_without_change_only_numbers_move(seed):
    rng = random.Random(seed)
    values = SPACE.sample(rng)
    found = vary(SPACE, values, rng, change=0.0)
    assert found.keys() == values.keys()
    assert all(found[name] == values[name] for name in ("architecture", "optimizer", "flip", "pinned", "one"))
    assert found["lr"] != values["lr"]


@given(SEEDS)
def test_the_architecture_stays(seed):
    rng = random.Random(seed)
    values = SPACE.sample(rng)
    assert vary(SPACE, values, rng, change=1.0)["architecture"] == values["architecture"]


def test_a_new_choice_brings_its_own_parameters_and_takes_the_old_ones_away():
    rng = random.Random(0)
    values = SPACE.complete({"optimizer": "adam"})
    found = [vary(SPACE, values, rng, change=1.0) for _ in range(50)]
    switched = [each for each in found if each["optimizer"] == "sgd"]
    assert 10 < len(switched) < 40
    assert all("momentum" in each and "beta" not in each for each in switched)


def test_moves_are_small_on_the_scale_of_the_domain():
    rng = random.Random(0)
    values = SPACE.complete({"lr": 1e-2})
    rates = sorted(vary(SPACE, values, rng, change=0.0)["lr"] for _ in range(400))
    # A fifth of four decades: two thirds of the moves stay within a factor of 10^0.8.
    assert rates[65] > 1e-2 / 10**0.8
    assert rates[335] < 1e-2 * 10**0.8
    assert rates[0] < 5e-3 < 2e-2 < rates[-1]
