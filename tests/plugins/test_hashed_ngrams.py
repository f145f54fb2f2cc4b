from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from seedbed.core.training.sparse import apply_linear
from seedbed.core.training.sparse_head import fit_sparse_head
from seedbed.plugins.architectures.text import BagOfWordsOptions, NgramsOptions
from seedbed.plugins.architectures.text import hashed_ngrams as module
from seedbed.plugins.architectures.text.hashed_ngrams import bag_of_words, hashed_ngrams
from seedbed.registry.conformance.samples import sequence_profile

PROFILE = sequence_profile("text", classes=2)
TEXTS = ["a good film", "a bad film, bad", "", "I wept", "не плохо", "好电影", "no no no"]


def _build(**options):
    return hashed_ngrams(NgramsOptions(**options), PROFILE)


def _fitted(backbone, texts):
    backbone.fit(iter([(list(texts),)]), torch.Generator().manual_seed(0))
    return backbone


def _similar(features):
    dense = features.to_dense()
    return (dense @ dense.T).numpy()


def test_likenesses_of_texts_are_those_of_scikit_learns_tf_idf():
    """Hashing changes which column an n-gram has, and nothing else while no two of them meet."""
    ours = _similar(_fitted(_build(), TEXTS)(TEXTS))
    theirs = np.zeros_like(ours)
    for kind in (
        {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"},
        {"ngram_range": (2, 5), "analyzer": "char_wb"},
    ):
        found = TfidfVectorizer(sublinear_tf=True, **kind).fit_transform(TEXTS)
        theirs += (found @ found.T).toarray()
    assert np.allclose(ours, theirs, atol=1e-5)


def test_each_block_of_a_text_has_length_one_and_an_empty_text_no_values():
    features = _fitted(_build(), TEXTS)(TEXTS)
    halves = features.to_dense().reshape(len(TEXTS), 2, -1).norm(dim=2)
    assert torch.allclose(halves, torch.tensor([[float(bool(text))] * 2 for text in TEXTS]), atol=1e-5)


def test_no_texts_give_no_rows():
    assert _build()([]).shape == (0, 2**18)


def test_words_without_spaces_between_them_are_told_apart_by_characters():
    rng = np.random.default_rng(0)
    filler = "电影故事导演演员音乐画面时间我们他们这个那个"
    texts, targets = [], []
    for number in range(400):
        middle = ("精彩", "无聊")[number % 2]
        signs = rng.choice(list(filler), 12).tolist()
        texts.append("".join([*signs[:6], middle, *signs[6:]]))
        targets.append(number % 2)
    backbone = _fitted(_build(bits=16), texts[:300])
    head = fit_sparse_head(
        backbone(texts[:300]), torch.tensor(targets[:300]), "classification", 2, torch.Generator().manual_seed(0)
    )
    found = apply_linear(backbone(texts[300:]), head.weight, head.bias).argmax(1)
    assert float((found == torch.tensor(targets[300:])).float().mean()) > 0.95


def test_rare_words_weigh_more_than_common_ones():
    backbone = _fitted(bag_of_words(BagOfWordsOptions(), PROFILE), ["the film", "the end", "the cat"])
    values = backbone(["the cat"]).values()
    assert float(values.max()) > 1.4 * float(values.min())


def test_before_it_is_fitted_all_weigh_the_same():
    values = bag_of_words(BagOfWordsOptions(), PROFILE)(["the cat"]).values()
    assert torch.allclose(values, torch.full((2,), 0.5**0.5))


def test_fitting_reads_no_more_texts_than_it_needs(monkeypatch):
    monkeypatch.setattr(module, "_MOST_TEXTS", 10)
    read = []

    def batches():
        for number in range(100):
            read.append(number)
            yield (["a film", "the end", "I wept", "no"],)

    _build(bits=16).fit(batches(), torch.Generator())
    assert read == [0, 1, 2]


def test_learning_from_batches_is_learning_from_all_at_once():
    one, other = _build(bits=16), _fitted(_build(bits=16), TEXTS)
    one.fit(((TEXTS[at : at + 2],) for at in range(0, len(TEXTS), 2)), torch.Generator())
    assert torch.equal(one.rarity, other.rarity)


@pytest.mark.parametrize(("classes", "features"), [(2, 2**18), (256, 2**18), (1000, 2**16), (100_000, 2**12)])
def test_the_more_classes_the_fewer_columns_so_that_the_head_stays_small(classes, features):
    profile = replace(PROFILE, task=replace(PROFILE.task, classes=tuple(map(str, range(classes)))))
    assert hashed_ngrams(NgramsOptions(), profile).num_features == features


def test_a_bag_of_words_knows_no_order_and_no_parts_of_words():
    backbone = bag_of_words(BagOfWordsOptions(), PROFILE)
    one, other, inflected = backbone(["good film", "film good", "goods films"]).to_dense()
    assert torch.equal(one, other)
    assert float(one @ inflected) == 0.0


def test_nothing_is_said_of_sparse_tensors_being_new():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _build(bits=16)(TEXTS)
