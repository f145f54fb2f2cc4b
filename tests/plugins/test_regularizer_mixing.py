from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.plugins.regularizers import CutmixOptions, MixupOptions
from seedbed.plugins.regularizers.mixing import cutmix, draw_beta, mix_targets, mixup
from seedbed.registry.conformance.samples import profile_of, sequence_profile

CLASSES = 4


def _plain_images(rows=64, size=12):
    """Images of which every pixel is the example's class, so that a mean says what was mixed."""
    targets = torch.arange(rows) % CLASSES
    return torch.eye(CLASSES)[targets][:, :, None, None].expand(-1, -1, size, size), targets


def _seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def _mixers():
    profile = profile_of(classes=CLASSES)
    return {
        "mixup": mixup(MixupOptions(alpha=1.0), profile),
        "cutmix": cutmix(CutmixOptions(probability=0.7, alpha=1.0), profile),
    }


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_targets_say_how_much_of_which_class_is_in_the_inputs(name, seed):
    inputs, targets = _plain_images()
    mixed, soft = _mixers()[name].on_batch(inputs, targets, _seeded(seed))
    assert soft.shape == (64, CLASSES)
    assert torch.allclose(soft.sum(-1), torch.ones(64), atol=1e-6)
    assert torch.allclose(mixed.mean((2, 3)), soft, atol=1e-5)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_equal_seeds_mix_alike_and_others_otherwise(name):
    inputs, targets = torch.rand(16, 3, 8, 8, generator=_seeded()), torch.arange(16) % CLASSES
    before = inputs.clone()
    mixer = _mixers()[name]
    one, other, third = (mixer.on_batch(inputs, targets, _seeded(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(here, there) for here, there in zip(one, other, strict=True))
    assert not torch.equal(one[0], third[0])
    assert torch.equal(inputs, before)
    assert one[0].dtype == inputs.dtype
    assert 0 <= float(one[0].min()) <= float(one[0].max()) <= 1


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_the_labels_of_a_multilabel_task_are_mixed_as_they_are(name):
    inputs, targets = _plain_images()
    labels = torch.nn.functional.one_hot(targets, CLASSES).float()
    soft = _mixers()[name].on_batch(inputs, targets, _seeded())[1]
    assert torch.allclose(_mixers()[name].on_batch(inputs, labels, _seeded())[1], soft, atol=1e-6)


def test_what_was_mixed_can_be_mixed_again():
    inputs, targets = _plain_images()
    for mixer in _mixers().values():
        inputs, targets = mixer.on_batch(inputs, targets, _seeded())
    assert torch.allclose(targets.sum(-1), torch.ones(64), atol=1e-6)
    assert torch.allclose(inputs.mean((2, 3)), targets, atol=1e-5)


@pytest.mark.parametrize("alpha", [0.1, 0.2, 1.0])
def test_shares_follow_the_beta_distribution(alpha):
    drawn = draw_beta(alpha, 40_000, _seeded())
    assert bool(((drawn >= 0) & (drawn <= 1)).all())
    assert float(drawn.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(drawn.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)


def test_mixup_keeps_most_of_the_example_itself():
    inputs, targets = _plain_images()
    _, soft = _mixers()["mixup"].on_batch(inputs, targets, _seeded())
    own = soft[torch.arange(64), targets]
    assert float(own.min()) >= 0.5
    assert float(own.mean()) < 0.95


def test_a_mixed_series_ends_where_it_ended():
    series = torch.randn(6, 2, 10, generator=_seeded())
    lengths = torch.tensor([10, 7, 4, 1, 9, 5])
    mask = torch.arange(10) < lengths[:, None]
    series = series * mask[:, None]
    series[0, :, 4] = 0  # a gap within a row is no end
    mixer = mixup(MixupOptions(alpha=1.0), sequence_profile(channels=2, length=10, classes=3))
    mixed, soft = mixer.on_batch(series, torch.arange(6) % 3, _seeded(3))
    assert bool((mixed * ~mask[:, None] == 0).all())
    assert bool((mixed[1, :, :7] != series[1, :, :7]).any())
    assert soft.shape == (6, 3)


def test_cutmix_pastes_one_rectangle_of_another_image():
    inputs = torch.arange(8.0)[:, None, None, None].expand(-1, 1, 9, 7)
    mixer = cutmix(CutmixOptions(probability=1.0, alpha=1.0), profile_of(classes=CLASSES))
    mixed, _ = mixer.on_batch(inputs, torch.arange(8) % CLASSES, _seeded())
    patched = 0
    for own, image in enumerate(mixed[:, 0]):
        foreign = image != own
        if foreign.any():
            patched += 1
            rows, columns = foreign.any(1), foreign.any(0)
            assert torch.equal(foreign, rows[:, None] & columns[None, :])
            assert len(image[foreign].unique()) == 1
            for line in (rows, columns):
                where = line.nonzero().flatten()
                assert int(where[-1] - where[0]) + 1 == len(where)
    assert patched >= 4


def test_cutmix_leaves_the_others_as_they_are():
    inputs, targets = _plain_images(rows=2000, size=8)
    often, seldom = (
        cutmix(CutmixOptions(probability=probability), profile_of(classes=CLASSES)).on_batch(
            inputs, targets, _seeded()
        )[0]
        for probability in (1.0, 0.2)
    )
    shares = [float((mixed != inputs).flatten(1).any(1).float().mean()) for mixed in (often, seldom)]
    assert shares[1] == pytest.approx(0.2 * shares[0], abs=0.03)


def test_labels_of_many_kinds_keep_their_number():
    task = replace(profile_of(classes=3).task, kind="multilabel")
    assert mixup(MixupOptions(), replace(profile_of(classes=3), task=task)).outputs == 3
    found = mix_targets(torch.tensor([2, 0]), torch.tensor([1, 0]), torch.tensor([0.75, 1.0]), 3)
    assert found.tolist() == [[0.25, 0.0, 0.75], [1.0, 0.0, 0.0]]
