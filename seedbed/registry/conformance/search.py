"""What strategies and rules are held to."""
# ruff: noqa: D102 - a test's name is its docstring

from __future__ import annotations

import math
import random
from copy import deepcopy
from typing import cast

from seedbed.core.data.profile import Finding
from seedbed.core.protocols import Rule, Strategy
from seedbed.core.search.candidate import Proposal
from seedbed.core.search.events import EpochFinished, Event, TrialFailed, TrialFinished, TrialStarted
from seedbed.core.search.history import History, Remaining
from seedbed.core.space import Space
from seedbed.core.specs import RuleSpec, StrategySpec
from seedbed.registry.conformance.base import SpecContract
from seedbed.registry.conformance.samples import conditional_space, curve, profile_of, trial_with

TRIALS = 30


class StrategyContract(SpecContract):
    """`build(options, space, profile)` gives a strategy: pure functions of the history and a generator."""

    kind = "strategy"

    def space(self) -> Space:
        """Return the space to search; override where a strategy needs another."""
        return conditional_space()

    def build(self, spec: StrategySpec) -> Strategy:
        """Build the strategy with all options at their defaults."""
        return cast(Strategy, self.load(spec)(spec.options(), self.space(), profile_of()))

    def test_what_it_proposes_lies_in_the_space(self, spec: StrategySpec) -> None:
        strategy, history, space = self.build(spec), _fresh(TRIALS), self.space()
        for number in range(TRIALS):
            proposal = strategy.propose(history, random.Random(number))
            if proposal is None:
                break
            space.validate(proposal.candidate.values)
            _succeed(history, number, proposal)
        assert len(history) > 0, "with nothing tried and a budget left there must be something to try"

    def test_equal_histories_and_seeds_give_equal_proposals(self, spec: StrategySpec) -> None:
        strategy, history = self.build(spec), _fresh(TRIALS)
        for number in range(8):
            proposal = strategy.propose(history, random.Random(number))
            # A strategy that was just built knows nothing but the history: as after --resume.
            assert proposal == self.build(spec).propose(history, random.Random(number)), f"proposal {number}"
            if proposal is None:
                break
            _succeed(history, number, proposal)

    def test_it_changes_nothing_in_the_history(self, spec: StrategySpec) -> None:
        strategy, history = self.build(spec), _fresh(TRIALS)
        for number in range(4):
            before = deepcopy(vars(history))
            proposal = strategy.propose(history, random.Random(number))
            for trial in history:
                strategy.should_stop(trial, history)
            assert vars(history) == before
            if proposal is None:
                break
            _succeed(history, number, proposal)

    def test_it_goes_on_after_failures(self, spec: StrategySpec) -> None:
        strategy, history = self.build(spec), _fresh(TRIALS)
        for number in range(10):
            proposal = strategy.propose(history, random.Random(number))
            if proposal is None:
                break
            self.space().validate(proposal.candidate.values)
            _fail(history, number, proposal)
        assert len(history) > 0

    def test_it_works_while_trials_run(self, spec: StrategySpec) -> None:
        strategy, history = self.build(spec), _fresh(TRIALS)
        for number in range(3):
            proposal = strategy.propose(history, random.Random(number))
            if proposal is None:
                break
            self.space().validate(proposal.candidate.values)
            _apply(history, _start(number, proposal), *_looks(number, [0.1, 0.2]))
            assert isinstance(strategy.should_stop(history.trials[number], history), bool)

    def test_it_proposes_nothing_when_no_trial_is_left(self, spec: StrategySpec) -> None:
        assert self.build(spec).propose(_fresh(0), random.Random(0)) is None


class RuleContract(SpecContract):
    """`build(options)` gives a rule: a trial's curve → a finding with its remedy, or None; pure."""

    kind = "rule"

    def build(self, spec: RuleSpec) -> Rule:
        """Build the rule with all options at their defaults."""
        return cast(Rule, self.load(spec)(spec.options()))

    def test_it_says_nothing_of_an_empty_curve(self, spec: RuleSpec) -> None:
        assert self.build(spec)(trial_with(())) is None

    def test_it_gives_evidence_and_remedy(self, spec: RuleSpec) -> None:
        rule = self.build(spec)
        for looks in _CURVES.values():
            finding = rule(trial_with(looks))
            if finding is not None:
                assert isinstance(finding, Finding)
                assert finding.evidence.strip(), "say what was seen"
                assert finding.remedy.strip(), "say what to do about it"

    def test_it_is_pure(self, spec: RuleSpec) -> None:
        rule = self.build(spec)
        once = [rule(trial_with(looks)) for looks in _CURVES.values()]
        again = [rule(trial_with(looks)) for looks in reversed(_CURVES.values())]
        assert once == again[::-1], "the finding depends on what was asked before"

    def test_it_says_nothing_of_one_look(self, spec: RuleSpec) -> None:
        finding = self.build(spec)(trial_with(curve([0.5])))
        assert finding is None or finding.severity != "error", "one look is too little for a verdict"


_RISING = [0.2, 0.5, 0.7, 0.8, 0.85, 0.87, 0.88, 0.88, 0.885, 0.89]
_CURVES = {
    "learning": curve(_RISING),
    "flat": curve([0.33] * 10, train=[1.1] * 10, valid=[1.1] * 10),
    "overfitting": curve(
        _RISING,
        train=[1 / (1 + 3 * epoch) for epoch in range(10)],
        valid=[0.5 + 0.2 * epoch for epoch in range(10)],
    ),
    "jumping": curve([0.5, 0.1] * 5, train=[0.2, 2.0] * 5, valid=[0.3, 3.0] * 5),
    "without losses": curve(_RISING, train=[None] * 10, valid=[None] * 10),
    "diverging": curve([0.5, 0.3, 0.1], train=[1.0, 50.0, math.inf], valid=[1.0, 70.0, math.nan]),
    "short": curve([0.2, 0.4]),
}


def _fresh(trials: int) -> History:
    history = History()
    history.profile = profile_of()
    history.remaining = Remaining(trials=trials)
    return history


def _start(number: int, proposal: Proposal) -> TrialStarted:
    return TrialStarted(
        at=float(number),
        trial=number,
        candidate=proposal.candidate,
        fidelity=proposal.fidelity,
        role=proposal.role,
    )


def _looks(number: int, scores: list[float]) -> list[EpochFinished]:
    return [
        EpochFinished(
            at=number + 0.5,
            trial=number,
            epoch=float(place + 1),
            progress=(place + 1) / len(scores),
            train_loss=1.0,
            valid_loss=1.0,
            score=score,
            seconds=0.5,
            is_best=True,
        )
        for place, score in enumerate(scores)
    ]


def _succeed(history: History, number: int, proposal: Proposal) -> None:
    # A score that depends on the candidate and on nothing else, as a real one would.
    score = 0.5 + int(proposal.candidate.fingerprint, 16) % 1000 / 2000
    done = TrialFinished(at=number + 1.0, trial=number, score=score, seconds=1.0, epochs=1.0, steps=10)
    _apply(history, _start(number, proposal), *_looks(number, [score / 2, score]), done)


def _fail(history: History, number: int, proposal: Proposal) -> None:
    _apply(history, _start(number, proposal), TrialFailed(at=number + 1.0, trial=number, error="ValueError: no"))


def _apply(history: History, *events: Event) -> None:
    for event in events:
        history.apply(event)
    history.remaining = Remaining(trials=TRIALS - len(history))
