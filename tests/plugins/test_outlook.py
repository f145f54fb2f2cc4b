"""Whether the rest of the time goes into more passes for the best candidate or into more draws."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from core.search.fake_study import PROFILE
from plugins.simulated_search import SPACE, surface_space

from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import (
    DataDescribed,
    EpochFinished,
    TrialFailed,
    TrialFinished,
    TrialStarted,
    TrialStopped,
)
from seedbed.core.search.history import History, Remaining
from seedbed.plugins.strategies import AutoOptions
from seedbed.plugins.strategies.auto import Auto
from seedbed.plugins.strategies.bayesian import observed
from seedbed.plugins.strategies.outlook import go_longer, outlook

EPOCHS, SECONDS = 10.0, 10.0


def rising(last=0.9, power=0.5):
    """Errors that fall as a power of the work; to be trained longer pays."""
    return [1 - (1 - last) * (n / 10) ** -power for n in range(1, 11)]


def flat(last=0.9):
    """At its end after three tenths, and better by next to nothing from then on."""
    return [last - 0.3, last - 0.1, last - 1e-3] + [last - 1e-5 * (10 - n) for n in range(4, 11)]


def run(*curves, left=40.0, policy="scratch", losses=None):
    """A history of trials with these scores at ten looks each."""
    history = History([DataDescribed(profile=PROFILE)])
    for scores in curves:
        add(history, scores, policy=policy, losses=losses)
    history.remaining = Remaining(seconds=left)
    return history


def add(history, scores, policy="scratch", values=None, losses=None, epochs=EPOCHS, seconds=SECONDS, steps=100):
    number = history.next_number
    values = values or {**SPACE.sample(random.Random(number)), "policy": policy}
    fidelity = Fidelity(epochs=epochs)
    history.apply(TrialStarted(trial=number, candidate=Candidate(values), fidelity=fidelity))
    best = -math.inf
    for n, score in enumerate(scores, 1):
        is_best = score > best
        best = max(best, score)
        look = EpochFinished(
            trial=number,
            epoch=n * epochs / 10,
            progress=n / 10,
            train_loss=0.1,
            valid_loss=losses[n - 1] if losses else None,
            score=score,
            seconds=n * seconds / 10,
            is_best=is_best,
        )
        history.apply(look)
    history.apply(TrialFinished(trial=number, score=best, seconds=seconds, epochs=epochs, steps=steps))
    return values


def ask(history, seed=0):
    return go_longer(observed(history, PROFILE), PROFILE, history, random.Random(seed))


def test_a_curve_that_still_rises_is_followed_further_than_draws_that_bring_nothing():
    history = run(rising(0.9), *[rising(0.7)] * 6)
    proposal = ask(history)
    assert proposal is not None
    assert proposal.candidate == history.trials[0].candidate
    assert proposal.fidelity.epochs == pytest.approx(2 * EPOCHS)
    assert proposal.fidelity.seconds == pytest.approx(24.0)


def test_draws_that_bring_more_and_more_are_gone_on_with_when_the_best_curve_is_at_its_end():
    scores = (0.5, 0.6, 0.68, 0.74, 0.79, 0.83, 0.86, 0.885)
    assert ask(run(*(flat(score) for score in scores))) is None


def peaked(at):
    """The same rise, the best of it at one look."""
    scores = rising(0.9)
    scores[at - 1], scores[-1] = scores[-1], scores[at - 1]
    return scores


def test_what_was_best_long_before_its_end_is_not_trained_longer():
    assert ask(run(peaked(9), *[rising(0.7)] * 6)) is not None
    assert ask(run(peaked(7), *[rising(0.7)] * 6)) is None


def test_a_score_that_rises_while_the_loss_does_too_is_not_believed():
    def losses(*last):
        return [0.8, 0.7, 0.6, 0.5, 0.45, 0.4, 0.38, *last]

    def asked(loss):
        return ask(run(rising(0.9), *[rising(0.7)] * 6, losses=loss))

    assert asked(losses(0.35, 0.33, 0.32)) is not None
    assert asked(losses(0.41, 0.45, 0.5)) is None
    assert asked(None) is not None


def test_the_less_hopeful_of_score_and_loss_is_what_counts():
    def outlook_with(losses):
        history = run(rising(0.9), losses=losses)
        return outlook(history.trials[0], observed(history, PROFILE), PROFILE, 2.0, random.Random(0)).longer

    steep = [n**-0.5 for n in range(1, 11)]
    level = [0.8, 0.3, *[0.3 - 1e-6 * n for n in range(8)]]
    assert outlook_with(level) < 0.7 * outlook_with(steep)


@pytest.mark.parametrize(("left", "reach"), [(14.0, None), (16.0, 1.6), (19.0, 1.9), (20.0, 2.0), (400.0, 2.0)])
def test_it_takes_as_many_more_passes_as_can_be_paid_up_to_twice(left, reach):
    proposal = ask(run(rising(0.9), *[rising(0.7)] * 6, left=left))
    assert (proposal and proposal.fidelity.epochs) == (reach and pytest.approx(reach * EPOCHS))
    assert proposal is None or proposal.fidelity.seconds <= left


@pytest.mark.parametrize(("steps", "wide"), [(499, True), (501, False)])
def test_it_goes_over_all_gpus_where_a_step_takes_long(steps, wide):
    history = History([DataDescribed(profile=PROFILE)])
    for scores in (rising(0.9), *[rising(0.7)] * 6):
        add(history, scores, steps=steps)
    history.remaining = Remaining(seconds=40.0)
    assert ask(history).wide == wide


def test_what_would_be_too_little_for_another_trial_it_takes_as_well():
    history = run(rising(0.9), *[rising(0.7)] * 6, left=24.5)
    assert ask(history).fidelity.seconds == 24.5
    history.remaining = Remaining(seconds=40.0)
    assert ask(history).fidelity.seconds == pytest.approx(24.0)


def test_without_a_time_limit_a_plan_stays_a_plan():
    history = run(rising(0.9), *[rising(0.7)] * 6)
    history.remaining = Remaining(trials=5)
    assert ask(history) is None


def test_it_is_tried_once():
    history = run(rising(0.9), *[rising(0.7)] * 6, left=100.0)
    proposal = ask(history)
    add(history, rising(0.89), values=dict(proposal.candidate.values), epochs=proposal.fidelity.epochs, seconds=20.0)
    assert ask(history) is None


def test_it_is_tried_once_where_the_best_ran_out_of_time_long_before_its_passes_too():
    history = run(rising(0.9), *[rising(0.7)] * 6, left=100.0)
    history.trials[0] = replace(history.trials[0], fidelity=Fidelity(epochs=100.0))
    proposal = ask(history)
    add(history, rising(0.89), values=dict(proposal.candidate.values), epochs=proposal.fidelity.epochs, seconds=20.0)
    assert ask(history) is None


def test_what_a_run_that_was_stopped_cut_short_is_begun_again():
    history = run(rising(0.9), *[rising(0.7)] * 6, left=100.0)
    proposal = ask(history)
    history.apply(TrialStarted(trial=7, candidate=proposal.candidate, fidelity=proposal.fidelity))
    history.apply(TrialStopped(trial=7, reason="the run was interrupted", resumable=True))
    assert ask(history) == proposal


def test_while_it_runs_it_is_not_begun_again():
    history = run(rising(0.9), *[rising(0.7)] * 6, left=100.0)
    proposal = ask(history)
    started = TrialStarted(trial=7, candidate=proposal.candidate, fidelity=proposal.fidelity)
    history.apply(started)
    assert ask(history) is None


def test_where_more_passes_paid_still_more_may_follow():
    history = run(rising(0.9), *[rising(0.7)] * 6, left=200.0)
    values = add(history, rising(0.95), values=dict(history.trials[0].candidate.values), epochs=20.0, seconds=20.0)
    proposal = ask(history)
    assert dict(proposal.candidate.values) == values
    assert proposal.fidelity.epochs == pytest.approx(40.0)


def test_a_perfect_score_asks_for_nothing():
    assert ask(run(rising(1.0), rising(0.7))) is None


def test_probes_failures_and_an_empty_history_are_no_ground():
    assert ask(run()) is None
    assert ask(run(rising(0.9), policy="probe")) is None
    history = run()
    history.apply(TrialStarted(trial=0, candidate=Candidate(SPACE.default()), fidelity=Fidelity(epochs=1.0)))
    history.apply(TrialFailed(trial=0, error="boom"))
    assert ask(history) is None


def test_both_forecasts_are_made_for_the_same_time():
    history = run(rising(0.9), *[rising(0.7)] * 6)
    found = outlook(history.trials[0], observed(history, PROFILE), PROFILE, 2.0, random.Random(0))
    assert found.seconds == 20.0
    assert found.longer > found.search > 0


def test_equal_histories_are_answered_alike_and_the_direction_of_the_metric_counts():
    history = run(rising(0.9), rising(0.85), rising(0.7))
    assert ask(history, seed=3) == ask(history, seed=3)
    lower = _lower([1 - score for score in rising(0.9)], [1 - score for score in rising(0.7)])
    assert lower is not None
    assert lower.fidelity.epochs == pytest.approx(2 * EPOCHS)


def _lower(*curves):
    profile = replace(PROFILE, task=replace(PROFILE.task, metric="log_loss", direction="min"))
    history = History([DataDescribed(profile=profile)])
    for scores in curves:
        number = history.next_number
        values = SPACE.sample(random.Random(number))
        history.apply(TrialStarted(trial=number, candidate=Candidate(values), fidelity=Fidelity(epochs=EPOCHS)))
        for n, score in enumerate(scores, 1):
            history.apply(
                EpochFinished(
                    trial=number,
                    epoch=float(n),
                    progress=n / 10,
                    train_loss=0.1,
                    valid_loss=None,
                    score=score,
                    seconds=float(n),
                    is_best=True,
                )
            )
        history.apply(TrialFinished(trial=number, score=scores[-1], seconds=SECONDS, epochs=EPOCHS, steps=100))
    history.remaining = Remaining(seconds=40.0)
    return go_longer(observed(history, profile), profile, history, random.Random(0))


@pytest.mark.parametrize("longer", [True, False])
def test_the_default_strategy_asks_for_it_once_its_defaults_are_through(longer):
    space = surface_space()
    strategy = Auto(AutoOptions(longer=longer), space, PROFILE)
    history = run()
    history.remaining = Remaining(seconds=1000.0)
    first = strategy.propose(history, random.Random(0))
    add(history, rising(0.9), values=dict(first.candidate.values), seconds=5.0)
    for _ in range(4):
        add(history, rising(0.6), seconds=5.0)
    proposals = [strategy.propose(history, random.Random(seed)) for seed in range(5)]
    again = [proposal.candidate == first.candidate for proposal in proposals]
    assert all(again) if longer else not any(again)


def test_what_is_no_longer_offered_is_not_trained_longer():
    strategy = Auto(AutoOptions(), surface_space(), PROFILE)
    history = run()
    history.remaining = Remaining(seconds=1000.0)
    add(history, rising(0.9), values={**SPACE.default(), "architecture": "gone"}, seconds=5.0)
    for _ in range(4):
        add(history, rising(0.6), seconds=5.0)
    assert ask(history) is not None
    assert strategy.propose(history, random.Random(0)).candidate.values["architecture"] != "gone"
