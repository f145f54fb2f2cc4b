from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from seedbed.core.data.profile import Lengths, Profile
from seedbed.core.task import Task
from seedbed.core.training.head import fit_head
from seedbed.plugins.architectures.series import MiniRocketOptions
from seedbed.plugins.architectures.series import minirocket as module
from seedbed.plugins.architectures.series.minirocket import TAPS, banks_for, draw_channels, minirocket


def _profile(*, channels=1, length=40):
    return Profile(
        task=Task(modality="series", kind="classification", metric="accuracy", classes=("a", "b")),
        examples=10,
        train=8,
        valid=2,
        test=0,
        channels=channels,
        lengths=Lengths(least=1, usual=length, most=length, longest=length),
    )


def _series(lengths, *, channels=1, seed=0):
    values = torch.randn(len(lengths), channels, max(lengths), generator=torch.Generator().manual_seed(seed))
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return values * mask[:, None], mask


def _net(inputs=None, *, channels=1, length=40, features=84 * 12, differences=True, seed=0):
    torch.manual_seed(seed)
    options = MiniRocketOptions(features=features, differences=differences)
    net = minirocket(options, _profile(channels=channels, length=length))
    if inputs is not None:
        net.fit([inputs], torch.Generator().manual_seed(seed))
    return net


def _by_hand(net, series):
    """The features of one series (C, L), by the letter of the paper: one kernel, one step, one bias at a time."""
    found, place = [], 0
    for number, bank in enumerate(net.banks):
        seen = np.diff(series, axis=1, prepend=series[:, :1]) if bank.differences else series
        length, reach = seen.shape[1], 4 * bank.steps
        padded = np.pad(seen, ((0, 0), (reach, reach)))
        for kernel, taps in enumerate(TAPS):
            weights = np.where(np.isin(np.arange(9), taps), 2.0, -1.0)
            chosen = [each for each in net.channels[number, kernel].tolist() if each >= 0]
            output = np.array(
                [
                    sum(weights @ padded[channel, step : step + 8 * bank.steps + 1 : bank.steps] for channel in chosen)
                    for step in range(length)
                ]
            )
            if (number + kernel) % 2 and length > 2 * reach:
                output = output[reach:-reach]
            for _ in range(bank.features):
                found.append(np.mean(output > float(net.biases[place])))
                place += 1
    return found


@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_those_of_the_paper(channels):
    values, mask = _series([40, 23, 9, 1], channels=channels)
    # Biases of other rows: an output that is its own bias goes one way in float32 and the other in float64.
    net = _net(_series([40] * 8, channels=channels, seed=1), channels=channels, features=84 * 4)
    found = net(values, mask)
    for row, length in enumerate((40, 23, 9, 1)):
        assert found[row].tolist() == pytest.approx(_by_hand(net, values[row, :, :length].double().numpy()), abs=1e-6)


def test_biases_are_quantiles_of_what_kernels_give_on_training_rows():
    """On average half of the steps of a training row lie above a bias: its levels are spread evenly over (0, 1)."""
    values, mask = _series([120] * 16)
    found = _net((values, mask), length=120)(values, mask)
    assert 0.45 < float(found.mean()) < 0.55
    assert float(found.std()) > 0.2


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("features", [84, 1000, 4_998, 9_996])
def test_the_number_of_features_is_the_greatest_that_fits(channels, features):
    net = _net(channels=channels, features=features)
    assert net.num_features % 84 == 0
    assert max(features - 168, 84) <= net.num_features <= max(features, 168)
    values, mask = _series([30, 7], channels=channels)
    assert net(values, mask).shape == (2, net.num_features)


def test_padding_changes_nothing_at_all():
    lengths = [40, 17, 8, 3, 1]
    values, mask = _series(lengths, channels=3)
    net = _net((values, mask), channels=3)
    together = net(values, mask)
    for row, length in enumerate(lengths):
        assert torch.equal(net(values[row : row + 1, :, :length], mask[row : row + 1, :length])[0], together[row])


def test_how_many_rows_are_worked_on_at_a_time_changes_nothing(monkeypatch):
    values, mask = _series([40, 33, 40, 12, 25])
    net = _net((values, mask))
    whole = net(values, mask)
    monkeypatch.setattr(module, "_CELLS", 80)
    assert torch.equal(net(values, mask), whole)


@pytest.mark.parametrize("length", [1, 2, 3, 8, 9])
def test_series_shorter_than_a_kernel_are_fine(length):
    values, mask = _series([length] * 4, channels=2)
    found = _net((values, mask), channels=2, length=length)(values, mask)
    assert found.isfinite().all()
    assert 0 <= float(found.min()) <= float(found.max()) <= 1


def test_constant_series_are_above_no_bias_of_theirs():
    values, mask = torch.full((3, 1, 40), 0.7), torch.ones(3, 40, dtype=torch.bool)
    net = _net((values, mask), differences=False)
    inner = [kernel for kernel in range(84) if kernel % 2]  # of the first bank: those that keep off the ends
    count = net.banks[0].features
    found = net(values, mask)[:, : 84 * count].view(3, 84, count)[:, inner]
    assert found.isfinite().all()
    assert float(found.mean()) < 0.6


def test_its_state_is_all_that_it_has_learnt():
    inputs = _series([40] * 6, channels=5)
    one, other = _net(inputs, channels=5, seed=0), _net(channels=5, seed=1)
    assert not torch.equal(one(*inputs), other(*inputs))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(*inputs), other(*inputs))
    assert not list(one.parameters())


def test_equal_seeds_give_equal_features():
    inputs = _series([40] * 6, channels=5)
    assert torch.equal(_net(inputs, channels=5, seed=3)(*inputs), _net(inputs, channels=5, seed=3)(*inputs))


def test_it_does_not_read_more_batches_than_it_needs():
    batches = (_series([20] * 100, seed=seed) for seed in itertools.count())
    _net().fit(batches, torch.Generator().manual_seed(0))
    assert float(next(batches)[0][0, 0, 0]) == float(_series([20] * 100, seed=6)[0][0, 0, 0])


def test_dilations_reach_from_one_step_to_the_whole_length():
    banks = banks_for(84 * 100, 257, 1, differences=False)
    steps = [bank.steps for bank in banks]
    assert steps[0] == 1
    assert steps[-1] == 32  # 8 times 32 and one are 257
    assert steps == sorted(set(steps))
    assert sum(bank.features for bank in banks) == 100


def test_of_several_channels_every_few_features_draw_anew():
    banks = banks_for(84 * 40, 20, 3, differences=True)
    assert max(bank.features for bank in banks) <= 4
    assert sum(bank.features for bank in banks) == 40
    assert [bank.differences for bank in banks] == sorted(bank.differences for bank in banks)


@pytest.mark.parametrize("channels", [1, 2, 9, 30])
def test_a_kernel_sums_different_channels_that_exist(channels):
    torch.manual_seed(0)
    drawn = draw_channels(channels, 6).flatten(0, 1).tolist()
    for row in drawn:
        chosen = [each for each in row if each >= 0]
        assert 1 <= len(chosen) == len(set(chosen)) <= 9
        assert max(chosen) < channels
        assert row[: len(chosen)] == chosen
    assert {each for row in drawn for each in row if each >= 0} == set(range(channels))


def test_with_a_ridge_head_it_tells_shapes_from_each_other():
    """A bump and a dent at a random place in noise: means and single steps say nothing."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(120) % 2
    values = 0.5 * torch.randn(120, 1, 60, generator=generator)
    for row, place in enumerate(torch.randint(0, 50, (120,), generator=generator).tolist()):
        bump = torch.tensor([0.0, 1, 2, 1, 0, 0, -1, -2, -1, 0]) * 1.5
        values[row, 0, place : place + 10] += bump if targets[row] else -bump
    mask = torch.ones(120, 60, dtype=torch.bool)
    net = _net((values[:60], mask[:60]), length=60, features=4_998)
    head = fit_head(net(values[:60], mask[:60]), targets[:60], "classification", 2, generator, prefer="ridge")
    right = head(net(values[60:], mask[60:])).argmax(1) == targets[60:]
    assert float(right.float().mean()) > 0.9
