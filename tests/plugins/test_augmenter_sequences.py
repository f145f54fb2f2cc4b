from __future__ import annotations

import pytest
import torch

from seedbed.plugins.augmenters import (
    JitterOptions,
    ScalingOptions,
    TimeWarpOptions,
    TokenDropoutOptions,
    WindowSliceOptions,
)
from seedbed.plugins.augmenters.series import jitter, scaling, time_warp, window_slice
from seedbed.plugins.augmenters.text import token_dropout
from seedbed.registry.conformance.samples import sequence_profile

STRONGEST = {
    jitter: JitterOptions(std=0.3),
    scaling: ScalingOptions(strength=0.4),
    time_warp: TimeWarpOptions(strength=0.6),
    window_slice: WindowSliceOptions(smallest=0.5),
}
OFF = {
    jitter: JitterOptions(std=0.0),
    scaling: ScalingOptions(strength=0.0),
    time_warp: TimeWarpOptions(strength=0.0),
    window_slice: WindowSliceOptions(smallest=1.0),
}


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _mask(lengths, longest=None):
    return torch.arange(longest or max(lengths)) < torch.tensor(lengths)[:, None]


def _series(lengths, channels=2):
    """Random values where there is something, 0 elsewhere; and the mask."""
    mask = _mask(lengths)
    return torch.randn(len(lengths), channels, mask.shape[1], generator=_generator(1)) * mask[:, None], mask


def _ramps(count, length=50, padding=0):
    """Series whose values say at which step they were read."""
    values = torch.arange(float(length)).expand(count, 1, length)
    return torch.nn.functional.pad(values, (0, padding)), _mask([length] * count, length + padding)


def _apply(build, options, inputs, mask, seed=0):
    return build(options, sequence_profile("series"))(inputs, mask, _generator(seed))


def _texts(lengths, size=50):
    mask = _mask(lengths)
    return torch.randint(2, size, mask.shape, generator=_generator(1)) * mask, mask


def _drop(inputs, mask, seed=0, **options):
    augment = token_dropout(TokenDropoutOptions(**options), sequence_profile("text"))
    return augment(inputs, mask, _generator(seed))


@pytest.mark.parametrize("build", STRONGEST, ids=lambda each: each.__name__)
def test_a_series_keeps_its_form_and_its_padding(build):
    inputs, mask = _series([9, 1, 4, 7])
    before = inputs.clone(), mask.clone()
    found, left = _apply(build, STRONGEST[build], inputs, mask)
    assert (found.shape, found.dtype) == (inputs.shape, inputs.dtype)
    assert torch.equal(left, before[1])
    assert torch.equal(inputs, before[0])
    assert not bool((found * ~mask[:, None]).any())
    assert not torch.equal(found, inputs)


@pytest.mark.parametrize("build", OFF, ids=lambda each: each.__name__)
def test_at_no_strength_series_stay_exactly_as_they_are(build):
    inputs, mask = _series([30, 1, 2, 17])
    assert torch.equal(_apply(build, OFF[build], inputs, mask)[0], inputs)


@pytest.mark.parametrize("build", STRONGEST, ids=lambda each: each.__name__)
def test_equal_seeds_give_equal_series(build):
    inputs, mask = _series([30, 1, 2, 17])
    one, again, other = (_apply(build, STRONGEST[build], inputs, mask, seed)[0] for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("build", [time_warp, window_slice], ids=lambda each: each.__name__)
def test_what_lies_behind_the_end_of_a_series_never_gets_in(build):
    mask = _mask([9, 2, 30, 1])
    ones = torch.ones(4, 3, 30) * mask[:, None]
    for seed in range(20):
        assert torch.equal(_apply(build, STRONGEST[build], ones, mask, seed)[0], ones)


def test_jitter_is_as_strong_as_asked():
    inputs, mask = _series([500] * 20)
    moved = _apply(jitter, JitterOptions(std=0.2), inputs, mask)[0] - inputs
    assert float(moved.std()) == pytest.approx(0.2, rel=0.05)
    assert float(moved.mean()) == pytest.approx(0.0, abs=0.01)


def test_scaling_multiplies_each_channel_by_one_positive_factor():
    inputs, mask = _series([20] * 500)
    factors = _apply(scaling, ScalingOptions(strength=0.3), inputs, mask)[0] / inputs
    assert torch.allclose(factors, factors[:, :, :1].expand_as(factors), rtol=1e-4)
    logs = factors[:, :, 0].log()
    assert float(logs.std()) == pytest.approx(0.3, rel=0.1)
    assert float((logs[:, 0] - logs[:, 1]).abs().min()) > 0  # channels are scaled apart


def test_a_warp_keeps_both_ends_and_the_order_of_time():
    inputs, mask = _ramps(200, padding=7)
    found = _apply(time_warp, TimeWarpOptions(strength=0.6), inputs, mask)[0][:, 0, :50]
    assert torch.equal(found[:, 0], torch.zeros(200))
    assert torch.allclose(found[:, -1], torch.full((200,), 49.0), atol=1e-3)
    assert float(found.diff(dim=1).min()) > 0


def test_a_warp_moves_the_middle_of_a_series_either_way():
    inputs, mask = _ramps(500)
    middle = _apply(time_warp, TimeWarpOptions(strength=0.4), inputs, mask)[0][:, 0, 25]
    assert float(middle.min()) < 20
    assert float(middle.max()) > 30
    assert float(middle.mean()) == pytest.approx(25, abs=0.5)


def test_the_speed_of_time_changes_smoothly():
    inputs, mask = _ramps(100, length=200)
    speeds = _apply(time_warp, TimeWarpOptions(strength=0.4), inputs, mask)[0][:, 0].diff(dim=1)
    assert float(speeds.diff(dim=1).abs().max()) < 0.1 * float(speeds.max() - speeds.min())


def test_a_slice_is_one_stretch_of_no_less_than_the_smallest_share():
    inputs, mask = _ramps(500, padding=3)
    found = _apply(window_slice, WindowSliceOptions(smallest=0.6), inputs, mask)[0][:, 0, :50]
    speeds = found.diff(dim=1)
    assert torch.allclose(speeds, speeds[:, :1].expand_as(speeds), atol=1e-4)
    assert float(speeds.min()) == pytest.approx(0.6, abs=0.01)
    assert float(speeds.max()) == pytest.approx(1.0, abs=0.01)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 49 + 1e-3
    assert float(found[:, 0].max()) > 15  # some begin late


def test_dropped_tokens_become_unknown_and_the_rest_stays_in_place():
    inputs, mask = _texts([40] * 100 + [7, 1])
    found, left = _drop(inputs, mask, rate=0.3)
    dropped = found != inputs
    assert torch.equal(left, mask)
    assert bool((found[dropped] == 1).all())
    assert not bool((dropped & ~mask).any())
    assert not bool(dropped[:, 0].any())
    assert float(dropped[:100, 1:].float().mean()) == pytest.approx(0.3, abs=0.03)


def test_what_is_left_of_a_text_closes_up_in_its_order():
    mask = _mask([12, 5, 1])
    inputs = torch.arange(2, 14).expand(3, 12) * mask
    found, left = _drop(inputs, mask, rate=0.4, how="remove")
    for row, there, before in zip(found, left, inputs, strict=True):
        kept = row[there].tolist()
        assert kept == sorted(set(kept))
        assert set(kept) <= set(before.tolist())
        assert kept[0] == 2
        assert torch.equal(there, torch.arange(12) < len(kept))
        assert not bool(row[~there].any())
    assert int(left.sum()) < int(mask.sum())


@pytest.mark.parametrize("how", ["unknown", "remove"])
def test_without_a_rate_texts_stay_exactly_as_they_are(how):
    inputs, mask = _texts([40, 3, 1])
    found, left = _drop(inputs, mask, rate=0.0, how=how)
    assert torch.equal(found, inputs)
    assert torch.equal(left, mask)
    assert (found.dtype, left.dtype) == (inputs.dtype, mask.dtype)


@pytest.mark.parametrize(("how", "rest"), [("unknown", [1, 1]), ("remove", [0, 0])])
def test_the_first_token_is_kept_whatever_the_rate(how, rest):
    inputs, mask = _texts([3, 3])
    before = inputs.clone()
    found, _ = _drop(inputs, mask, rate=1.0, how=how)
    assert torch.equal(inputs, before)
    assert found.tolist() == [[row[0], *rest] for row in inputs.tolist()]


@pytest.mark.parametrize("how", ["unknown", "remove"])
def test_equal_seeds_drop_the_same_tokens(how):
    inputs, mask = _texts([40, 30, 9])
    one, again, other = (_drop(inputs, mask, seed, rate=0.3, how=how) for seed in (0, 0, 1))
    assert torch.equal(one[0], again[0])
    assert torch.equal(one[1], again[1])
    assert not torch.equal(one[0], other[0])
