from __future__ import annotations

from dataclasses import fields, replace
from itertools import product

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from seedbed.core.data.profile import Lengths, Profile
from seedbed.core.space import Choice, domains
from seedbed.core.task import Task
from seedbed.plugins.architectures.series import (
    FCNOptions,
    InceptionTimeOptions,
    RecurrentOptions,
    StepsOptions,
    TCNOptions,
    register_architectures,
)
from seedbed.plugins.architectures.series.convolutional import fcn, inception_time, tcn
from seedbed.plugins.architectures.series.masked import MaskedNorm
from seedbed.plugins.architectures.series.recurrent import gru, lstm
from seedbed.plugins.architectures.series.steps import steps

LENGTHS = [30, 17, 8, 3, 2, 1]

SMALL = {
    "lstm": (lstm, RecurrentOptions(width=32)),
    "gru": (gru, RecurrentOptions(width=32, layers=2, pooling="mean")),
    "gru one way": (gru, RecurrentOptions(width=32, bidirectional=False, pooling="last")),
    "tcn": (tcn, TCNOptions(width=32, pooling="both")),
    "fcn": (fcn, FCNOptions(width=32, pooling="max")),
    "inception_time": (inception_time, InceptionTimeOptions(blocks=1, filters=16)),
}
each_net = pytest.mark.parametrize("name", SMALL)


def _profile(*, channels=2, length=30, modality="series", vocabulary=0):
    return Profile(
        task=Task(modality=modality, kind="classification", metric="accuracy", classes=("a", "b")),
        examples=10,
        train=8,
        valid=2,
        test=0,
        channels=channels if modality == "series" else 0,
        lengths=Lengths(least=1, usual=length, most=length, longest=length),
        vocabulary=vocabulary,
    )


def _net(name, **given):
    torch.manual_seed(0)
    build, options = SMALL[name]
    return build(options, _profile(**given)).eval()


def _series(lengths=LENGTHS, *, channels=2, seed=0):
    values = torch.randn(len(lengths), channels, max(lengths), generator=torch.Generator().manual_seed(seed))
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return values * mask[:, None], mask


def _texts(lengths=LENGTHS, *, vocabulary=50):
    ids = torch.randint(1, vocabulary, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(0))
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return ids * mask, mask


def _padded(values, mask, more):
    return nn.functional.pad(values, (0, more)), nn.functional.pad(mask, (0, more))


@each_net
@torch.no_grad()
def test_padding_does_not_change_features(name):
    net, (values, mask) = _net(name), _series()
    together = net(values, mask)
    assert together.shape == (len(LENGTHS), net.num_features)
    for row, length in enumerate(LENGTHS):
        alone = net(values[row : row + 1, :, :length], mask[row : row + 1, :length])[0]
        assert torch.allclose(alone, together[row], atol=1e-5), length


@each_net
def test_padding_does_not_change_what_is_learnt(name):
    """Neither gradients nor the statistics of normalisation: rows are only laid out with more room behind them."""
    found = []
    for more in (0, 7):
        net = _net(name).train()
        for module in net.modules():
            if isinstance(module, nn.Dropout | nn.Dropout1d | nn.RNNBase):
                setattr(module, "dropout" if isinstance(module, nn.RNNBase) else "p", 0.0)
        net(*_padded(*_series(), more)).square().sum().backward()
        found.append((net, {key: each.grad for key, each in net.named_parameters()}))
    (one, gradients), (other, same) = found
    for key, gradient in gradients.items():
        assert torch.allclose(gradient, same[key], rtol=1e-3, atol=1e-4), key
    for key, value in one.state_dict().items():
        assert torch.allclose(value.float(), other.state_dict()[key].float(), atol=1e-5), key


@each_net
@pytest.mark.parametrize("length", range(1, 9))
def test_the_shortest_series_train_and_predict(name, length):
    net = _net(name, channels=1, length=length)
    values, mask = _series([length, 1], channels=1)
    net.train()(values, mask).sum().backward()
    net.train()(values[:1, :, :1], mask[:1, :1])  # a single step has no variance
    assert net.eval()(values, mask).isfinite().all()
    assert all(each.isfinite().all() for each in net.state_dict().values())


@each_net
def test_a_gradient_reaches_every_parameter(name):
    net = _net(name).train()
    net(*_series()).square().sum().backward()
    silent = [key for key, each in net.named_parameters() if each.grad is None or not each.grad.any()]
    assert not silent


@each_net
def test_the_order_of_rows_does_not_matter(name):
    net, (values, mask) = _net(name), _series()
    turned = torch.tensor([3, 0, 5, 1, 4, 2])
    with torch.no_grad():
        assert torch.allclose(net(values[turned], mask[turned]), net(values, mask)[turned], atol=1e-5)


@each_net
def test_each_learns_the_way_a_series_goes(name):
    """Ramps up and down from a random level: neither a mean nor a first step tells them apart."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(32) % 2
    slopes = (2.0 * targets - 1.0)[:, None, None] * torch.linspace(-1, 1, 20)
    values = slopes + torch.randn(32, 1, 1, generator=generator) + 0.1 * torch.randn(32, 1, 20, generator=generator)
    mask = torch.ones(32, 20, dtype=torch.bool)
    net = _net(name, channels=1, length=20).train()
    head = nn.Linear(net.num_features, 2)
    optimizer = torch.optim.Adam([*net.parameters(), *head.parameters()], 3e-3)
    for _ in range(40):
        loss = cross_entropy(head(net(values, mask)), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = head(net.eval()(values, mask)).argmax(1) == targets
    assert float(right.float().mean()) > 0.9


@pytest.mark.parametrize("build", [lstm, gru])
@torch.no_grad()
def test_recurrent_nets_read_texts_too(build):
    net = build(RecurrentOptions(width=32, embedding=64), _profile(modality="text", vocabulary=50)).eval()
    ids, mask = _texts()
    together = net(ids, mask)
    assert together.shape == (len(LENGTHS), 64)
    for row, length in enumerate(LENGTHS):
        assert torch.allclose(
            net(ids[row : row + 1, :length], mask[row : row + 1, :length])[0], together[row], atol=1e-5
        )


@pytest.mark.parametrize("pooling", ["attention", "last", "mean"])
@torch.no_grad()
def test_an_empty_text_is_one_step_of_nothing(pooling):
    net = lstm(RecurrentOptions(width=32, pooling=pooling), _profile(modality="text", vocabulary=50)).eval()
    ids, mask = _texts([4, 0])
    empty = net(torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1, dtype=torch.bool))[0]
    assert torch.allclose(net(ids, mask)[1], empty, atol=1e-6)


def test_the_token_of_nothing_is_never_learnt():
    net = lstm(RecurrentOptions(width=32), _profile(modality="text", vocabulary=50)).train()
    net(*_texts()).sum().backward()
    (embedding,) = (each for each in net.modules() if isinstance(each, nn.Embedding))
    assert not embedding.weight[0].any()
    assert not embedding.weight.grad[0].any()
    assert embedding.weight.grad[1:].any()


def test_an_lstm_starts_by_forgetting_nothing():
    net = _net("lstm").net
    for name in ("bias_ih_l0", "bias_ih_l0_reverse"):
        gates = getattr(net, name).view(4, -1)
        assert torch.equal(gates[1], torch.ones(32))  # input, forget, cell, output
        assert not gates[[0, 2, 3]].any()
    gate = net.weight_hh_l0[:32]
    assert torch.allclose(gate @ gate.T, torch.eye(32), atol=1e-5)


@torch.no_grad()
def test_pooling_last_takes_the_ends_that_each_direction_reaches():
    torch.manual_seed(0)
    net = gru(RecurrentOptions(width=32, pooling="last"), _profile()).eval()
    values, _ = _series([9])
    steps_, _ = net.net(values.transpose(1, 2))
    expected = torch.cat([steps_[:, -1, :32], steps_[:, 0, 32:]], 1)
    assert torch.allclose(net(values, torch.ones(1, 9, dtype=torch.bool)), expected, atol=1e-6)


def test_normalisation_sees_only_the_steps_that_are_there():
    torch.manual_seed(0)
    norm, plain = MaskedNorm(3), nn.BatchNorm1d(3)
    values, mask = _series([6, 4, 1], channels=3)
    values = 3.0 * values + 2.0
    found = norm(values, mask[:, None].float())
    expected = plain(values.transpose(1, 2)[mask])
    assert torch.allclose(found.transpose(1, 2)[mask], expected, atol=1e-5)
    assert not found.transpose(1, 2)[~mask].any()
    assert torch.allclose(norm.running_mean, plain.running_mean, atol=1e-6)
    assert torch.allclose(norm.running_var, plain.running_var, atol=1e-5)


def test_dilations_stay_within_the_series():
    net = tcn(TCNOptions(levels=8, kernel=5), _profile(length=9))
    found = [each.dilation[0] for each in net.modules() if isinstance(each, nn.Conv1d) and each.kernel_size == (5,)]
    assert max(found) == 4  # two taps of four steps: from one end to the other
    assert found == sorted(found)


def test_kernels_are_no_longer_than_can_meet_a_step():
    net = inception_time(InceptionTimeOptions(), _profile(length=5))
    assert max(each.kernel_size[0] for each in net.modules() if isinstance(each, nn.Conv1d)) == 9


@pytest.mark.parametrize("spec", list(register_architectures()), ids=lambda spec: spec.name)
def test_every_option_builds(spec):
    """Each value of each choice, and the ends of each range, the others as they are."""
    from pkgutil import resolve_name

    build = resolve_name(spec.build)
    given = {
        key: domain.options if isinstance(domain, Choice) else (domain.low, domain.high)
        for key, (domain, _) in domains(spec.options).items()
    }
    for options in (replace(spec.options(), **{key: value}) for key in given for value in given[key]):
        net = build(options, _profile()).eval()
        with torch.no_grad():
            assert net(*_series([12, 5])).shape == (2, net.num_features), options


def test_what_is_not_searched_is_only_the_yardsticks():
    fixed = {
        spec.name: {each.name for each in fields(spec.options)} - set(domains(spec.options))
        for spec in register_architectures()
    }
    assert {name for name, left in fixed.items() if left} == {"steps"}


@torch.no_grad()
def test_steps_are_taken_as_they_are_where_all_fit():
    values, mask = _series([9, 9], channels=3)
    net = steps(StepsOptions(), _profile(channels=3, length=9))
    assert torch.equal(net(values, mask), values.flatten(1))


@pytest.mark.parametrize(("length", "points"), list(product((1, 2, 7, 30, 300), (1, 2, 16))))
@torch.no_grad()
def test_steps_between_lie_on_the_line_that_joins_them(length, points):
    ramp = torch.zeros(2, 1, 300)
    ramp[0, 0, :length], ramp[1, 0, :] = torch.arange(float(length)), 5.0
    mask = torch.arange(300) < torch.tensor([[length], [300]])
    net = steps(StepsOptions(points=points), _profile(channels=1, length=300))
    found = net(ramp, mask)
    assert net.num_features == points
    assert torch.allclose(found[0], torch.linspace(0, length - 1, points), rtol=1e-5, atol=1e-4)
    assert torch.equal(found[1], torch.full((points,), 5.0))
