from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from core.training.helpers import FakeClock
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from seedbed.core.training import head as heads
from seedbed.core.training.evaluate import Patience, Stopped
from seedbed.core.training.head import fit_head


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _digits():
    pixels, targets = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(targets))
    features, targets = torch.tensor(pixels[order], dtype=torch.float32), torch.tensor(targets[order])
    return (features[:600], targets[:600]), (features[600:], targets[600:])


def _log_loss(logits, targets):
    return float(cross_entropy(logits, targets))


def _accuracy(logits, targets):
    return float((logits.argmax(1) == targets).float().mean())


def test_on_digits_it_is_as_good_as_scikit_learns_logistic_regression():
    (features, targets), (unseen, truth) = _digits()
    head = fit_head(features, targets, "classification", 10, _generator())
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(max_iter=300).fit(scaler.transform(features), targets)
    theirs = torch.tensor(model.predict_log_proba(scaler.transform(unseen)), dtype=torch.float32)
    excess = cross_entropy(head(unseen), truth, reduction="none") - cross_entropy(theirs, truth, reduction="none")
    assert float(excess.mean()) < 0.005 + 2 * float(excess.std()) / len(excess) ** 0.5
    assert _accuracy(head(unseen), truth) > _accuracy(theirs, truth) - 0.012  # 1.6 standard errors


def test_its_weights_act_on_the_original_features():
    """The scale and the offsets of the features are taken into the weights: the logits are what they were."""
    (features, targets), _ = _digits()
    features, targets = features[:300, :20], targets[:300]
    moved = 3.0 * features + torch.linspace(-3.0, 3.0, 20)
    plain, other = (fit_head(each, targets, "classification", 10, _generator()) for each in (features, moved))
    assert other.strength == plain.strength
    assert torch.allclose(other(moved).softmax(1), plain(features).softmax(1), atol=0.02)


def test_equal_seeds_give_equal_heads():
    (features, targets), _ = _digits()
    one, other = (fit_head(features[:200], targets[:200], "classification", 10, _generator(3)) for _ in range(2))
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(one.bias, other.bias)


def test_constant_features_carry_no_weight():
    (features, targets), (unseen, truth) = _digits()
    constants = torch.tensor([7.0, 0.0, -1e4])
    head = fit_head(
        torch.cat([features, constants.expand(len(features), 3)], 1), targets, "classification", 10, _generator()
    )
    assert float((head.weight[:, -3:] * constants).abs().max()) < 0.01
    assert _accuracy(head(torch.cat([unseen, constants.expand(len(unseen), 3)], 1)), truth) > 0.93


def test_only_constant_features_give_the_share_of_each_class():
    targets = torch.tensor([0] * 30 + [1] * 10)
    head = fit_head(torch.ones(40, 5), targets, "classification", 2, _generator())
    assert head(torch.ones(1, 5)).softmax(1)[0, 0].item() == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize(("rows", "classes"), [(1, 2), (2, 2), (3, 3), (4, 10)])
def test_a_handful_of_rows_is_learnt_by_heart(rows, classes):
    features = torch.randn(rows, 50, generator=_generator())
    targets = torch.arange(rows) % classes
    head = fit_head(features, targets, "classification", classes, _generator())
    assert head.weight.shape == (classes, 50)
    assert torch.isfinite(head.weight).all()
    assert torch.equal(head(features).argmax(1), targets)


def test_more_features_than_rows_and_than_directions_generalise():
    generator = _generator()
    targets = torch.arange(240) % 3
    centres = torch.randn(3, 1500, generator=generator)
    features = 0.3 * centres[targets] + torch.randn(240, 1500, generator=generator)
    head = fit_head(features[:120], targets[:120], "classification", 3, generator)
    assert _accuracy(head(features[120:]), targets[120:]) > 0.95


@pytest.mark.parametrize("rows", [40, 700])
def test_features_of_which_most_never_fire_are_no_trouble_for_the_solver(rows):
    """As those of a large backbone on small, similar pictures: nearly all eigenvalues are equally zero."""
    generator = _generator(1)
    targets = torch.arange(rows) % 3
    centres = torch.randn(3, 640, generator=generator).relu()
    alive = torch.rand(640, generator=generator) > 0.9
    features = (centres[targets] + 0.01 * torch.randn(rows, 640, generator=generator)).relu() * alive
    head = fit_head(features, targets, "classification", 3, generator)
    assert torch.equal(head(features).argmax(1), targets)


def test_noise_alone_gets_a_stiff_head():
    generator = _generator()
    features, targets = torch.randn(300, 30, generator=generator), torch.arange(300) % 2
    head = fit_head(features, targets, "classification", 2, generator)
    unseen = torch.randn(300, 30, generator=generator)
    assert _log_loss(head(unseen), targets) < 0.78  # guessing has 0.693; an unchecked fit more


def test_features_of_inference_mode_and_a_caller_without_gradients_are_fine():
    with torch.inference_mode():
        features = torch.randn(60, 4, generator=_generator()) + torch.arange(60)[:, None] % 2 * 4.0
    with torch.no_grad():
        head = fit_head(features, torch.arange(60) % 2, "classification", 2, _generator())
    assert not head.weight.requires_grad
    assert _accuracy(head(features), torch.arange(60) % 2) == 1.0


def _labels(features, generator):
    """Three labels of which the first is easy, the second hard and the third noise, float32 (N, 3)."""
    noise = torch.randn(len(features), 3, generator=generator)
    return (torch.tensor([4.0, 1.0, 0.0]) * features[:, :3] + noise > 0).float()


@pytest.mark.parametrize("prefer", ["logistic", "ridge"])
def test_several_labels_are_learnt_each_for_itself(prefer):
    generator = _generator()
    features = torch.randn(1200, 8, generator=generator)
    targets = _labels(features, generator)
    head = fit_head(features[:400], targets[:400], "multilabel", 3, generator, prefer=prefer)
    logits = head(features[400:])
    right = ((logits > 0) == (targets[400:] > 0.5)).float().mean(0)
    losses = binary_cross_entropy_with_logits(logits, targets[400:], reduction="none").mean(0)
    assert right[0] > 0.88
    assert 0.68 < right[1] < right[0]
    assert losses[0] < losses[1] < losses[2] < 0.75  # guessing has 0.693


def test_labels_that_no_row_or_every_row_has_are_no_trouble():
    features = torch.randn(50, 4, generator=_generator())
    targets = torch.stack([torch.zeros(50), torch.ones(50), (features[:, 0] > 0).float()], 1)
    logits = fit_head(features, targets, "multilabel", 3, _generator())(features)
    assert logits.isfinite().all()
    assert (logits[:, 0] < 0).all()
    assert (logits[:, 1] > 0).all()


@pytest.mark.parametrize("prefer", ["logistic", "ridge"])
def test_values_are_predicted_by_ridge_whatever_is_preferred(prefer):
    generator = _generator()
    features = torch.randn(300, 6, generator=generator)
    targets = features[:, 0] - 0.5 * features[:, 1] + 0.1 * torch.randn(300, generator=generator) + 2.0
    head = fit_head(features, targets, "regression", 1, generator, prefer=prefer)
    assert head(features).shape == (300, 1)
    assert head.weight[0] == pytest.approx([1.0, -0.5, 0.0, 0.0, 0.0, 0.0], abs=0.03)
    assert head.bias.item() == pytest.approx(2.0, abs=0.03)


def test_a_ridge_head_is_as_good_on_digits():
    (features, targets), (unseen, truth) = _digits()
    head = fit_head(features, targets, "classification", 10, _generator(), prefer="ridge")
    assert _accuracy(head(unseen), truth) > 0.92
    assert _log_loss(head(unseen), truth) < 0.3


@pytest.mark.parametrize("prefer", ["logistic", "ridge"])
@pytest.mark.parametrize("asked", [0, 1, 2, 15])
def test_a_fit_ends_when_it_is_asked_to(prefer, asked):
    (features, targets), _ = _digits()
    answers = iter([False] * asked + [True])
    with pytest.raises(Stopped):
        fit_head(
            features,
            targets,
            "classification",
            10,
            _generator(),
            prefer=prefer,
            patience=Patience(should_stop=lambda: next(answers)),
        )


@pytest.mark.parametrize(("until", "least"), [(20.0, 0.85), (60.0, 0.9), (120.0, 0.92)])
def test_a_late_fit_gives_what_it_has_found_so_far(until, least):
    (features, targets), (unseen, truth) = _digits()
    patience = Patience(clock=FakeClock(step=1.0), until=until)
    head = fit_head(features, targets, "classification", 10, _generator(), patience=patience)
    assert patience.ran_out
    assert patience.clock.now < until + 5, "hardly a step was taken after the end"
    assert _accuracy(head(unseen), truth) > least


def test_a_fit_in_time_is_the_one_without_a_limit():
    (features, targets), _ = _digits()
    patience = Patience(clock=FakeClock(step=1.0), until=1e6)
    plain = fit_head(features, targets, "classification", 10, _generator())
    timed = fit_head(features, targets, "classification", 10, _generator(), patience=patience)
    assert not patience.ran_out
    assert torch.equal(plain.weight, timed.weight)


def test_wherever_it_is_cut_short_a_solution_is_no_worse_than_an_earlier_one():
    """The solver may just be trying a step that is too long."""
    generator = _generator()
    features = torch.randn(300, 20, generator=generator) * torch.logspace(-1, 1, 20) * 3
    scores = features[:, :3] * torch.tensor([3.0, 1.0, 0.3]) + torch.randn(300, 3, generator=generator)
    targets = scores.argmax(1)

    def objective(steps):
        asked = iter(range(steps))
        weight, bias = heads._solve(features, targets, 3, 1e-4, None, lambda: next(asked, None) is None)
        return _log_loss(features @ weight.T + bias, targets) + 1e-4 / 2 * float(weight.square().sum())

    reached = [objective(steps) for steps in range(30)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(reached))
    assert reached[-1] < 0.95 * reached[0]
