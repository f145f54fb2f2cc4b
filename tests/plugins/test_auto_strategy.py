from __future__ import annotations

import copy
import random

import pytest

from seedbed.core.data.profile import Profile
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.compose import compose
from seedbed.core.search.events import TrialFailed, TrialFinished, TrialStarted
from seedbed.core.search.history import History, Remaining
from seedbed.core.settings import Settings
from seedbed.core.task import Task
from seedbed.plugins.strategies import AutoOptions
from seedbed.plugins.strategies.auto import Auto
from seedbed.plugins.strategies.fidelity import PROBE_SHARE
from seedbed.plugins.strategies.portfolio import portfolio
from seedbed.registry.registry import open_registry

REGISTRY = open_registry(installed=False)


def profile(size=28, channels=1, train=2000, direction="max"):
    task = Task(modality="image", kind="classification", classes=("a", "b"), metric="some", direction=direction)
    return Profile(
        task=task,
        examples=train,
        train=train,
        valid=500,
        test=0,
        height=size,
        width=size,
        channels=channels,
        mean=(0.5,) * channels,
        std=(0.5,) * channels,
    )


GREY, PHOTOS = profile(), profile(size=128, channels=3)


def space(of=GREY, **settings):
    return compose(of, Settings(source="x", **settings), REGISTRY, can_load=lambda spec: spec.source != "hub").space


def auto(of=GREY, *, explore=0.2, **settings):
    return Auto(AutoOptions(explore=explore), space(of, **settings), of)


class Search:
    """A strategy at work: each proposal is tried, and scored by `score`."""

    def __init__(self, strategy, *, seconds=None, score=lambda values: 0.5, cost=10.0, epochs=1.0):
        self.strategy, self.left, self.score, self.cost, self.epochs = strategy, seconds, score, cost, epochs
        self.history = History()

    def ask(self, seed=0):
        self.history.remaining = Remaining(seconds=self.left)
        return self.strategy.propose(self.history, random.Random(f"{seed}:{len(self.history)}"))

    def tell(self, values, score=None):
        number = len(self.history)
        self.history.apply(TrialStarted(trial=number, candidate=Candidate(values), fidelity=Fidelity(epochs=1)))
        score = self.score(values) if score is None else score
        ending = TrialFinished(trial=number, score=score, seconds=self.cost, epochs=self.epochs, steps=1)
        self.history.apply(ending)
        if self.left is not None:
            self.left -= self.cost

    def run(self, count):
        found = []
        for _ in range(count):
            proposal = self.ask()
            if proposal is None:
                break
            found.append(proposal)
            self.tell(proposal.candidate.values)
        return found


def kinds(points):
    return [(values["architecture"], values["policy"]) for values in points]


def test_small_images_begin_with_the_small_net_from_scratch():
    assert kinds(portfolio(space(GREY), GREY))[:3] == [
        ("small_resnet", "scratch"),
        ("tf_efficientnet_lite0", "probe"),
        ("tf_efficientnet_lite0", "head_then_all"),
    ]


def test_photographs_begin_with_the_pretrained_net():
    assert kinds(portfolio(space(PHOTOS), PHOTOS))[:3] == [
        ("tf_efficientnet_lite0", "probe"),
        ("tf_efficientnet_lite0", "head_then_all"),
        ("small_resnet", "scratch"),
    ]


def test_images_too_small_to_show_a_pretrained_net_are_spared_it():
    digits = profile(size=8)
    assert {name for name, _ in kinds(portfolio(space(digits), digits))} == {"small_resnet"}


def test_colour_images_may_be_mirrored_and_grey_ones_not():
    for of, is_mirrored in ((GREY, False), (profile(channels=3), True)):
        assert next(iter(portfolio(space(of), of)))["augmenter.flip"] is is_mirrored


@pytest.mark.parametrize("of", [GREY, PHOTOS, profile(size=8), profile(train=50_000)])
def test_every_default_is_a_point_of_the_space_and_differs_from_the_others(of):
    points = list(portfolio(space(of), of))
    for values in points:
        space(of).validate(values)
    assert all(points.count(values) == 1 for values in points)


def test_what_was_pinned_is_in_every_proposal():
    pinned = {"optimizer": "sgd", "optimizer.sgd.lr": 0.3, "batch_size": 48}
    search = Search(auto(fixed=pinned))
    for proposal in search.run(12):
        values = proposal.candidate.values
        if values["policy"] != "probe":
            assert pinned.items() <= values.items()


def test_what_was_left_out_is_never_proposed():
    search = Search(auto(without=("architecture:small_resnet", "optimizer:adamw", "augmenter:shift")))
    for proposal in search.run(12):
        values = proposal.candidate.values
        assert values["architecture"] != "small_resnet"
        assert values.get("optimizer") != "adamw"
        assert "augmenter.shift" not in values


def test_a_component_that_was_asked_for_is_the_only_one():
    found = Search(auto(PHOTOS, use=("architecture:resnet18",))).run(8)
    assert {proposal.candidate.values["architecture"] for proposal in found} == {"resnet18"}


def test_it_is_a_pure_function_of_history_and_random_state():
    search = Search(auto(explore=0.5))
    search.run(6)
    before = copy.deepcopy(search.history.trials)
    asked = [search.ask(seed=7) for _ in range(3)]
    assert asked[0] == asked[1] == asked[2] == Search.ask(_with(search, auto(explore=0.5)), seed=7)
    assert search.history.trials == before


def _with(search, strategy):
    """The same search in the hands of a strategy that has seen nothing yet."""
    other = Search(strategy)
    other.history = search.history
    return other


def test_other_random_states_lead_elsewhere_after_the_defaults():
    search = Search(auto())
    search.run(6)
    assert search.ask(seed=1) != search.ask(seed=2)


def test_nothing_is_proposed_twice():
    found = [proposal.candidate.values for proposal in Search(auto()).run(30)]
    assert len(found) == 30
    assert all(found.count(values) == 1 for values in found)


def test_what_failed_is_not_proposed_again():
    search = Search(auto())
    values = search.ask().candidate.values
    search.history.apply(TrialStarted(trial=0, candidate=Candidate(values), fidelity=Fidelity(epochs=1)))
    search.history.apply(TrialFailed(trial=0, error="boom"))
    assert search.ask().candidate.values != values


def test_a_space_with_one_point_ends_the_search():
    search = Search(auto(fixed={"architecture": "pixels"}))
    assert len(search.run(9)) == 1
    assert search.ask() is None


def test_without_trials_left_nothing_is_proposed():
    search = Search(auto())
    search.history.remaining = Remaining(trials=0)
    assert search.strategy.propose(search.history, random.Random(0)) is None


def test_a_default_that_cannot_be_half_paid_is_passed_over():
    search = Search(auto(), seconds=30.0, cost=10.0, epochs=10.0)
    first = search.ask().candidate.values
    search.tell(first)  # 1 s an epoch: another net from scratch would take about a minute of the 20 s left
    for seed in range(20):
        proposal = search.ask(seed=seed)
        assert proposal is None or proposal.candidate.values["architecture"] != "small_resnet"


def test_no_proposal_asks_for_more_time_than_there_is():
    search = Search(auto(explore=0.9), seconds=200.0, cost=7.0, epochs=20.0)
    for _ in range(15):
        proposal = search.ask()
        if proposal is None:
            break
        assert 0 < proposal.fidelity.seconds <= search.left
        search.tell(proposal.candidate.values)
    assert len(search.history) > 3


def test_a_probe_is_held_to_its_share_of_the_time():
    search = Search(auto(PHOTOS), seconds=100.0)
    assert search.ask().fidelity == Fidelity(epochs=1.0, seconds=PROBE_SHARE * 100.0)


def test_a_probe_without_a_time_limit_has_none():
    assert Search(auto(PHOTOS)).ask().fidelity == Fidelity(epochs=1.0)


@pytest.mark.parametrize(("direction", "best"), [("max", "small_resnet"), ("min", "tf_efficientnet_lite0")])
def test_after_the_defaults_it_varies_the_best_in_the_direction_of_the_metric(direction, best):
    of = profile(direction=direction)
    search = Search(
        Auto(AutoOptions(explore=0.0), space(of), of),
        score=lambda values: 0.9 if values["architecture"] == "small_resnet" else 0.4,
    )
    search.run(len(list(portfolio(space(of), of))))
    found = [search.ask(seed=seed).candidate.values["architecture"] for seed in range(10)]
    assert set(found) == {best}


def test_it_explores_now_and_then():
    search = Search(auto(explore=1.0))
    search.run(len(list(portfolio(space(), GREY))))
    assert len({search.ask(seed=seed).candidate.values["architecture"] for seed in range(30)}) > 3


def test_no_trial_is_stopped():
    search = Search(auto())
    search.run(2)
    assert not any(search.strategy.should_stop(trial, search.history) for trial in search.history)
