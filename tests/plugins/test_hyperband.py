"""Brackets as in the paper, whatever becomes of their trials."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plugins.simulated_curves import BIG, ERRORS, FULL, SPACE, begin, described, end, proposed, quality

from seedbed.core.search.events import TrialFailed, TrialRefused, TrialStopped
from seedbed.core.search.history import Remaining
from seedbed.core.space import Choice, Float, Param, Space
from seedbed.plugins.strategies import HyperbandOptions
from seedbed.plugins.strategies.fidelity import full_epochs
from seedbed.plugins.strategies.hyperband import Hyperband

TEXT = replace(BIG, task=replace(BIG.task, modality="text"), train=20_000)


def hyperband(space=SPACE, profile=BIG, **options):
    return Hyperband(HyperbandOptions(**options), space, profile)


def run(strategy, history, trials, *, full=FULL, score=quality):
    """Run trials one after the other; return the share of the full epochs of each."""
    found = []
    for _ in range(trials):
        proposal = proposed(strategy, history)
        found.append(round(proposal.fidelity.epochs / full, 4))
        end(history, begin(history, proposal), score(proposal.candidate.values))
    return found


def test_a_round_of_81_is_that_of_the_paper():
    """Algorithm 1 of Li et al. 2018 for R = 81 and eta = 3: how many trials there are of each length."""
    strategy, history = hyperband(rungs=4), described()
    brackets = [(81, 27, 9, 3, 1), (34, 11, 3, 1), (15, 5, 1), (8, 2), (5,)]
    shares = run(strategy, history, sum(map(sum, brackets)))
    for number, sizes in enumerate(brackets):
        lengths = [81 // 3 ** (4 - number - level) for level in range(len(sizes))]
        found, shares = shares[: sum(sizes)], shares[sum(sizes) :]
        counts = Counter(round(81 * share) for share in found)
        assert [counts[length] for length in lengths] == list(sizes)
        assert found == sorted(found)
    assert run(strategy, history, 1) == [round(1 / 81, 4)]  # and from the start again


def test_every_rung_is_the_best_third_of_the_one_below():
    strategy, history = hyperband(rungs=2), described()
    run(strategy, history, 13)
    trials = [history.trials[number].candidate.values for number in range(13)]
    best = sorted(trials[:9], key=quality, reverse=True)
    assert trials[9:12] == best[:3]
    assert trials[12] == best[0]


def test_where_less_is_better_the_least_go_on():
    strategy, history = hyperband(profile=ERRORS, rungs=1), described(profile=ERRORS)
    run(strategy, history, 4)
    first = [history.trials[number].candidate.values for number in range(3)]
    assert history.trials[3].candidate.values == min(first, key=quality)


def test_of_a_rung_with_failures_those_go_on_that_are_left():
    strategy, history = hyperband(rungs=2), described()
    for number in range(9):
        begin(history, proposed(strategy, history))
        if number == 4:
            end(history, number, 0.5)
        else:
            history.apply(TrialFailed(trial=number, error="boom"))
    assert run(strategy, history, 3) == pytest.approx([1 / 3, 1.0, 1 / 3], abs=1e-3)
    points = [history.trials[number].candidate.values for number in (4, 9, 10, 11)]
    assert points[0] == points[1] == points[2] != points[3]


def test_a_bracket_of_failures_gives_way_to_the_next():
    strategy, history = hyperband(rungs=1), described()
    for number in range(3):
        begin(history, proposed(strategy, history))
        history.apply(TrialFailed(trial=number, error="boom"))
    assert run(strategy, history, 3) == pytest.approx([1.0, 1.0, 1 / 3], abs=1e-3)


def test_a_trial_that_the_runs_end_cut_short_takes_no_place():
    strategy, history = hyperband(rungs=1), described()
    run(strategy, history, 2)
    lost = begin(history, proposed(strategy, history))
    history.apply(TrialStopped(trial=lost, reason="the run was interrupted", resumable=True))
    assert run(strategy, history, 2) == pytest.approx([1 / 3, 1.0], abs=1e-3)


def test_a_probe_is_not_fitted_again_where_only_epochs_grow():
    space = Space((Param("policy", Choice("probe"), "probe"), Param("x", Float(0.0, 1.0), 0.5)))
    strategy, history = hyperband(space, rungs=2), described()
    run(strategy, history, 30, full=1.0, score=lambda values: values["x"])
    points = {trial.candidate.values["x"] for trial in history}
    assert len(points) == 30


def test_two_passes_over_texts_have_rungs_too():
    space = Space((Param("policy", Choice("head_then_all"), "head_then_all"), Param("x", Float(0.0, 1.0), 0.5)))
    full = full_epochs({"policy": "head_then_all"}, TEXT)
    strategy, history = hyperband(space, TEXT, rungs=2), described(profile=TEXT)
    shares = run(strategy, history, 13, full=full, score=lambda values: values["x"])
    assert shares == pytest.approx([1 / 9] * 9 + [1 / 3] * 3 + [1.0], abs=1e-3)


def test_rungs_at_which_a_picture_cannot_be_smaller_count_as_one():
    """Of 288 pixels the rungs are 32 and 96; what looks at 64 is trained at 32 once, and then in full."""
    large = replace(BIG, height=288, width=288)
    space = Space((*SPACE.params, Param("resolution", Choice(64), 64)))
    strategy, history = hyperband(space, large, resource="resolution", rungs=2), described(profile=large)
    run(strategy, history, 11)
    shares = [trial.fidelity.resolution for trial in history]
    assert shares == [0.5] * 9 + [1.0, 0.5]
    points = [trial.candidate.values for trial in history]
    assert points[9] == max(points[:9], key=quality)


@settings(max_examples=25, deadline=None)
@given(
    outcomes=st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=5, max_size=40),
    lags=st.lists(st.integers(0, 5), min_size=1, max_size=5),
)
def test_whatever_becomes_of_trials_each_comes_up_by_one_rung_at_a_time(outcomes, lags):
    strategy, history, running = hyperband(rungs=2), described(), []
    for number, score in enumerate(outcomes):
        proposal = proposed(strategy, history)
        assert proposal == proposed(hyperband(rungs=2), history)
        begin(history, proposal)
        running.append((number, score))
        while len(running) > lags[number % len(lags)]:
            ended, found = running.pop(random.Random(number).randrange(len(running)))
            if found is None:
                history.apply(TrialFailed(trial=ended, error="boom"))
            else:
                end(history, ended, found)
    lengths: dict[tuple, list[int]] = {}
    for trial in history:
        point = tuple(sorted(trial.candidate.values.items()))
        lengths.setdefault(point, []).append(round(9 * trial.fidelity.epochs / FULL))
    for each in lengths.values():
        assert each == [each[0] * 3**level for level in range(len(each))]


def exhausted(strategy, history, most=500):
    """Run until there is nothing more to propose; return the lengths of all trials, as shares of the full."""
    found = []
    while (proposal := proposed(strategy, history)) is not None and len(found) < most:
        found.append(proposal.fidelity.epochs / FULL)
        end(history, begin(history, proposal), quality_of_choice(proposal.candidate.values))
    return found


def quality_of_choice(values):
    return 0.5 + values["n"] / 100


@pytest.mark.parametrize("options", [1, 2, 8, 20, 26])
def test_of_a_small_space_the_best_come_to_the_top(options):
    space = Space((Param("policy", Choice("scratch"), "scratch"), Param("n", Choice(*range(options)), 0)))
    history = described()
    found = exhausted(hyperband(space), history)
    assert len(found) < 500
    assert max(found) == pytest.approx(1.0)
    longest = max(history, key=lambda trial: trial.fidelity.epochs)
    assert longest.candidate.values["n"] == options - 1


@pytest.mark.parametrize(("trials", "shortest"), [(3, 1.0), (10, 1 / 3), (17, 1 / 9), (40, 1 / 27)])
def test_a_plan_of_few_trials_begins_with_a_bracket_that_it_can_end(trials, shortest):
    history = described(left=Remaining(trials=trials))
    strategy, found = hyperband(rungs=3), []
    for number in range(trials):
        history.remaining = Remaining(trials=trials - number)
        found += run(strategy, history, 1)
    assert found[0] == pytest.approx(shortest, abs=1e-3)
    assert max(found) == pytest.approx(1.0)


def test_a_winner_that_is_too_large_does_not_hold_its_bracket_up():
    """At the resolution of the second rung large batches do not fit into memory, and they are the better ones."""
    values = {"policy": "scratch", "architecture": "a"}
    space = Space(
        (
            *(Param(name, Choice(value), value) for name, value in values.items()),
            Param("resolution", Choice(96), 96),
            Param("batch_size", Choice(32, 512), 32),
            Param("lr", Float(0.001, 1.0, log=True), 0.1),
        )
    )
    history = described()
    strategy = hyperband(space, resource="resolution", rungs=1)
    for _ in range(30):
        proposal = proposed(strategy, history)
        assert proposal is not None
        number = begin(history, proposal)
        is_large = proposal.candidate.values["batch_size"] == 512
        if proposal.fidelity.resolution > 0.9 and is_large:
            history.apply(TrialRefused(trial=number, reason="too large"))
        else:
            end(history, number, proposal.candidate.values["lr"] / 2 + is_large / 2)
    assert len(strategy._brackets._active) <= 2
