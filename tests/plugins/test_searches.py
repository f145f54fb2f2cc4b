"""What the strategies propose: points of the space, none twice, better ones than chance where they learn."""

from __future__ import annotations

import random
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plugins.simulated_search import BIG, SPACE, begin, search

from seedbed.core.errors import UsageError
from seedbed.core.search.candidate import Candidate, Fidelity, Proposal
from seedbed.core.search.events import DataDescribed, TrialFailed, TrialFinished, TrialRefused
from seedbed.core.search.history import History, Remaining
from seedbed.core.space import Choice, Condition, Float, Int, Param, Space
from seedbed.core.specs import NoOptions
from seedbed.plugins.strategies import AutoOptions, BayesianOptions, GridOptions, TpeOptions
from seedbed.plugins.strategies.auto import Auto
from seedbed.plugins.strategies.bayesian import Bayesian, observed
from seedbed.plugins.strategies.encoding import INACTIVE, Encoding, _columns
from seedbed.plugins.strategies.grid import Grid, Lattice, levels
from seedbed.plugins.strategies.random_search import RandomSearch
from seedbed.plugins.strategies.tpe import Tpe


def bayesian(**options):
    return Bayesian(BayesianOptions(**options), SPACE, BIG)


MAKERS = {
    "grid": lambda: Grid(GridOptions(), SPACE, BIG),
    "bayesian": bayesian,
    "forest": lambda: bayesian(surrogate="forest"),
    "tpe": lambda: Tpe(TpeOptions(), SPACE, BIG),
    "random": lambda: RandomSearch(NoOptions(), SPACE, BIG),
}


@pytest.mark.parametrize("name", MAKERS)
def test_no_point_comes_twice_and_all_are_of_the_space(name):
    history, _ = search(MAKERS[name](), trials=18)
    points = [trial.candidate.values for trial in history]
    assert len(points) == 18
    assert len({tuple(sorted(each.items())) for each in points}) == 18
    for values in points:
        SPACE.validate(values)


@pytest.mark.parametrize(("name", "seeds"), [("bayesian", 5), ("tpe", 11)])
def test_what_learns_is_ahead_of_chance_after_thirty_trials(name, seeds):
    def reached(make):
        return [search(make(), trials=30, seed=seed)[1][-1][1] for seed in range(seeds)]

    assert median(reached(MAKERS[name])) > median(reached(MAKERS["random"]))


@pytest.mark.parametrize("name", ["bayesian", "tpe"])
def test_a_trial_under_way_is_not_proposed_again_and_turns_nothing_over(name):
    history, _ = search(MAKERS[name](), trials=10)
    seen = []
    for number in range(4):
        history.remaining = Remaining(trials=10)
        proposal = MAKERS[name]().propose(history, random.Random(number))
        SPACE.validate(proposal.candidate.values)
        seen.append(proposal.candidate.values)
        begin(history, proposal)
    assert all(one != other for place, one in enumerate(seen) for other in seen[:place])


@pytest.mark.parametrize("name", ["bayesian", "tpe"])
def test_trials_that_failed_are_told_too(name):
    history = History([DataDescribed(profile=BIG)])
    rng = random.Random(0)
    for number in range(12):
        fails = number % 2 == 1
        values = SPACE.sample(rng, {"architecture": "a" if fails else "b"}) if number else SPACE.default()
        begin(history, Proposal(candidate=Candidate(values), fidelity=Fidelity(epochs=1)))
        if fails:
            history.apply(TrialFailed(trial=number, error="boom"))
        else:
            history.apply(TrialFinished(trial=number, score=0.6 + 0.02 * number, seconds=1, epochs=1, steps=1))
    history.remaining = Remaining(trials=10)
    proposals = [MAKERS[name]().propose(history, random.Random(seed)) for seed in range(9)]
    failing = sum(each.candidate.values["architecture"] == "a" for each in proposals)
    assert failing <= 3  # of nine


def test_with_a_time_limit_what_is_cheap_comes_first_among_equals():
    """Both architectures score the same; one takes a hundred times as long."""
    history = History([DataDescribed(profile=BIG)])
    rng = random.Random(1)
    for number in range(16):
        name = "a" if number % 2 else "b"
        # The defaults, which come before all that is asked of a model, are tried.
        values = SPACE.default() if number == 1 else SPACE.sample(rng, {"architecture": name})
        begin(history, Proposal(candidate=Candidate(values), fidelity=Fidelity(epochs=1)))
        seconds = 1.0 if name == "a" else 100.0
        score = 0.8 + 0.01 * rng.random()
        history.apply(TrialFinished(trial=number, score=score, seconds=seconds, epochs=20, steps=1, at=float(number)))

    def chosen(remaining):
        history.remaining = remaining
        return [bayesian().propose(history, random.Random(seed)).candidate.values["architecture"] for seed in range(12)]

    timed = chosen(Remaining(seconds=10_000.0))
    plan = chosen(Remaining(trials=10))
    assert timed.count("b") < plan.count("b")


def test_a_long_history_is_learnt_from_in_part():
    history, _ = search(RandomSearch(NoOptions(), SPACE, BIG), trials=260)
    known = observed(history, BIG)
    assert len(known) <= 200
    assert known[-1].number == 259
    assert max(trial.score for trial in known) == history.tally.best


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_numbers_lie_in_their_places_and_inactive_branches_all_look_the_same(seed):
    encoding = Encoding(SPACE)
    values = SPACE.sample(random.Random(seed))
    (row,) = encoding.encode([values])
    assert row.shape == (encoding.width,)
    assert ((row >= 0) & (row <= 1) | (row == INACTIVE)).all()
    active = [param for param in SPACE.active(dict(values)) if _columns(param.domain)]
    assert (row != INACTIVE).sum() == sum(_columns(param.domain) for param in active)


def test_an_encoding_tells_all_points_apart():
    rng = random.Random(0)
    points = [SPACE.sample(rng) for _ in range(200)]
    rows = Encoding(SPACE).encode(points)
    assert len(np.unique(rows, axis=0)) == 200


def test_what_can_have_one_value_alone_takes_no_column():
    space = Space((Param("x", Choice("only"), "only"), Param("y", Float(2.0, 2.0), 2.0), Param("z", Int(1, 3), 1)))
    assert Encoding(space).width == 1


def test_two_parameters_of_one_name_have_columns_of_their_own():
    space = Space(
        (
            Param("kind", Choice("p", "q"), "p"),
            Param("size", Choice(1, 2), 1, (Condition("kind", ("p",)),)),
            Param("size", Choice(2, 4), 2, (Condition("kind", ("q",)),)),
        )
    )
    rows = Encoding(space).encode([{"kind": "p", "size": 2}, {"kind": "q", "size": 2}])
    assert rows.shape == (2, 6)
    assert (rows[0] != rows[1]).sum() == 6


def test_a_grid_holds_every_combination_once():
    space = Space(
        (
            Param("kind", Choice("p", "q"), "p"),
            Param("p.rate", Float(0.01, 1.0, log=True), 0.1, (Condition("kind", ("p",)),)),
            Param("q.size", Int(1, 2), 1, (Condition("kind", ("q",)),)),
            Param("flag", Choice(False, True), False),
        )
    )
    lattice = Lattice(space, 3)
    points = [lattice.point(index) for index in range(lattice.size)]
    assert lattice.size == 2 * 3 + 2 * 2
    assert len({tuple(sorted(each.items())) for each in points}) == lattice.size
    for values in points:
        space.validate(values)
    assert sorted({each["p.rate"] for each in points if "p.rate" in each}) == pytest.approx([0.01, 0.1, 1.0])


@pytest.mark.parametrize(
    ("domain", "points", "expected"),
    [
        (Float(0.0, 1.0), 3, [0.0, 0.5, 1.0]),
        (Float(1.0, 100.0, log=True), 3, [1.0, pytest.approx(10.0), pytest.approx(100.0)]),
        (Int(1, 4), 9, [1, 2, 3, 4]),
        (Int(10, 40, step=10), 2, [10, 40]),
        (Float(2.0, 4.0), 1, [3.0]),
        (Choice("a", "b", "c"), 2, ["a", "b", "c"]),
    ],
)
def test_levels_reach_from_end_to_end_on_the_scale_of_the_domain(domain, points, expected):
    assert levels(domain, points) == expected


def test_a_grid_ends_when_all_of_it_is_tried():
    space = Space((Param("policy", Choice("scratch"), "scratch"), Param("x", Choice(*range(7)), 0)))
    history, _ = search_values(Grid(GridOptions(), space, BIG), trials=20)
    assert sorted(trial.candidate.values["x"] for trial in history) == list(range(7))


def test_the_first_part_of_a_grid_is_spread_over_all_of_it():
    space = Space((Param("policy", Choice("scratch"), "scratch"), *(Param(n, Choice(0, 1, 2), 0) for n in "uvwxyz")))
    history, _ = search_values(Grid(GridOptions(), space, BIG), trials=27)
    for name in "uvwxyz":
        counts = [sum(trial.candidate.values[name] == level for trial in history) for level in range(3)]
        assert min(counts) >= 5


def search_values(strategy, *, trials):
    """As `search`, for spaces that have no surface: every score is the same."""
    history = History([DataDescribed(profile=BIG)])
    for number in range(trials):
        history.remaining = Remaining(trials=trials - number)
        proposal = strategy.propose(history, random.Random(number))
        if proposal is None:
            break
        begin(history, proposal)
        history.apply(TrialFinished(trial=number, score=0.5, seconds=0, epochs=1, steps=1))
    return history, None


def test_the_grid_begins_with_the_defaults():
    history, _ = search(Grid(GridOptions(), SPACE, BIG), trials=2)
    first, second = (trial.candidate.values for trial in history)
    assert first == SPACE.default() != second


def test_a_grid_goes_on_behind_points_that_are_too_large():
    """Half of 1,200 points do not fit into memory; all others are tried."""
    space = Space(
        (
            Param("policy", Choice("scratch"), "scratch"),
            Param("architecture", Choice("a"), "a"),
            Param("batch_size", Choice(32, 512), 32),
            Param("n", Choice(*range(600)), 0),
        )
    )
    history, strategy = History([DataDescribed(profile=BIG)]), Grid(GridOptions(), space, BIG)
    history.remaining = Remaining(trials=2_000)
    tried = set()
    while (proposal := strategy.propose(history, random.Random(0))) is not None:
        number, values = begin(history, proposal), proposal.candidate.values
        if values["batch_size"] == 512:
            history.apply(TrialRefused(trial=number, reason="too large"))
        else:
            tried.add(values["n"])
            history.apply(TrialFinished(trial=number, score=0.5, seconds=1, epochs=1, steps=1))
    assert tried == set(range(600))


@pytest.mark.parametrize("make", [lambda: Grid(GridOptions(points=0), SPACE, BIG), lambda: bayesian(surrogate="tree")])
def test_options_that_make_no_sense_are_refused(make):
    with pytest.raises(UsageError):
        make()


@pytest.mark.parametrize("name", ["bayesian", "auto"])
def test_a_run_that_has_lost_an_option_goes_on_searching(name):
    """What was tried with it stays in the history, and is in no column any more."""
    history, _ = search(RandomSearch(NoOptions(), SPACE, BIG), trials=20)
    less = [
        replace(param, domain=Choice("a", "b")) if param.name == "architecture" else param
        for param in SPACE.params
        if not param.name.startswith("architecture.c")
    ]
    space = Space(tuple(less))
    history.remaining = Remaining(trials=10)
    make = {
        "bayesian": lambda: Bayesian(BayesianOptions(), space, BIG),
        "auto": lambda: Auto(AutoOptions(), space, BIG),
    }
    for seed in range(6):
        space.validate(make[name]().propose(history, random.Random(seed)).candidate.values)
