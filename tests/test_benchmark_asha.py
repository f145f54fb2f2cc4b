"""The pure parts of the benchmark of ASHA and Bayesian search against random search, and the plugin that it uses."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from plugins.simulated_curves import BIG, ERRORS, FULL, SPACE, a_look, described, draw, end, proposed

from seedbed.core.errors import UsageError
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import DataDescribed, TrialFinished, TrialStarted, TrialStopped

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import asha as bench
from shortened import Shortened, ShortenedOptions, spent

ACCURACY = BIG.task


def started(trial, *, subset=1.0, **more):
    fidelity = Fidelity(epochs=10.0, subset=subset)
    return TrialStarted(trial=trial, candidate=Candidate(SPACE.default()), fidelity=fidelity, **more)


def finished(trial, score, epochs=10.0):
    return TrialFinished(trial=trial, score=score, seconds=0, epochs=epochs, steps=1)


def look(trial, progress, score):
    return a_look(trial, progress, score, epochs=10.0)


def course(scores, *, task=ACCURACY, work=10.0):
    """The course of trials that each took so many epochs and were looked at in their ends."""
    worth = task.worth
    best = [max(scores[: n + 1], key=worth) for n in range(len(scores))]
    looks = tuple((work * (n + 1), score) for n, score in enumerate(best))
    return bench.Course(task=task, looks=looks, trials=tuple(best))


def cells(line):
    return [each.strip() for each in line.strip("|").split("|")]


def test_a_course_counts_the_epochs_of_all_draws_and_keeps_the_best_score():
    found = bench.course_of(
        [
            DataDescribed(profile=BIG),
            started(0, role="baseline"),
            finished(0, 0.99),
            started(1),
            look(1, 0.5, 0.4),
            look(1, 1.0, 0.6),
            finished(1, 0.61),
            started(2),
            look(2, 0.1, 0.3),
            TrialStopped(trial=2, reason="lags behind", is_cut=True),
            started(3, subset=0.5),
            look(3, 1.0, 0.7),
            finished(3, 0.7),
            started(4, ingredients=(1, 3)),
            finished(4, 0.98),
        ]
    )
    assert found.looks == ((5.0, 0.4), (10.0, 0.6), (10.0, 0.61), (11.0, 0.61), (16.0, 0.7), (16.0, 0.7))
    assert found.trials == (0.61, 0.61, 0.7)
    assert found.cut == 1


def test_where_less_is_better_the_least_score_is_the_best():
    found = bench.course_of(
        [DataDescribed(profile=ERRORS), started(0), look(0, 0.5, 0.4), look(0, 1.0, 0.6), finished(0, 0.4)]
    )
    assert found.end == 0.4
    assert (found.work_to(0.5), found.work_to(0.3)) == (5.0, math.inf)


def test_a_journal_that_broke_off_early_says_so():
    with pytest.raises(ValueError, match="no data was described"):
        bench.course_of([started(0)])


def test_what_another_did_beyond_the_work_of_random_search_does_not_count():
    usual, other = course([0.5, 0.6]), course([0.4, 0.5, 0.9])
    header = bench.header_by_work("asha")
    first, middle = bench.by_work(bench.Set(name="x", train="y"), [0], [usual], [other])
    row = dict(zip(cells(header[0]), cells(first), strict=True))
    assert row["random's end"] == "0.6000"
    assert row["asha's end"] == "0.5000"
    assert row["epochs to random's end: asha"] == row["ratio"] == "never"
    assert len(cells(middle)) == len(cells(header[0])) == len(cells(header[1]))


def test_the_common_target_is_the_middle_of_the_ends_unless_one_is_given():
    usual = [course([0.5, 0.6]), course([0.5, 0.7]), course([0.8, 0.8])]
    others = [course([0.7], work=5.0)] * 3
    place = cells(bench.header_by_work("asha")[0]).index("epochs to the target: asha")
    lines = bench.by_work(bench.Set(name="x", train="y"), [0, 1, 2], usual, others)
    assert [cells(line)[place - 1] for line in lines] == ["never", "20.0", "10.0", "20.0"]
    assert [cells(line)[place] for line in lines] == ["5.0"] * 4
    to_its_end = cells(bench.header_by_work("asha")[0]).index("epochs to random's end: random")
    assert [cells(line)[to_its_end] for line in lines] == ["20.0", "20.0", "10.0", "20.0"]
    lines = bench.by_work(bench.Set(name="x", train="y", target=0.75), [0, 1, 2], usual, others)
    assert [cells(line)[place] for line in lines] == ["never"] * 4


def test_by_trials_it_is_said_who_is_ahead_after_each():
    usual, others = [course([0.5, 0.6, 0.7])] * 2, [course([0.6, 0.6, 0.9]), course([0.4, 0.8, 0.8])]
    lines = bench.by_trials(bench.Set(name="x", train="y"), [0, 1], usual, others)
    assert [cells(line)[1:5] for line in lines[:-1]] == [
        ["1", "0.5000", "0.5000", "1 of 2"],
        ["2", "0.6000", "0.7000", "1 of 2"],
        ["3", "0.7000", "0.8500", "2 of 2"],
    ]
    assert "3, 2" in lines[-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("emoji=folder", ("emoji", "folder", None)),
        ("emoji=C:/a=b/c>=0.78", ("emoji", "C:/a=b/c", 0.78)),
        ("prices=houses.csv<=0.3", ("prices", "houses.csv", 0.3)),
    ],
)
def test_a_set_is_read(text, expected):
    found = bench.parse_set(text)
    assert (found.name, found.train, found.target) == expected


def test_what_is_no_set_is_refused():
    with pytest.raises(argparse.ArgumentTypeError, match="NAME=TRAIN"):
        bench.parse_set("folder")


def shortened(**options):
    return Shortened(ShortenedOptions(epochs=5.0, **options), SPACE, BIG)


def test_a_shortened_proposal_is_the_built_in_ones_but_for_its_length():
    history = described()
    for score in (0.5, 0.6, 0.7):
        trial = draw(history)
        history.apply(a_look(trial, 1 / 3, score))
        end(history, trial, score)
    usual = proposed(shortened(of="random"), history)
    halved = proposed(shortened(of="asha", rungs=1), history)
    assert usual.fidelity == Fidelity(epochs=5.0)
    assert halved.candidate == usual.candidate
    assert replace(halved.fidelity, cuts=()) == usual.fidelity
    assert [cut.score for cut in halved.fidelity.cuts] == [0.7]


def test_lengths_that_differ_stay_in_proportion():
    assert proposed(shortened(of="hyperband"), described()).fidelity.epochs == pytest.approx(5.0 / 9)


def test_nothing_is_proposed_once_the_work_is_done():
    history = described()
    trial = draw(history, fidelity=Fidelity(epochs=FULL, subset=0.5))
    history.apply(a_look(trial, 1.0, 0.5))
    end(history, trial, 0.5)
    assert spent(history.trials[trial]) == FULL / 2
    assert proposed(shortened(work=FULL / 2 + 1), history) is not None
    assert proposed(shortened(work=FULL / 2), history) is None


def test_a_strategy_that_there_is_not_is_refused():
    with pytest.raises(UsageError, match="random, bayesian, asha, hyperband"):
        shortened(of="luck")


def test_with_a_first_draw_all_strategies_begin_with_it_and_not_with_the_defaults():
    firsts = [proposed(shortened(of=each, first=3), described()).candidate for each in ("random", "asha", "bayesian")]
    assert firsts == firsts[:1] * 3
    assert firsts[0] != Candidate(SPACE.default())
    assert proposed(shortened(of="random"), described()).candidate == Candidate(SPACE.default())
