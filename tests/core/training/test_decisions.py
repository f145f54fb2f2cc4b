"""What the clock decided in a trial, read back when the trial is done again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core.training.folded import make_folded
from core.training.helpers import looks, make_data, run_job, trial_job

from seedbed.core.errors import TrialError
from seedbed.core.search.candidate import Cut, Fidelity
from seedbed.core.search.events import TrialFinished, TrialStopped
from seedbed.core.training.decisions import Decisions, ScriptOver
from seedbed.core.training.member import PREDICTIONS
from seedbed.core.training.predictions import load_predictions


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"))


def decisions_of(events):
    return tuple(each for event in events for each in getattr(event, "decisions", ()))


def test_what_was_decided_is_decided_again():
    first = Decisions()
    assert first.decide("rows", lambda: 7) == 7
    assert not first.has_happened("over@1", lambda: False)
    assert first.has_happened("over@2", lambda: True)
    first.note("rate@3", 0.5)
    script = first.taken()
    assert script == (("rows", 7), ("over@2", True), ("rate@3", 0.5))
    assert first.taken() == ()
    again = Decisions(script)
    assert again.decide("rows", lambda: 99) == 7
    assert not again.has_happened("over@1", lambda: True)
    assert again.has_happened("over@2", lambda: False)
    assert again.given("rate@2") is None
    assert again.given("rate@3") == 0.5
    assert again.taken() == script


def test_another_question_says_that_the_trial_went_another_way():
    with pytest.raises(TrialError, match="'views' is asked where 'rows' was"):
        Decisions([("rows", 7)]).decide("views", lambda: True)


def test_a_script_that_is_over_ends_the_trial():
    with pytest.raises(ScriptOver):
        Decisions([]).decide("rows", lambda: 1)


class Slower:
    """A clock on which everything takes several times as long, and no two steps the same."""

    def __init__(self):
        self.at = 0.0

    def __call__(self):
        self.at += 0.013 * (1 + hash(round(self.at, 3)) % 7)
        return self.at


@pytest.mark.parametrize("policy", ["scratch", "head_then_all", "probe"])
@pytest.mark.parametrize("folded", [False, True])
def test_a_timed_trial_is_done_again_to_the_last_bit_whatever_the_clock_says(made, tmp_path, policy, folded):
    made = make_folded(tmp_path / "folded") if folded else made
    job = trial_job(made, tmp_path / "first", fidelity=Fidelity(seconds=1.5), policy=policy)
    first = run_job(job)
    assert isinstance(first[-1], TrialFinished)
    again = run_job(replace(job, folder=str(tmp_path / "again"), script=decisions_of(first)), clock=Slower())
    assert isinstance(again[-1], TrialFinished)
    assert decisions_of(again) == decisions_of(first)
    assert [(e.epoch, e.score, e.train_loss, e.lr) for e in looks(again)] == [
        (e.epoch, e.score, e.train_loss, e.lr) for e in looks(first)
    ]
    one, two = (load_predictions(tmp_path / each / PREDICTIONS) for each in ("first", "again"))
    assert (one.outputs == two.outputs).all()


def test_a_trial_that_was_ended_early_ends_at_the_same_look(made, tmp_path):
    job = trial_job(made, tmp_path / "first", fidelity=Fidelity(epochs=6, seconds=60.0))
    stops = iter([False] * 12 + [True] * 1000)
    first = run_job(job, should_stop=lambda: next(stops))
    assert isinstance(first[-1], TrialStopped)
    again = run_job(replace(job, folder=str(tmp_path / "again"), script=decisions_of(first)))
    assert isinstance(again[-1], TrialStopped)
    assert [each.score for each in looks(again)] == [each.score for each in looks(first)]


def test_a_trial_that_misses_a_bar_ends_there_and_keeps_what_it_has(made, tmp_path):
    fidelity = Fidelity(epochs=6, cuts=(Cut(progress=0.35, score=1.1),))
    events = run_job(trial_job(made, tmp_path / "cut", fidelity=fidelity))
    last, curve = events[-1], looks(events)
    assert isinstance(last, TrialStopped)
    assert last.is_cut
    assert "1.1000 was asked for" in last.reason
    assert curve[-1].progress >= 0.35
    assert all(each.progress < 0.35 for each in curve[:-1])
    assert load_predictions(tmp_path / "cut" / PREDICTIONS).outputs.shape[1] == 3


def test_a_trial_that_reaches_the_bar_goes_on_as_if_there_were_none(made, tmp_path):
    fidelity = Fidelity(epochs=6, cuts=(Cut(progress=0.5, score=0.0),))
    with_bar = run_job(trial_job(made, tmp_path / "bar", fidelity=fidelity))
    without = run_job(trial_job(made, tmp_path / "none", fidelity=Fidelity(epochs=6)))
    assert isinstance(with_bar[-1], TrialFinished)
    assert with_bar[-1].score == without[-1].score
