"""Searches over fidelities: bars and rungs reckoned by hand, brackets as in the paper, as good a score for less."""

from __future__ import annotations

import random
from dataclasses import replace
from statistics import median

import pytest
from plugins.simulated_search import BIG, SPACE, begin, search

from seedbed.core.errors import UsageError
from seedbed.core.search.candidate import Candidate, Fidelity, Proposal
from seedbed.core.search.events import DataDescribed, EpochFinished, TrialFinished
from seedbed.core.search.history import History, Remaining
from seedbed.core.specs import NoOptions
from seedbed.plugins.strategies import AshaOptions, HyperbandOptions
from seedbed.plugins.strategies.asha import Asha
from seedbed.plugins.strategies.fidelity import full_epochs
from seedbed.plugins.strategies.hyperband import Hyperband, sizes
from seedbed.plugins.strategies.losers import with_bars
from seedbed.plugins.strategies.random_search import RandomSearch
from seedbed.plugins.strategies.rungs import best_by, shares

FULL = full_epochs({"policy": "scratch"}, BIG)


def told(scores, *, profile=BIG):
    """A history of trials with these scores at a third and at the end."""
    history, rng = History([DataDescribed(profile=profile)]), random.Random(0)
    for number, (early, late) in enumerate(scores):
        begin(history, Proposal(candidate=Candidate(SPACE.sample(rng)), fidelity=Fidelity(epochs=FULL)))
        for progress, score in ((1 / 3, early), (1.0, late)):
            history.apply(
                EpochFinished(
                    trial=number,
                    epoch=progress,
                    progress=progress,
                    train_loss=0.1,
                    valid_loss=0.1,
                    score=score,
                    seconds=0,
                    is_best=True,
                )
            )
        history.apply(TrialFinished(trial=number, score=late, seconds=0, epochs=FULL, steps=1))
    history.remaining = Remaining(trials=100)
    return history


def proposed(strategy, history, seed=0):
    return strategy.propose(history, random.Random(seed))


def test_a_bar_is_what_the_best_third_had_reached_there():
    strategy = Asha(AshaOptions(rungs=1), SPACE, BIG)
    history = told([(0.1, 0.9), (0.5, 0.6), (0.4, 0.7), (0.3, 0.9), (0.2, 0.9), (0.45, 0.5)])
    (cut,) = proposed(strategy, history).fidelity.cuts
    assert (cut.progress, cut.score) == (1 / 3, 0.45)


def test_nothing_is_cut_while_too_few_have_been_at_a_rung():
    strategy = Asha(AshaOptions(rungs=1), SPACE, BIG)
    assert proposed(strategy, told([(0.1, 0.9), (0.2, 0.3)])).fidelity.cuts == ()


def test_where_less_is_better_the_bar_is_low():
    profile = replace(BIG, task=replace(BIG.task, metric="log_loss", direction="min"))
    strategy = Asha(AshaOptions(rungs=1), SPACE, profile)
    (cut,) = proposed(strategy, told([(0.9, 0.2), (0.4, 0.3), (0.6, 0.1)], profile=profile)).fidelity.cuts
    assert cut.score == 0.4


def test_the_best_so_far_counts_up_to_the_first_look_beyond():
    (trial,) = told([(0.5, 0.4)])
    assert best_by(trial, 0.2, BIG) == 0.5
    assert best_by(trial, 0.5, BIG) == 0.5
    assert best_by(replace(trial, curve=trial.curve[:1]), 0.5, BIG) is None


def test_asha_comes_to_the_score_of_random_search_with_less_work():
    ratios = []
    for seed in range(5):
        _, usual = search(RandomSearch(NoOptions(), SPACE, BIG), trials=30, seed=seed)
        _, halved = search(Asha(AshaOptions(), SPACE, BIG), trials=60, seed=seed)
        goal = usual[-1][1]
        needed = next(spent for spent, best in usual if best >= goal)
        ratios.append(next((spent for spent, best in halved if best >= goal), halved[-1][0]) / needed)
    assert median(ratios) < 0.8


@pytest.mark.parametrize("resource", ["subset", "resolution"])
def test_of_three_at_the_lowest_rung_the_best_goes_on(resource):
    profile = replace(BIG, height=96, width=96)
    strategy = Asha(AshaOptions(resource=resource, rungs=1), SPACE, profile)
    history = History([DataDescribed(profile=profile)])
    fidelities = []
    for number, score in enumerate((0.5, 0.7, 0.6, 0.65)):
        history.remaining = Remaining(trials=10)
        proposal = proposed(strategy, history, number)
        fidelities.append(getattr(proposal.fidelity, resource))
        begin(history, proposal)
        history.apply(TrialFinished(trial=number, score=score, seconds=0, epochs=1, steps=1))
    assert fidelities == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1.0])
    assert history.trials[3].candidate.values == history.trials[1].candidate.values


def test_rungs_that_would_say_nothing_are_left_out():
    assert shares("subset", 3, 3, replace(BIG, train=60)) == pytest.approx((1 / 3, 1.0))
    assert shares("resolution", 3, 2, replace(BIG, height=64, width=64)) == (1.0,)
    assert shares("epochs", 3, 2, BIG) == pytest.approx((1 / 9, 1 / 3, 1.0))


@pytest.mark.parametrize(
    ("resource", "profile", "says"),
    [
        ("money", BIG, "takes one of epochs, subset, resolution"),
        ("resolution", replace(BIG, task=replace(BIG.task, modality="text")), "is for images"),
    ],
)
def test_a_resource_that_there_is_not_is_refused(resource, profile, says):
    with pytest.raises(UsageError, match=says):
        shares(resource, 3, 2, profile)


def test_brackets_have_the_sizes_of_the_paper():
    """Table 1 of Li et al. 2018, R = 81 and eta = 3; its n for s = 3 and s = 2 follows floor, Algorithm 1 says ceil."""
    assert sizes(4, 4, 3) == (81, 27, 9, 3, 1)
    assert sizes(4, 3, 3) == (34, 11, 3, 1)
    assert sizes(4, 2, 3) == (15, 5, 1)
    assert sizes(4, 1, 3) == (8, 2)
    assert sizes(4, 0, 3) == (5,)


def test_a_bracket_narrows_and_its_trials_grow():
    strategy = Hyperband(HyperbandOptions(rungs=2), SPACE, BIG)
    history, _ = search(strategy, trials=13 + 6 + 3, full=FULL)
    epochs = [round(trial.fidelity.epochs / FULL, 2) for trial in history]
    assert epochs[:13] == [0.11] * 9 + [0.33] * 3 + [1.0]
    assert epochs[13:] == [0.33] * 5 + [1.0] + [1.0] * 3
    first, then, last = list(history)[:9], list(history)[9:12], history.trials[12]
    best = sorted(first, key=lambda trial: -trial.score)[:3]
    assert [trial.candidate for trial in then] == [trial.candidate for trial in best]
    assert last.candidate == max(then, key=lambda trial: trial.score).candidate


def test_while_a_rung_waits_the_next_bracket_begins():
    strategy = Hyperband(HyperbandOptions(rungs=1), SPACE, BIG)
    history = History([DataDescribed(profile=BIG)])
    for number in range(4):  # three of the first bracket; none has ended
        history.remaining = Remaining(trials=10)
        proposal = proposed(strategy, history, number)
        begin(history, proposal)
    assert [round(trial.fidelity.epochs / FULL, 2) for trial in history] == [0.33, 0.33, 0.33, 1.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Asha(AshaOptions(), SPACE, BIG),
        lambda: Asha(AshaOptions(resource="subset"), SPACE, BIG),
        lambda: Hyperband(HyperbandOptions(), SPACE, BIG),
    ],
)
def test_one_that_was_just_built_proposes_as_one_that_saw_it_all(make):
    strategy = make()
    history = History([DataDescribed(profile=BIG)])
    from plugins.simulated_search import train

    for number in range(25):
        history.remaining = Remaining(trials=100)
        proposal = strategy.propose(history, random.Random(number))
        assert proposal == make().propose(history, random.Random(number))
        train(history, proposal, full=FULL)


def test_a_searched_trial_must_come_up_to_the_median_less_the_doubt():
    fidelity, values = Fidelity(epochs=FULL), {"policy": "scratch"}
    assert with_bars(fidelity, values, told([(0.5, 0.9)] * 2), BIG).cuts == ()
    cuts = with_bars(fidelity, values, told([(0.2, 0.9), (0.5, 0.9), (0.6, 0.9)]), BIG).cuts
    assert [cut.progress for cut in cuts] == [0.35, 0.7]
    assert 0.8 < cuts[0].score < 0.9  # the first look at or beyond 0.35 is the last one here
    assert with_bars(fidelity, {"policy": "probe"}, told([(0.5, 0.9)] * 5), BIG).cuts == ()


@pytest.mark.parametrize(
    "other", [Fidelity(epochs=0.3 * FULL), Fidelity(epochs=FULL, subset=0.5), Fidelity(epochs=FULL, resolution=0.5)]
)
def test_a_shorter_training_is_not_held_to_the_bars_of_full_ones(other):
    assert with_bars(other, {"policy": "scratch"}, told([(0.5, 0.9)] * 9), BIG).cuts == ()
    assert with_bars(Fidelity(epochs=1.05 * FULL), {"policy": "scratch"}, told([(0.5, 0.9)] * 9), BIG).cuts
