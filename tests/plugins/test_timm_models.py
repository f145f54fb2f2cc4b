from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from seedbed.core.errors import TrialError
from seedbed.plugins.architectures.images import TIMM, TimmOptions, register_architectures
from seedbed.plugins.architectures.images.timm_models import build, named
from seedbed.plugins.weights.images import register_weights
from seedbed.plugins.weights.images.cache import Named
from seedbed.registry.conformance.samples import profile_of

pytestmark = pytest.mark.slow  # timm takes ten seconds to import

WEIGHTS = {spec.name: spec for spec in register_weights()}
HUB = [spec for spec in WEIGHTS.values() if spec.source == "hub"]


def _config(spec):
    """What timm says of the weights that a spec names in its reference."""
    from timm.models import get_pretrained_cfg

    architecture, tag = spec.build.rsplit("hub.", 1)[1].split(".")
    assert architecture == spec.architecture
    found = get_pretrained_cfg(f"{architecture}.{tag}", allow_unregistered=False)
    assert found is not None, f"timm knows no {architecture}.{tag}"
    assert found.tag == tag
    return found


def _ids(specs):
    return [spec.name for spec in specs]


@pytest.mark.parametrize("spec", HUB, ids=_ids(HUB))
def test_the_normalisation_and_size_are_those_that_timm_declares(spec):
    config = _config(spec)
    assert (spec.mean, spec.std) == (tuple(config.mean), tuple(config.std))
    assert spec.resolution == config.input_size[-1]


@pytest.mark.parametrize("spec", HUB, ids=_ids(HUB))
def test_the_licence_is_the_one_that_timm_declares(spec):
    """timm 1.0 names the licence of a few weights; where it does not, its own (Apache-2.0) or the origin's holds."""
    declared = getattr(_config(spec), "license", None)
    assert declared is None or declared.lower() == spec.licence.lower()


def test_every_pretrained_name_of_an_architecture_is_offered_for_it():
    for row in TIMM:
        assert row.weights, row.name
        assert {WEIGHTS[name].architecture for name in row.weights} == {row.name}


def test_all_offered_weights_have_an_architecture_that_names_them():
    used = {name for spec in register_architectures() for name in spec.weights}
    assert used == set(WEIGHTS)


def test_all_licences_allow_commercial_use():
    assert {spec.licence for spec in WEIGHTS.values()} <= {"Apache-2.0", "MIT", "BSD-3-Clause"}


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0", "mobilenetv3_large_100"])
def test_the_declared_number_of_parameters_is_exact(name):
    (row,) = (each for each in TIMM if each.name == name)
    net = build(name, TimmOptions(), profile_of(channels=3))
    assert sum(each.numel() for each in net.parameters()) == row.parameters


def test_features_come_as_wide_as_they_are_announced():
    """MobileNetV3 widens its feature map once more before the classifier."""
    net = named.mobilenetv3_large_100(TimmOptions(), profile_of(channels=1)).eval()
    with torch.no_grad():
        assert net(torch.randn(1, 1, 64, 64)).shape == (1, net.num_features) == (1, 1280)


@pytest.mark.parametrize("name", [row.name for row in TIMM])
def test_every_family_takes_its_options(name):
    """`drop_path` is searched for all of them: none may stumble over it."""
    assert [field.name for field in fields(TimmOptions)] == ["drop_path"]
    with torch.device("meta"):
        build(name, TimmOptions(drop_path=0.2), profile_of(channels=3))


def test_a_model_that_timm_does_not_know_says_where_the_names_are():
    with pytest.raises(TrialError, match=r"knows no model 'resnet19'; timm\.list_models\(\) names all"):
        named.resnet19(TimmOptions(), profile_of())


def test_weights_that_timm_does_not_know_are_refused():
    from seedbed.plugins.weights.images.loaders import load_from_hub

    with pytest.raises(
        TrialError, match=r"timm knows no weights 'resnet18.no_such_tag'; timm.list_pretrained\(\) names all"
    ):
        load_from_hub("resnet18.no_such_tag", torch.nn.Identity())


def test_weights_out_of_reach_say_what_to_do_without_a_network(monkeypatch):
    import timm.models

    from seedbed.plugins.weights.images.loaders import hub

    def unreachable(*_, **__):
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(timm.models, "load_pretrained", unreachable)
    with pytest.raises(TrialError, match=r"timm/resnet18\.a1_in1k could not be loaded: no route to host") as refusal:
        hub.resnet18.a1_in1k(torch.nn.Identity())
    assert "weights=efficientnet_lite0, which is installed" in str(refusal.value)
    assert "and more" not in str(refusal.value)


def test_a_dotted_name_reaches_the_function_with_its_arguments():
    assert Named(lambda name, *rest: (name, rest)).resnet18.a1_in1k(1, 2) == ("resnet18.a1_in1k", (1, 2))
    with pytest.raises(AttributeError):
        Named(print).__wrapped__  # noqa: B018 - asking is the test
