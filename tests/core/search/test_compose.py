from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spaces import REGISTRY, composed, offer, param, profile, reasons

from seedbed.core.errors import PluginError, UnknownName, UsageError
from seedbed.core.search.compose import compose
from seedbed.core.settings import Settings
from seedbed.core.specs import (
    ArchitectureSpec,
    AugmenterSpec,
    OptimizerSpec,
    RegularizerSpec,
    Requires,
    WeightsSpec,
)


@pytest.mark.parametrize(
    ("requires", "reason"),
    [
        (Requires(modules=("no_such_module",)), "needs no_such_module, not installed"),
        (Requires(kinds=("regression",)), "is for regression, this is classification"),
        (Requires(min_examples=5000), "needs 5,000 training examples, there are 800"),
        (Requires(min_size=64), "needs images of 64 px, these have 32"),
        (Requires(max_size=16), "is for images up to 16 px, these have 32"),
    ],
)
def test_a_component_whose_requirement_does_not_hold_is_refused_with_the_reason(
    registry_with, offering, requires, reason
):
    spec = offer(RegularizerSpec, "picky", requires=requires)
    found = composed(registry_with(rogue=offering(spec)))
    assert reasons(found)["regularizer", "picky"] == reason
    assert "regularizer.picky" not in {each.name for each in found.space.params}


def test_what_is_for_other_data_is_passed_over_unless_it_is_asked_for(registry_with, offering):
    specs = (
        offer(ArchitectureSpec, "reader", modalities=("text",)),
        offer(AugmenterSpec, "synonyms", modalities=("text", "series")),
        offer(RegularizerSpec, "picky", requires=Requires(modalities=("text",))),
    )
    registry = registry_with(rogue=offering(*specs))
    found = composed(registry)
    assert not {"reader", "synonyms", "picky"} & {name for _, name in reasons(found)}
    assert "reader" not in param(found, "architecture").domain.options
    for fixed in ({"architecture": "reader"}, {"augmenter.synonyms": True}, {"regularizer.picky": True}):
        with pytest.raises(UsageError, match=r"is for text(, series)?, this is image"):
            composed(registry, fixed=fixed)


def test_without_leaves_a_component_out_and_says_so():
    found = composed(without=("optimizer:sgd", "augmenter:flip"))
    assert reasons(found)["optimizer", "sgd"] == "left out with --without optimizer:sgd"
    assert "sgd" not in param(found, "optimizer").domain.options
    assert "augmenter.flip" not in {each.name for each in found.space.params}


def test_without_understands_aliases():
    assert ("augmenter", "colour") in reasons(composed(without=("augmenter:color",)))


def test_use_of_one_of_a_kind_refuses_the_others():
    found = composed(use=("architecture:small_resnet",))
    assert reasons(found)["architecture", "resnet18"] == "not among those named with --use architecture:NAME"
    assert param(found, "architecture").domain.options == ("small_resnet",)
    wished = [each for each in found.refusals if each.reason.startswith("not among")]
    assert {each.kind for each in wished} == {"architecture"}


def test_use_of_a_switch_turns_it_on_for_all_and_leaves_the_others_open():
    found = composed(use=("augmenter:erase",))
    assert param(found, "augmenter.erase").domain.options == (True,)
    assert param(found, "augmenter.flip").domain.options == (False, True)


@pytest.mark.parametrize("wish", ["use", "without"])
def test_an_unknown_component_in_a_wish_says_what_was_meant(wish):
    with pytest.raises(UnknownName, match="Did you mean 'adamw'"):
        composed(**{wish: ("optimizer:adamv",)})


def test_a_wish_that_leaves_no_architecture_says_why_each_is_gone():
    with pytest.raises(UsageError, match="small_resnet: needs images of 8 px, these have 4"):
        composed(of=profile(size=4), use=("architecture:small_resnet",))


def test_a_wish_that_leaves_no_optimizer_says_what_to_take_back():
    with pytest.raises(UsageError, match="take back a --without optimizer"):
        composed(without=tuple(f"optimizer:{name}" for name in REGISTRY.names("optimizer")))


def test_without_a_hub_its_weights_are_refused_and_their_nets_train_from_scratch():
    found = composed(hub=False)
    assert "hub" in reasons(found)["weights", "resnet18_a1_in1k"]
    assert param(found, "policy", architecture="resnet18").domain.options == ("scratch",)
    assert param(found, "weights", architecture="tf_efficientnet_lite0").domain.options == ("efficientnet_lite0",)


def test_with_a_hub_every_policy_is_open_and_the_preferred_weights_come_first():
    found = composed(hub=True)
    assert param(found, "policy", architecture="resnet18").default == "head_then_all"
    assert param(found, "weights", architecture="tf_efficientnet_lite0").default == "efficientnet_lite0"


def test_can_load_is_asked_about_weights_alone():
    asked = []
    compose(profile(), Settings(source="x"), REGISTRY, can_load=lambda spec: not asked.append(spec))
    assert asked
    assert all(isinstance(spec, WeightsSpec) for spec in asked)


def test_use_of_a_switch_understands_aliases():
    assert param(composed(use=("augmenter:color",)), "augmenter.colour").domain.options == (True,)


@pytest.mark.parametrize("wish", ["use", "without"])
def test_a_wish_of_an_unknown_kind_says_what_was_meant(wish):
    with pytest.raises(UnknownName, match="Did you mean 'optimizer'"):
        composed(**{wish: ("optimiser:sgd",)})


def test_a_candidate_carries_the_version_of_every_component_it_names(registry_with, offering):
    specs = (offer(OptimizerSpec, "signum", version=3), offer(RegularizerSpec, "noise", version=2))
    found = composed(registry_with(rogue=offering(*specs)), use=("optimizer:signum", "regularizer:noise"))
    candidate = found.candidate(
        found.space.complete({"architecture": "tf_efficientnet_lite0", "policy": "full", "augmenter.flip": True})
    )
    assert candidate.versions == {
        "architecture:tf_efficientnet_lite0": 1,
        "augmenter:flip": 1,
        "optimizer:signum": 3,
        "regularizer:noise": 2,
        "schedule:cosine": 1,
        "weights:efficientnet_lite0": 1,
    }


def test_what_is_switched_off_needs_no_version():
    found = composed(use=("architecture:small_resnet",))
    assert {each.split(":")[0] for each in found.candidate(found.space.default()).versions} == {
        "architecture",
        "optimizer",
        "schedule",
    }


def test_the_linear_probe_of_the_pixels_is_a_baseline_even_if_another_net_is_asked_for():
    (baseline,) = composed(use=("architecture:small_resnet",)).baselines
    assert baseline.values == {"architecture": "pixels", "policy": "probe"}
    assert baseline.versions == {"architecture:pixels": 1}


def test_a_baseline_that_is_left_out_is_none():
    assert composed(without=("architecture:pixels",)).baselines == ()


def test_a_baseline_for_other_data_is_none_here(registry_with, offering):
    spec = offer(ArchitectureSpec, "words", modalities=("text",), features_only=True, is_baseline=True)
    assert len(composed(registry_with(rogue=offering(spec))).baselines) == 1


@pytest.mark.parametrize(
    "requires",
    [
        Requires(modules=("no_such_module",)),
        Requires(kinds=("regression",)),
        Requires(min_examples=801),
        Requires(max_size=16),
    ],
)
def test_a_baseline_whose_requirement_does_not_hold_is_none_here(registry_with, offering, requires):
    fits = offer(ArchitectureSpec, "fits", modalities=("image",), features_only=True, is_baseline=True)
    picky = replace(fits, name="picky", requires=requires)
    baselines = composed(registry_with(rogue=offering(fits, picky))).baselines
    assert {each.values["architecture"] for each in baselines} == {"pixels", "fits"}


def test_a_fixed_transform_can_only_be_probed():
    found = composed(fixed={"architecture": "pixels"})
    assert found.space.default() == {"architecture": "pixels", "policy": "probe"}


def test_small_data_starts_with_small_batches():
    assert composed(of=profile(train=300)).space.default()["batch_size"] == 32
    assert composed(of=profile(train=30_000)).space.default()["batch_size"] == 128


def test_the_smallest_net_that_learns_is_the_default():
    assert composed().space.default()["architecture"] == "small_resnet"


@given(
    size=st.integers(8, 600),
    train=st.integers(2, 100_000),
    channels=st.sampled_from([1, 3]),
    hub=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_a_space_contains_all_its_own_samples(size, train, channels, hub, seed):
    space = composed(of=profile(size, train, channels), hub=hub).space
    rng = random.Random(seed)
    for values in (space.default(), space.sample(rng), space.sample(rng)):
        space.validate(values)
        if "resolution" in values and values["policy"] == "scratch":
            assert values["resolution"] <= size


def test_a_broken_name_clash_is_not_hidden(registry_with, offering):
    registry = registry_with(rogue=offering(offer(OptimizerSpec, "sgd")))
    with pytest.raises(PluginError, match="rogue"):
        composed(registry)
