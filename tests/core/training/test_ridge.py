from __future__ import annotations

import numpy as np
import pytest
import torch
from core.training.helpers import FakeClock
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from torch.nn.functional import cross_entropy

from seedbed.core.training import ridge
from seedbed.core.training.evaluate import Patience
from seedbed.core.training.ridge import fit_ridge

STRENGTHS = np.logspace(-3, 3, 10).tolist()


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _blobs(rows, features, classes, *, noise=1.0, seed=0):
    generator = _generator(seed)
    inputs = torch.randn(rows, features, generator=generator)
    scores = inputs[:, :classes] + noise * torch.randn(rows, classes, generator=generator)
    return inputs, scores.argmax(1)


def _fit(features, targets, kind="classification", outputs=0, **given):
    outputs = outputs or (
        int(targets.max()) + 1 if kind == "classification" else targets.reshape(len(targets), -1).shape[1]
    )
    return fit_ridge(features, targets, kind, outputs, _generator(), **given)


@pytest.mark.parametrize(("rows", "features"), [(60, 200), (200, 60), (80, 80)])
@pytest.mark.parametrize("classes", [2, 3])
def test_it_agrees_with_scikit_learns_ridge_classifier(rows, features, classes):
    inputs, targets = _blobs(rows, features, classes)
    found = _fit(inputs, targets, strengths=STRENGTHS, standardise=False)
    theirs = RidgeClassifierCV(alphas=STRENGTHS).fit(inputs.double().numpy(), targets.numpy())
    expected = np.atleast_2d(theirs.coef_)  # of two classes it keeps the second
    ours = (found.weight / found.factor[:, None]).numpy()[-len(expected) :]
    assert found.strength == pytest.approx(theirs.alpha_)
    assert ours == pytest.approx(expected, abs=1e-6)
    assert (found.bias / found.factor).numpy()[-len(ours) :] == pytest.approx(
        np.atleast_1d(theirs.intercept_), abs=1e-6
    )


@pytest.mark.parametrize(("rows", "features"), [(40, 90), (90, 40)])
def test_it_agrees_with_scikit_learns_ridge_regression(rows, features):
    inputs, _ = _blobs(rows, features, 2)
    targets = inputs[:, 0] + 0.3 * torch.randn(rows, generator=_generator(1)) + 5.0
    found = _fit(inputs, targets, "regression", strengths=STRENGTHS, standardise=False)
    theirs = RidgeCV(alphas=STRENGTHS).fit(inputs.double().numpy(), targets.double().numpy())
    assert found.strength == pytest.approx(theirs.alpha_)
    assert found.weight[0].numpy() == pytest.approx(theirs.coef_, abs=1e-6)
    assert found.bias.item() == pytest.approx(theirs.intercept_, abs=1e-5)


@pytest.mark.parametrize(("rows", "features"), [(12, 30), (30, 12)])
def test_what_a_row_gets_is_what_a_fit_without_it_gives(rows, features):
    inputs, _ = _blobs(rows, features, 2)
    targets = inputs[:, 0] + torch.randn(rows, generator=_generator(1))
    left_out = _fit(inputs, targets, "regression", strengths=[3.0], standardise=False).left_out
    for row in range(0, rows, 5):
        others = torch.arange(rows) != row
        without = _fit(inputs[others], targets[others], "regression", strengths=[3.0], standardise=False)
        assert left_out[row].item() == pytest.approx(float(inputs[row] @ without.weight[0] + without.bias[0]), abs=1e-4)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_unit_of_the_features_does_not_matter(scale):
    inputs, targets = _blobs(100, 20, 3)
    plain, other = _fit(inputs, targets), _fit(scale * inputs + 5.0 * scale, targets)
    assert torch.allclose(
        inputs @ plain.weight.T + plain.bias, (scale * inputs + 5 * scale) @ other.weight.T + other.bias, atol=1e-3
    )


def test_probabilities_are_honest():
    """Rows it has not seen are right as often as it says, where an uncalibrated fit is far too shy."""
    inputs, targets = _blobs(4000, 20, 3)
    found = _fit(inputs[:400], targets[:400])
    logits = inputs[400:] @ found.weight.T + found.bias
    sureness, said = logits.softmax(1).max(1)
    right = (said == targets[400:]).float()
    assert float(sureness.mean()) == pytest.approx(float(right.mean()), abs=0.03)
    assert cross_entropy(logits, targets[400:]) < cross_entropy(logits / found.factor[0], targets[400:]) - 0.05


def test_noise_gets_no_confidence():
    inputs = torch.randn(60, 500, generator=_generator())
    found = _fit(inputs, torch.arange(60) % 3)
    unseen = torch.randn(200, 500, generator=_generator(1))
    assert float((unseen @ found.weight.T + found.bias).softmax(1).max()) < 0.6


def test_classes_that_are_never_confused_are_not_certain():
    targets = torch.arange(20) % 2
    inputs = torch.randn(20, 50, generator=_generator()) * 0.01 + targets[:, None]
    found = _fit(inputs, targets)
    sureness = (inputs @ found.weight.T + found.bias).softmax(1).max(1).values
    assert 0.9 < float(sureness.min()) <= float(sureness.max()) < 0.999


def test_each_label_has_its_own_factor():
    inputs = torch.randn(400, 10, generator=_generator())
    noise = torch.randn(400, 2, generator=_generator(1))
    targets = (torch.tensor([5.0, 0.5]) * inputs[:, :2] + noise > 0).float()
    easy, hard = _fit(inputs, targets, "multilabel").factor.tolist()
    assert easy > 1.5 * hard


@pytest.mark.parametrize(
    "targets",
    [
        pytest.param([0, 1], id="two rows"),
        pytest.param([0], id="one row"),
        pytest.param([0, 0, 0, 0, 1], id="a class with one row"),
        pytest.param([0, 0, 0], id="one class only"),
    ],
)
@pytest.mark.parametrize("features", [1, 2, 30])
def test_a_handful_of_rows_gives_finite_weights(targets, features):
    inputs = torch.randn(len(targets), features, generator=_generator())
    found = _fit(inputs, torch.tensor(targets), outputs=3)
    assert found.weight.shape == (3, features)
    assert found.weight.isfinite().all()
    assert found.bias.isfinite().all()
    assert found.left_out.isfinite().all()


@pytest.mark.parametrize("value", [0.0, 7.1, -1e4])
@pytest.mark.parametrize("features", [3, 60])
def test_constant_features_carry_no_weight(value, features):
    targets = torch.tensor([0] * 30 + [1] * 10)
    found = _fit(torch.full((40, features), value), targets)
    assert not found.weight.any()
    assert found.bias.softmax(0)[0].item() == pytest.approx(0.75, abs=0.03)  # smoothed


def test_a_constant_feature_beside_others_carries_none():
    inputs, targets = _blobs(50, 80, 2)
    found = _fit(torch.cat([inputs, torch.full((50, 1), 3.3e3)], 1), targets)
    assert found.weight[:, -1].abs().max() == 0


@pytest.mark.parametrize(("side", "rows"), [(30, 60), (500, 90)])
def test_where_all_is_much_some_rows_choose_and_all_are_fitted(monkeypatch, side, rows):
    inputs, targets = _blobs(200, 100, 3)
    monkeypatch.setattr(ridge, "_MOST_SIDE", side)
    monkeypatch.setattr(ridge, "_MOST_ROWS", rows)
    some = _fit(inputs, targets)
    assert len(some.left_out) == min(side, rows)
    monkeypatch.undo()
    whole = _fit(inputs, targets, strengths=[some.strength])
    exact, close = (inputs.double() @ (each.weight / each.factor[:, None]).T for each in (whole, some))
    assert float((exact - close).norm() / exact.norm()) < 5e-3


@pytest.mark.parametrize(("rows", "features"), [(50, 70), (70, 50)])
def test_few_values_at_a_time_give_the_same(monkeypatch, rows, features):
    inputs, targets = _blobs(rows, features, 2)
    whole = _fit(inputs, targets)
    monkeypatch.setattr(ridge, "_CHUNK_VALUES", 333)
    assert torch.allclose(_fit(inputs, targets).weight, whole.weight, atol=1e-7)


def test_equal_seeds_give_equal_fits(monkeypatch):
    monkeypatch.setattr(ridge, "_MOST_SIDE", 20)
    inputs, targets = _blobs(60, 40, 2)
    assert torch.equal(_fit(inputs, targets).weight, _fit(inputs, targets).weight)


def test_a_late_fit_takes_a_strength_from_the_middle_and_the_weights_of_the_rows_that_chose(monkeypatch):
    inputs, targets = _blobs(200, 100, 3)
    monkeypatch.setattr(ridge, "_MOST_SIDE", 80)
    patience = Patience(until=0.0)
    late = _fit(inputs, targets, patience=patience, strengths=STRENGTHS)
    assert patience.ran_out
    assert late.strength == STRENGTHS[len(STRENGTHS) // 2]
    right = (inputs @ late.weight.T + late.bias).argmax(1) == targets
    assert float(right.float().mean()) > 0.6
    whole = _fit(inputs, targets, strengths=[late.strength])
    assert not torch.allclose(late.weight, whole.weight, atol=1e-3)


def test_a_fit_in_time_is_the_one_without_a_limit(monkeypatch):
    monkeypatch.setattr(ridge, "_MOST_SIDE", 20)
    inputs, targets = _blobs(60, 40, 2)
    patience = Patience(clock=FakeClock(step=1.0), until=1e6)
    assert torch.equal(_fit(inputs, targets, patience=patience).weight, _fit(inputs, targets).weight)
    assert not patience.ran_out


def test_of_strengths_that_are_equally_good_the_first_is_taken():
    inputs = torch.zeros(12, 3)
    assert _fit(inputs, torch.arange(12) % 2, strengths=STRENGTHS).strength == STRENGTHS[0]
