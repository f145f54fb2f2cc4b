"""What sets a bar and what does not, who goes on to the next rung, and what a proposal may cost."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median

import pytest
from plugins.simulated_curves import (
    BIG,
    ERRORS,
    FULL,
    SPACE,
    a_look,
    begin,
    described,
    draw,
    end,
    planned,
    proposed,
    searched,
    trained,
)

from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFailed, TrialRefused, TrialStarted, TrialStopped
from seedbed.core.search.history import History, Remaining
from seedbed.core.space import Choice, Condition, Float, Param, Space
from seedbed.core.specs import NoOptions
from seedbed.plugins.strategies import AshaOptions, HyperbandOptions
from seedbed.plugins.strategies.asha import Asha
from seedbed.plugins.strategies.hyperband import Hyperband
from seedbed.plugins.strategies.random_search import RandomSearch
from seedbed.plugins.strategies.rungs import in_time

LARGE = replace(BIG, height=96, width=96)


class NeverWalked(History):
    """A history that may be asked, but not gone through."""

    def __iter__(self):
        raise AssertionError("a proposal went through all trials")


def asha(space=SPACE, profile=BIG, **options):
    return Asha(AshaOptions(**options), space, profile)


def look(history, trial, progress, score):
    history.apply(a_look(trial, progress, score))


def run_rung(strategy, history, scores, *, resource="subset"):
    """Begin and end as many trials as there are scores; return the share of the resource that each had."""
    found = []
    for score in scores:
        proposal = proposed(strategy, history)
        found.append(getattr(proposal.fidelity, resource))
        end(history, begin(history, proposal), score)
    return found


def test_a_trial_under_way_counts_at_the_rungs_that_it_has_passed():
    history = described()
    for score in (0.4, 0.5, 0.6):
        trial = draw(history)
        look(history, trial, 0.1, score)
        look(history, trial, 0.2, 0.9)
    cuts = proposed(asha(rungs=2), history).fidelity.cuts
    assert [(cut.progress, cut.score) for cut in cuts] == [(pytest.approx(1 / 9), 0.6)]


def test_one_that_ended_at_a_rung_counts_there_and_no_further():
    history = described()
    for early, late in ((0.5, 0.8), (0.6, 0.9), (0.7, 0.85), (0.3, None)):
        trial = draw(history)
        look(history, trial, 1 / 9, early)
        if late is None:
            history.apply(TrialStopped(trial=trial, reason="lags behind", is_cut=True))
        else:
            look(history, trial, 1 / 3, late)
            end(history, trial, late)
    cuts = proposed(asha(rungs=2, eta=3), history).fidelity.cuts
    assert [cut.score for cut in cuts] == [0.7, 0.9]
    again = draw(history)
    look(history, again, 1 / 9, 0.1)
    again = draw(history)
    look(history, again, 1 / 9, 0.2)  # six at the first rung, three at the second
    cuts = proposed(asha(rungs=2, eta=3), history).fidelity.cuts
    assert [cut.score for cut in cuts] == [0.6, 0.9]


def test_a_look_that_came_after_a_rung_says_nothing_of_it():
    history = described()
    for _ in range(3):
        trial = draw(history)
        look(history, trial, 0.5, 0.9)
        end(history, trial, 0.95)
    assert proposed(asha(rungs=1), history).fidelity.cuts == ()


def test_a_look_that_waited_for_the_end_of_a_step_counts_at_its_rung():
    history = described()
    for score in (0.5, 0.6, 0.7):
        trial = draw(history)
        look(history, trial, 0.35, score)
    (cut,) = proposed(asha(rungs=1), history).fidelity.cuts
    assert cut.score == 0.7


def test_before_the_first_tenth_there_is_no_rung():
    history = described()
    for score in (0.5, 0.6, 0.7):
        trial = draw(history)
        for progress in (0.03, 0.1, 0.3, 1.0):
            look(history, trial, progress, score)
        end(history, trial, score)
    cuts = proposed(asha(rungs=4), history).fidelity.cuts
    assert [cut.progress for cut in cuts] == pytest.approx([1 / 9, 1 / 3])


def test_a_score_that_is_no_number_sets_no_bar():
    history = described(profile=ERRORS)
    for score in (float("inf"), 0.5, float("nan"), 0.7):
        look(history, draw(history), 1 / 3, score)
    assert proposed(asha(profile=ERRORS, rungs=1), history).fidelity.cuts == ()
    look(history, draw(history), 1 / 3, 0.6)
    (cut,) = proposed(asha(profile=ERRORS, rungs=1), history).fidelity.cuts
    assert cut.score == 0.5


def test_a_probe_has_no_bars_and_sets_none():
    space = Space(
        (
            Param("policy", Choice("probe", "scratch"), "probe"),
            Param("x", Float(0.0, 1.0), 0.5, (Condition("policy", ("scratch",)),)),
            Param("y", Float(0.0, 1.0), 0.5),
        )
    )
    history = described()

    def cuts():
        found = [proposed(asha(space, rungs=1), history, seed) for seed in range(12)]
        return {(each.candidate.values["policy"], tuple(cut.score for cut in each.fidelity.cuts)) for each in found}

    for y in (0.5, 0.6, 0.7):
        trial = draw(history, {"policy": "probe", "y": y})
        look(history, trial, 1.0, 0.99)
        end(history, trial, 0.99)
    assert cuts() == {("probe", ()), ("scratch", ())}
    for x in (0.5, 0.6, 0.7):
        look(history, draw(history, {"policy": "scratch", "x": x, "y": 0.1}), 1 / 3, 0.5)
    assert cuts() == {("probe", ()), ("scratch", (0.5,))}


def test_it_comes_to_the_score_of_random_search_with_less_work():
    ratios = []
    for seed in range(7):
        usual = searched(RandomSearch(NoOptions(), SPACE, BIG), trials=30, seed=seed)
        halved = searched(asha(), trials=80, seed=seed)
        goal = usual[-1][1]
        needed = next(spent for spent, best in usual if best >= goal)
        ratios.append(next((spent for spent, best in halved if best >= goal), math.inf) / needed)
    assert median(ratios) < 0.8


def test_another_history_is_another_search():
    strategy, history = asha(rungs=1), described()
    for score in (0.5, 0.6, 0.7):
        look(history, draw(history), 1 / 3, score)
    assert proposed(strategy, history).fidelity.cuts
    assert proposed(strategy, described()).fidelity.cuts == ()


def test_promotions_go_up_the_ladder_and_each_happens_once():
    strategy, history = asha(resource="subset", rungs=2, eta=2), described()
    shares = run_rung(strategy, history, (0.5, 0.6, 0.61, 0.7, 0.8, 0.71, 0.9))
    # After two the better goes on (2); after four the best, 3; then the better of 2 and 4 at the middle rung.
    assert shares == pytest.approx([1 / 4, 1 / 4, 1 / 2, 1 / 4, 1 / 2, 1.0, 1 / 4])
    points = [trial.candidate.values for trial in history.trials.values()]
    assert points[2] == points[1]
    assert points[4] == points[3] == points[5]


def test_where_less_is_better_the_least_goes_on():
    strategy, history = asha(profile=ERRORS, resource="subset", rungs=1), described(profile=ERRORS)
    run_rung(strategy, history, (0.5, 0.2, 0.6))
    assert proposed(strategy, history).candidate.values == history.trials[1].candidate.values


def test_one_that_failed_counts_at_its_rung_but_does_not_go_on():
    strategy, history = asha(resource="subset", rungs=1), described()
    run_rung(strategy, history, (0.5,))
    for number in (1, 2):
        begin(history, proposed(strategy, history))
        history.apply(TrialFailed(trial=number, error="boom"))
    promoted = proposed(strategy, history)
    assert promoted.fidelity.subset == 1.0
    assert promoted.candidate.values == history.trials[0].candidate.values


def test_a_promotion_that_the_runs_end_cut_short_comes_again():
    strategy, history = asha(resource="subset", rungs=1), described()
    run_rung(strategy, history, (0.5, 0.7, 0.6))
    promoted = proposed(strategy, history)
    number = begin(history, promoted)
    assert proposed(strategy, history) != promoted
    history.apply(TrialStopped(trial=number, reason="the run was interrupted", resumable=True))
    assert proposed(strategy, history) == promoted


def test_no_rung_makes_pictures_smaller_than_32_pixels():
    space = Space((*SPACE.params, Param("resolution", Choice(48), 48)))
    strategy = asha(space, LARGE, resource="resolution", rungs=1)
    assert proposed(strategy, described(profile=LARGE)).fidelity.resolution == pytest.approx(32 / 48)


def test_what_cannot_be_made_smaller_is_at_the_top_at_once():
    space = Space((*SPACE.params, Param("resolution", Choice(32), 32)))
    strategy, history = asha(space, LARGE, resource="resolution", rungs=1), described(profile=LARGE)
    run_rung(strategy, history, (0.5, 0.7, 0.6, 0.4, 0.3, 0.8), resource="resolution")
    points = [trial.candidate.values for trial in history.trials.values()]
    assert all(one != other for place, one in enumerate(points) for other in points[:place])


def test_the_mean_of_other_trials_weights_is_no_draw():
    strategy, history = asha(resource="subset", rungs=1), described()
    run_rung(strategy, history, (0.5, 0.7, 0.6))
    best = history.trials[1].candidate
    history.apply(TrialStarted(trial=3, candidate=best, fidelity=Fidelity(epochs=1), ingredients=(0, 1)))
    end(history, 3, 0.9)
    promoted = proposed(strategy, history)
    assert (promoted.candidate.values, promoted.fidelity.subset) == (best.values, 1.0)


def timed_history(left, *, seconds=9.0):
    """One trial of a third of the rows, which took so long."""
    history = described(left=Remaining(seconds=left))
    values = SPACE.default()
    trial = draw(history, values, fidelity=Fidelity(epochs=FULL, subset=1 / 3))
    end(history, trial, 0.5, seconds=seconds)
    return history, values


def test_what_three_times_as_many_rows_cost_is_told_by_a_third_of_them():
    history, values = timed_history(100.0)
    assert in_time(Fidelity(epochs=FULL), values, history).seconds == pytest.approx(1.5 * 27.0)
    assert in_time(Fidelity(epochs=FULL, resolution=0.5), values, history).seconds == pytest.approx(1.5 * 27.0 / 4)


def test_what_cannot_end_in_time_is_not_begun():
    history, values = timed_history(20.0)
    assert in_time(Fidelity(epochs=FULL), values, history) is None
    assert in_time(Fidelity(epochs=FULL, subset=1 / 3), values, history).seconds == pytest.approx(13.5)


def test_the_trials_most_like_it_tell_what_one_costs():
    history, values = timed_history(1_000.0)
    other = {**values, "width": 64}
    end(history, draw(history, other), 0.5, seconds=15.0)  # on all rows: less than 27 s
    assert in_time(Fidelity(epochs=FULL), values, history).seconds == pytest.approx(1.5 * 15.0)


def test_what_was_refused_as_too_large_is_not_proposed_again():
    history = described()
    values = {**SPACE.default(), "resolution": 96}
    trial = draw(history, values)
    history.apply(TrialRefused(trial=trial, reason="too large"))
    assert in_time(Fidelity(epochs=FULL), values, history) is None
    assert in_time(Fidelity(epochs=FULL, resolution=1 / 3), values, history) is not None


@pytest.mark.parametrize(
    "make",
    [
        asha,
        lambda: asha(resource="subset"),
        lambda: Hyperband(HyperbandOptions(rungs=2), SPACE, BIG),
        lambda: Hyperband(HyperbandOptions(resource="subset", rungs=1), SPACE, BIG),
    ],
    ids=["asha", "asha over rows", "hyperband", "hyperband over rows"],
)
def test_a_plan_is_the_same_for_one_worker_and_four(make):
    alone = planned(make(), workers=1, trials=40)
    assert planned(make(), workers=4, trials=40) == alone
    seen = [(tuple(sorted(each.candidate.values.items())), each.fidelity) for each in alone]
    assert len(set(seen)) == 40  # no point twice at one fidelity


@pytest.mark.parametrize(
    "make", [asha, lambda: asha(resource="subset"), lambda: Hyperband(HyperbandOptions(), SPACE, BIG)]
)
def test_no_proposal_goes_through_all_trials(make):
    strategy, history = make(), described(NeverWalked)
    for number in range(200):
        history.remaining = Remaining(trials=200 - number)
        proposal = proposed(strategy, history)
        begin(history, proposal)
        for event in trained(number, proposal.fidelity, proposal.candidate.values):
            history.apply(event)
    assert len(history) == 200


@pytest.mark.parametrize("options", [1, 2, 3, 12])
def test_of_a_small_space_one_comes_to_the_top(options):
    space = Space((Param("policy", Choice("scratch"), "scratch"), Param("n", Choice(*range(options)), 0)))
    history = described()
    strategy = Asha(AshaOptions(resource="subset"), space, BIG)
    while (proposal := proposed(strategy, history)) is not None:
        assert history.next_number < 100
        end(history, begin(history, proposal), 0.5 + proposal.candidate.values["n"] / 100)
    longest = max(history, key=lambda trial: trial.fidelity.subset)
    assert longest.fidelity.subset == 1.0
    assert longest.candidate.values["n"] >= 2 * (options - 1) // 3
