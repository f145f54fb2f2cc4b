from __future__ import annotations

import random

import pytest
from spaces import composed, param, profile, reasons

from seedbed.core.errors import UnknownName, UsageError


def test_a_pinned_parameter_has_one_value_in_every_sample():
    found = composed(fixed={"optimizer": "sgd", "optimizer.sgd.lr": 0.25, "augmenter.flip": True})
    rng = random.Random(0)
    for values in [found.space.default(), *(found.space.sample(rng) for _ in range(50))]:
        if values["policy"] != "probe":
            assert (values["optimizer"], values["optimizer.sgd.lr"], values["augmenter.flip"]) == ("sgd", 0.25, True)


def test_a_pinned_value_may_lie_outside_the_domain_that_is_searched():
    assert composed(fixed={"batch_size": 48}).space.default()["batch_size"] == 48


def test_a_whole_number_pins_a_real_parameter():
    (found,) = param(composed(fixed={"optimizer.sgd.lr": 1}), "optimizer.sgd.lr").domain.options
    assert (found, type(found)) == (1.0, float)


@pytest.mark.parametrize(
    ("fixed", "says"),
    [
        ({"batch_size": "many"}, "batch_size"),
        ({"batch_size": 32.5}, "is no int"),
        ({"augmenter.flip": 1}, "is no bool"),
        ({"optimizer.sgd.lr": "fast"}, "is no float"),
        ({"optimizer.sgd.lr": True}, "is no float"),
    ],
)
def test_a_pinned_value_of_another_type_is_refused(fixed, says):
    with pytest.raises(UsageError, match=says):
        composed(fixed=fixed)


@pytest.mark.parametrize(
    ("fixed", "meant"),
    [
        ({"batchsize": 32}, "batch_size"),
        ({"optimizer": "adam"}, "adamw"),
        ({"optimizer.sgd.rl": 0.1}, "optimizer.sgd.lr"),
    ],
)
def test_an_unknown_name_that_is_pinned_says_what_was_meant(fixed, meant):
    with pytest.raises(UnknownName, match=f"Did you mean '{meant}'"):
        composed(fixed=fixed)


def test_pinning_a_refused_component_says_why_it_is_refused():
    with pytest.raises(UsageError, match="small_resnet cannot be used here: it needs images of 8 px"):
        composed(of=profile(size=4), fixed={"architecture": "small_resnet"})


POLICIES = ("scratch", "probe", "head_then_all", "full")


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_can_be_pinned_and_leaves_only_the_nets_that_can_do_it(policy):
    found = composed(hub=False, fixed={"policy": policy})
    rng = random.Random(0)
    for values in [found.space.default(), *(found.space.sample(rng) for _ in range(30))]:
        assert values["policy"] == policy
        found.space.validate(values)
        if policy in ("head_then_all", "full"):
            assert values["architecture"] == "tf_efficientnet_lite0"


def test_a_policy_that_the_pinned_net_cannot_do_is_refused():
    with pytest.raises(UsageError, match="policy"):
        composed(hub=False, fixed={"architecture": "resnet18", "policy": "full"})


def test_a_whole_number_pins_a_choice_of_real_numbers():
    found = composed(fixed={"policy.full.start_size": 1})
    assert param(found, "policy.full.start_size").domain.options == (1.0,)


def test_a_number_that_is_none_cannot_be_pinned():
    with pytest.raises(UsageError, match=r"optimizer\.sgd\.lr"):
        composed(fixed={"optimizer.sgd.lr": float("nan")})


def test_pinning_a_refused_switch_says_why_it_is_refused():
    with pytest.raises(UsageError, match="needs images of 16 px, these have 8"):
        composed(of=profile(size=8), fixed={"augmenter.zoom": True})


def test_pinned_weights_leave_only_the_nets_that_have_them():
    found = composed(fixed={"weights": "efficientnet_lite0"})
    assert reasons(found)["architecture", "resnet18"] == "has no weights=efficientnet_lite0 here"
    assert param(found, "architecture").domain.options == ("tf_efficientnet_lite0",)
    rng = random.Random(0)
    for values in [found.space.default(), *(found.space.sample(rng) for _ in range(30))]:
        found.space.validate(values)
        assert values["policy"] == "scratch" or values["weights"] == "efficientnet_lite0"


@pytest.mark.parametrize(
    ("fixed", "says"),
    [
        (
            {"weights": "efficientnet_lite0", "architecture": "resnet18"},
            "architecture=resnet18 .* has no weights=efficientnet_lite0 here",
        ),
        ({"weights": "efficientnet_lite"}, "weights=efficientnet_lite"),
    ],
)
def test_pinned_weights_that_the_net_does_not_have_are_refused(fixed, says):
    with pytest.raises(UsageError, match=says):
        composed(fixed=fixed)


@pytest.mark.parametrize("is_on", [True, False])
def test_a_switch_that_is_pinned_stands_in_every_candidate_that_is_trained(is_on):
    found = composed(fixed={"regularizer.ema": is_on})
    rng = random.Random(0)
    for values in [found.space.default(), *(found.space.sample(rng) for _ in range(30))]:
        found.space.validate(values)
        if values["policy"] != "probe":
            assert values["regularizer.ema"] is is_on
            assert ("regularizer.ema.window" in values) is is_on
            assert any(name == "regularizer:ema" for name in found.candidate(values).versions) is is_on


def test_who_sets_an_option_of_a_switch_has_switched_it_on():
    found = composed(fixed={"regularizer.ema.window": 0.1})
    assert param(found, "regularizer.ema").domain.options == (True,)
    default = found.space.default()
    assert (default["regularizer.ema"], default["regularizer.ema.window"]) == (True, 0.1)
    assert param(found, "regularizer.swa").domain.options == (False, True)


def test_who_also_says_no_has_it_switched_off():
    default = composed(fixed={"regularizer.ema.window": 0.1, "regularizer.ema": False}).space.default()
    assert default["regularizer.ema"] is False
    assert "regularizer.ema.window" not in default
