from __future__ import annotations

import logging
import socket
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import nn

from seedbed.core.errors import TrialError
from seedbed.plugins.architectures.images import AnyTimmOptions, TimmOptions, register_architectures
from seedbed.plugins.architectures.images.table import TIMM
from seedbed.plugins.architectures.images.timm_models import build, by_name
from seedbed.plugins.weights.images import loaders, register_weights
from seedbed.plugins.weights.images.cache import Named, any_cached, cached, cached_file
from seedbed.plugins.weights.images.table import HUB
from seedbed.registry.conformance.samples import profile_of

WEIGHTS = {spec.name: spec for spec in register_weights()}
IDS = [row.name for row in HUB]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty Hugging Face cache, and no network."""

    def unreachable(*_, **__):
        raise socket.gaierror("no network in this test")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    return tmp_path


def _put(cache, name, file, save):
    """Lay a file into the cache as the hub's client does."""
    repository = cache / f"models--timm--{name}"
    folder = repository / "snapshots" / "abc"
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc", encoding="utf-8")
    save(folder / file)
    return folder / file


def _state(net, *, classes=1000, features=512):
    """What timm's own file of a ResNet holds: the classifier too."""
    state = {name: torch.randn_like(each) if each.is_floating_point() else each.clone()
             for name, each in net.state_dict().items()}  # fmt: skip
    return state | {"fc.weight": torch.zeros(classes, features), "fc.bias": torch.zeros(classes)}


def test_a_file_of_the_cache_is_found_the_preferred_one_first(cache):
    assert cached_file("timm/a.b") is None
    assert not any_cached()
    assert not cached.a.b()
    path = _put(cache, "a.b", "pytorch_model.bin", lambda at: at.write_bytes(b""))
    assert cached_file("timm/a.b") == path
    path.with_name("model.safetensors").write_bytes(b"")
    assert cached_file("timm/a.b") == path.with_name("model.safetensors")
    assert any_cached()
    assert cached.a.b()
    assert not cached.a.c()


def test_an_empty_folder_of_the_cache_holds_no_weights(cache):
    (cache / "models--timm--a.b" / "snapshots" / "abc").mkdir(parents=True)
    assert not any_cached()


def test_a_dotted_name_reaches_the_function_with_its_arguments():
    assert Named(lambda name, *rest: (name, rest)).resnet18.a1_in1k(1, 2) == ("resnet18.a1_in1k", (1, 2))
    with pytest.raises(AttributeError):
        Named(print).__wrapped__  # noqa: B018 - asking is the test


def test_every_pretrained_name_of_an_architecture_is_offered_for_it():
    for row in TIMM:
        assert row.weights, row.name
        assert {WEIGHTS[name].architecture for name in row.weights} == {row.name}


def test_all_offered_weights_have_an_architecture_that_names_them():
    used = {name for spec in register_architectures() for name in spec.weights}
    assert used == set(WEIGHTS)


def test_all_licences_of_the_table_allow_commercial_use():
    licences = {spec.licence for spec in WEIGHTS.values() if spec.architecture != "timm"}
    assert licences == {"Apache-2.0", "MIT", "BSD-3-Clause"}


def test_weights_of_a_model_yet_to_be_named_leave_inputs_as_they_are():
    spec = WEIGHTS["timm_default"]
    assert (spec.mean, spec.std) == ((0, 0, 0), (1, 1, 1))
    assert "see its card" in spec.licence


def test_the_default_weights_fit_no_other_backbone():
    with pytest.raises(TrialError, match="backbones of the architecture timm alone"):
        loaders.timm_default(nn.Identity())


def test_without_a_network_the_hubs_client_is_not_even_asked(cache, monkeypatch):
    """It would retry for three quarters of a minute."""
    asked = []
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *given, **_: asked.append(given))
    config = SimpleNamespace(hf_hub_id="timm/a.b", hf_hub_filename=None)
    with pytest.raises(TrialError, match=r"timm/a\.b could not be loaded: the hub does not answer") as refusal:
        loaders._file("a.b", config)
    assert "weights=efficientnet_lite0, which is installed" in str(refusal.value)
    assert asked == []


def _online(monkeypatch, download):
    monkeypatch.setattr(loaders, "Network", lambda **_: SimpleNamespace(is_online=True))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)


def test_what_is_not_in_the_cache_is_fetched_under_the_name_that_it_has(cache, monkeypatch):
    from huggingface_hub.errors import EntryNotFoundError

    asked = []

    def download(repository, file, *, revision):
        asked.append((repository, file, revision))
        if file == "model.safetensors":
            raise EntryNotFoundError("404")
        return "/somewhere/pytorch_model.bin"

    _online(monkeypatch, download)
    config = SimpleNamespace(hf_hub_id="timm/a.b@v2", hf_hub_filename=None)
    assert loaders._file("a.b", config).name == "pytorch_model.bin"
    assert asked == [("timm/a.b", "model.safetensors", "v2"), ("timm/a.b", "pytorch_model.bin", "v2")]


def test_a_connection_that_breaks_is_told_in_one_line_with_a_way_out(cache, monkeypatch):
    from huggingface_hub.errors import LocalEntryNotFoundError

    def download(*_, **__):  # a kind of "not found" that means: neither reached nor cached
        raise LocalEntryNotFoundError("no route to host\nand more")

    _online(monkeypatch, download)
    config = SimpleNamespace(hf_hub_id="timm/a.b", hf_hub_filename="weights.bin")
    with pytest.raises(TrialError, match=r"timm/a\.b could not be loaded: no route to host") as refusal:
        loaders._file("a.b", config)
    assert "and more" not in str(refusal.value)


def test_a_repository_without_weights_says_so(cache, monkeypatch):
    from huggingface_hub.errors import EntryNotFoundError

    def download(*_, **__):
        raise EntryNotFoundError("404")

    _online(monkeypatch, download)
    with pytest.raises(TrialError, match=r"timm/a\.b holds none of model\.safetensors, pytorch_model\.bin"):
        loaders._file("a.b", SimpleNamespace(hf_hub_id="timm/a.b", hf_hub_filename=None))


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_tensors_are_read_from_either_form_of_file(tmp_path, file):
    tensors = {"a": torch.arange(3.0)}
    (save_file if file.endswith("tensors") else torch.save)(tensors, tmp_path / file)
    assert torch.equal(loaders._read(tmp_path / file)["a"], tensors["a"])


def test_a_file_that_holds_more_than_tensors_is_not_run(tmp_path):
    import pickle

    torch.save({"a": Crafted()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(pickle.UnpicklingError):
        loaders._read(tmp_path / "pytorch_model.bin")


class Crafted:
    def __reduce__(self):
        return (print, ("code was run",))


@pytest.mark.slow
@pytest.mark.parametrize("row", HUB, ids=IDS)
def test_what_the_table_says_of_weights_is_what_timm_declares(row):
    from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(f"{row.architecture}.{row.tag}", allow_unregistered=False)
    assert config is not None, f"timm knows no {row.architecture}.{row.tag}"
    assert config.tag == row.tag
    assert row.normalisation == (tuple(config.mean), tuple(config.std))
    assert row.resolution == config.input_size[-1]
    # timm 1.0 did not name all licences from the beginning.
    assert config.license is None or config.license.lower() == row.licence.lower()


@pytest.mark.slow
def test_cached_weights_are_loaded_without_a_network(cache):
    net = build("resnet18", TimmOptions(), profile_of(channels=3))
    state = _state(net.net)
    _put(cache, "resnet18.a1_in1k", "model.safetensors", lambda at: save_file(state, at))
    loaders.hub.resnet18.a1_in1k(net)
    assert all(torch.equal(each, state[name]) for name, each in net.net.state_dict().items())


@pytest.mark.slow
def test_weights_of_another_net_are_refused_in_words(cache):
    state = _state(build("resnet18", TimmOptions(), profile_of(channels=3)).net)
    _put(cache, "resnet34.a1_in1k", "model.safetensors", lambda at: save_file(state, at))
    with pytest.raises(TrialError, match=r"timm/resnet34\.a1_in1k do not fit this backbone: .*state_dict"):
        loaders.hub.resnet34.a1_in1k(build("resnet34", TimmOptions(), profile_of(channels=3)))


@pytest.mark.slow
def test_a_vit_takes_its_weights_whatever_the_size_of_its_images(cache):
    net = build("vit_tiny_patch16_224", TimmOptions(), profile_of(channels=3, size=48))
    state = _state(net.net, features=192)
    state = {name.replace("fc.", "head."): each for name, each in state.items()}
    _put(cache, "vit_tiny_patch16_224.augreg_in21k_ft_in1k", "model.safetensors", lambda at: save_file(state, at))
    loaders.hub.vit_tiny_patch16_224.augreg_in21k_ft_in1k(net)
    assert torch.equal(net.net.pos_embed, state["pos_embed"])


@pytest.mark.slow
def test_a_model_of_any_name_gets_its_own_weights_and_normalisation(cache, caplog):
    net = by_name(AnyTimmOptions(model="resnet34.ra4_e3600_r224_in1k"), profile_of(channels=3))
    state = _state(net.net)
    _put(cache, "resnet34.ra4_e3600_r224_in1k", "model.safetensors", lambda at: save_file(state, at))
    loaders.timm_default(net)
    assert all(torch.equal(each, state[name]) for name, each in net.net.state_dict().items())
    assert net.mean.flatten().tolist() == [0.5, 0.5, 0.5]
    assert net.std.flatten().tolist() == [0.5, 0.5, 0.5]
    assert not caplog.records


@pytest.mark.slow
def test_a_name_without_a_tag_stands_for_timms_default_weights(cache):
    net = by_name(AnyTimmOptions(model="resnet18"), profile_of(channels=3))
    state = _state(net.net)
    _put(cache, "resnet18.a1_in1k", "model.safetensors", lambda at: save_file(state, at))
    loaders.timm_default(net)
    assert torch.equal(net.net.conv1.weight, state["conv1.weight"])
    assert net.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])


@pytest.mark.slow
def test_a_licence_that_forbids_commercial_use_is_told(cache, caplog):
    net = by_name(AnyTimmOptions(model="resnet18.fb_swsl_ig1b_ft_in1k"), profile_of(channels=3))
    with caplog.at_level(logging.WARNING), pytest.raises(TrialError, match="hub does not answer"):
        loaders.timm_default(net)
    assert "under the licence cc-by-nc-4.0" in caplog.text


@pytest.mark.slow
def test_weights_that_timm_does_not_know_are_refused():
    with pytest.raises(
        TrialError, match=r"timm knows no weights 'resnet18.no_such_tag'; timm.list_pretrained\(\) names all"
    ):
        loaders.load_from_hub("resnet18.no_such_tag", nn.Identity())
