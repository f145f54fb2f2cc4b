from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import EpochFinished
from seedbed.core.search.history import Trial
from seedbed.plugins.rules import curves, register_rules

VALUES = {
    "architecture": "resnet",
    "optimizer": "sgd",
    "optimizer.sgd.lr": 0.1,
    "optimizer.sgd.momentum": 0.9,
    "regularizer.dropout": False,
    "regularizer.label_smoothing": True,
    "regularizer.label_smoothing.amount": 0.1,
    "augmenter.flip": True,
    "augmenter.cutout": False,
}


def trial(train=None, valid=None, scores=None, *, status="finished", values=VALUES):
    """A trial with one look an epoch; higher scores are better."""
    looks = len(next(each for each in (train, valid, scores) if each is not None))
    scores = scores or [0.5] * looks
    curve = tuple(
        EpochFinished(
            trial=0,
            epoch=float(index + 1),
            progress=(index + 1) / looks,
            train_loss=train[index] if train else None,
            valid_loss=valid[index] if valid else None,
            score=scores[index],
            seconds=float(index),
            is_best=scores[index] > max(scores[:index], default=-1.0),
        )
        for index in range(looks)
    )
    return Trial(number=0, candidate=Candidate(values), fidelity=Fidelity(epochs=looks), status=status, curve=curve)


def ask(name, about):
    spec = next(each for each in register_rules() if each.name == name)
    return getattr(curves, spec.build.partition(":")[2])(spec.options())(about)


FALLING = [1.5, 1.0, 0.7, 0.5, 0.4, 0.35, 0.31, 0.3]
GOOD = trial(FALLING, [loss + 0.1 for loss in FALLING], [0.5, 0.7, 0.8, 0.85, 0.88, 0.9, 0.905, 0.906])
OVERFITTED = trial([1.5, 0.9, 0.5, 0.2, 0.1], [1.4, 1.0, 0.9, 1.1, 1.3], [0.4, 0.6, 0.7, 0.69, 0.68])
FLAT = trial([2.31, 2.30, 2.31, 2.30], [2.3, 2.3, 2.3, 2.3], [0.10, 0.11, 0.10, 0.10])
RISING = trial(FALLING, FALLING, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
JUMPY = trial([1.0, 0.5, 1.2, 0.5, 0.4, 1.5, 0.6], None, [0.5, 0.7, 0.4, 0.7, 0.72, 0.3, 0.6])


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (GOOD, set()),
        (OVERFITTED, {"overfitting"}),
        (FLAT, {"not_learning"}),
        (RISING, {"not_converged"}),
        (JUMPY, {"unstable"}),
    ],
)
def test_each_case_is_found_by_its_rule_alone(case, expected):
    found = {spec.name for spec in register_rules() if ask(spec.name, case) is not None}
    assert found == expected


def test_a_finding_carries_the_name_of_its_rule():
    cases = {"overfitting": OVERFITTED, "not_learning": FLAT, "not_converged": RISING, "unstable": JUMPY}
    assert {name: ask(name, case).check for name, case in cases.items()} == {name: name for name in cases}


def test_overfitting_shows_its_numbers_and_names_the_switches_that_are_off():
    found = ask("overfitting", OVERFITTED)
    assert found.evidence == (
        "from epoch 3 to 5 the training loss fell from 0.5 to 0.1 while the validation loss rose from 0.9 to 1.3."
    )
    assert "augmenter.cutout or regularizer.dropout" in found.remedy
    assert "augmenter.flip" not in found.remedy
    assert "label_smoothing" not in found.remedy


def test_overfitting_with_everything_on_advises_to_raise_it():
    values = {name: True if value is False else value for name, value in VALUES.items()}
    found = ask("overfitting", replace(OVERFITTED, candidate=Candidate(values)))
    assert "Raise the options under regularizer" in found.remedy


def test_a_validation_loss_that_rises_with_the_training_loss_is_no_overfitting():
    assert ask("overfitting", trial([0.5, 0.3, 0.8, 0.9], [0.6, 0.4, 0.9, 1.0])) is None


def test_a_flat_loss_at_a_low_level_has_learnt():
    assert ask("not_learning", trial([0.05, 0.05, 0.05, 0.05], None, [0.98, 0.98, 0.98, 0.98])) is None


def test_a_flat_loss_under_a_rising_score_is_learning():
    assert ask("not_learning", trial([2.3, 2.3, 2.29, 2.29], None, [0.1, 0.2, 0.3, 0.4])) is None


def test_not_learning_names_the_learning_rate_that_was_used():
    found = ask("not_learning", FLAT)
    assert "optimizer.sgd.lr (here 0.1)" in found.remedy
    assert "0.1 and 0.11" in found.evidence


def test_only_a_trial_that_ended_as_planned_can_be_short_of_time():
    assert ask("not_converged", replace(RISING, status="running")) is None
    assert ask("not_converged", replace(RISING, status="stopped")) is None


def test_a_trial_that_was_better_before_its_end_has_converged():
    assert ask("not_converged", trial(None, FALLING, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.9, 0.8])) is None


def test_not_converged_shows_where_the_score_came_from():
    assert "from 0.6 at 75% of the planned work to 0.8 at its end" in ask("not_converged", RISING).evidence


def test_one_jump_is_a_change_of_phase_and_two_are_unstable():
    assert ask("unstable", trial([1.0, 0.5, 1.2, 0.6, 0.4])) is None
    found = ask("unstable", JUMPY)
    assert found.count == 2
    assert "most at epoch 6: from 0.4 to 1.5" in found.evidence


def test_small_losses_may_double():
    assert ask("unstable", trial([0.01, 0.02, 0.01, 0.02, 0.01, 0.02])) is None


LOSSES = st.lists(st.none() | st.floats(0, 1e6), max_size=8)


@given(LOSSES, LOSSES, st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8))
def test_rules_live_with_any_curve(train, valid, scores):
    looks = len(scores)
    padded = [(each + [None] * looks)[:looks] for each in (train, valid)]
    for spec in register_rules():
        found = ask(spec.name, trial(*padded, scores))
        assert found is None or (found.evidence and found.remedy)


def test_rules_are_silent_about_a_trial_without_a_curve():
    empty = replace(GOOD, curve=())
    assert [ask(spec.name, empty) for spec in register_rules()] == [None] * 4
