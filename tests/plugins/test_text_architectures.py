from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from seedbed.plugins.architectures.text import TextCNNOptions, register_architectures
from seedbed.plugins.architectures.text.text_cnn import text_cnn
from seedbed.plugins.weights.text import register_weights
from seedbed.registry.conformance.samples import sequence_profile

SPECS = {spec.name: spec for spec in register_architectures()}
PROFILE = sequence_profile("text", vocabulary=40)


def _build(**options):
    torch.manual_seed(0)
    return text_cnn(TextCNNOptions(**options), PROFILE)


def _batch(*rows, length=None):
    length = length or max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (length - len(row))] for row in rows])
    return ids, ids > 0


@pytest.mark.parametrize("widths", ["1-2-3", "3-4-5", "1-2-3-4-5"])
def test_a_text_may_be_shorter_than_every_kernel(widths):
    net = _build(widths=widths).eval()
    assert net(*_batch([7])).shape == (1, net.num_features)
    assert bool(net(*_batch([7])).any())


def test_padding_changes_nothing_however_long_it_is():
    net = _build().eval()
    rows = ([3, 4, 5], [9], [1, 2, 3, 4, 5, 6, 7])
    short, long = net(*_batch(*rows)), net(*_batch(*rows, length=60))
    assert torch.allclose(short, long, atol=1e-6)


def test_a_text_without_tokens_has_no_features():
    net = _build().eval()
    ids, mask = _batch([3, 4], [0, 0])
    assert not net(ids, mask)[1].any()


def test_a_filter_finds_its_words_wherever_they_stand():
    net = _build(widths="2-3-4").eval()
    here, there = net(*_batch([1, 1, 1, 1, 3, 4, 5, 6, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 3, 4, 5, 6, 1, 1, 1, 1]))
    apart = net(*_batch([1, 1, 1, 1, 3, 1, 4, 1, 5, 1, 6, 1, 1, 1]))[0]
    assert torch.allclose(here, there, atol=1e-6)
    assert not torch.allclose(here, apart, atol=1e-2)


def test_order_matters_to_wide_kernels_and_not_to_those_of_one_token():
    one = _build(widths="1-2-3").eval()
    straight, turned = one(*_batch([3, 4, 5], [5, 4, 3]))
    filters = one.num_features // 3
    assert torch.equal(straight[:filters], turned[:filters])
    assert not torch.allclose(straight[filters:], turned[filters:], atol=1e-3)


def test_it_learns_which_words_come_together():
    """Of two classes with the same words only their order tells: 3 before 4, or 4 before 3."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 40, (256, 12), generator=generator)
    targets = torch.arange(256) % 2
    ids[:, 6] = torch.where(targets == 0, 3, 4)
    ids[:, 7] = torch.where(targets == 0, 4, 3)
    net = _build(embedding=64, filters=64)
    head = torch.nn.Linear(net.num_features, 2)
    optimizer = torch.optim.AdamW([*net.parameters(), *head.parameters()], lr=3e-3)
    for _ in range(25):
        optimizer.zero_grad()
        cross_entropy(head(net(ids[:192], ids[:192] > 0)), targets[:192]).backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        right = head(net(ids[192:], ids[192:] > 0)).argmax(1) == targets[192:]
    assert float(right.float().mean()) > 0.9


def test_the_embedding_is_as_large_as_the_vocabulary():
    net = text_cnn(TextCNNOptions(), replace(PROFILE, vocabulary=123))
    assert net.embedding.weight.shape == (123, 128)
    assert not net.embedding.weight[0].any()


def test_every_architecture_with_weights_names_some_that_are_offered_for_it():
    offered = {spec.name: spec.architecture for spec in register_weights()}
    named = {name: spec.name for spec in SPECS.values() for name in spec.weights}
    assert named == offered


def test_what_gains_little_is_offered_on_request_alone():
    assert {name for name, spec in SPECS.items() if spec.on_request} == {"transformer", "word_gru", "word_lstm"}


def test_there_is_one_baseline_and_it_needs_no_extra():
    (baseline,) = (spec for spec in SPECS.values() if spec.is_baseline)
    assert baseline.features_only
    assert baseline.requires.modules == ("sklearn",)
