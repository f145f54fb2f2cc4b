from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch
from core.training.helpers import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from seedbed.core.training import sparse_head
from seedbed.core.training.evaluate import Patience, Stopped
from seedbed.core.training.sparse import apply_linear
from seedbed.core.training.sparse_head import fit_sparse_head
from seedbed.core.training.sparse_losses import loss_of


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _csr(matrix):
    rows = scipy.sparse.csr_matrix(matrix).astype(np.float32)
    parts = (rows.indptr.astype(np.int64), rows.indices.astype(np.int64), rows.data)
    return torch.sparse_csr_tensor(*map(torch.from_numpy, parts), size=rows.shape, check_invariants=False)


def _scipy(features):
    parts = (features.values(), features.col_indices(), features.crow_indices())
    return scipy.sparse.csr_matrix(tuple(part.numpy() for part in parts), shape=tuple(features.shape))


def _texts(rows, columns, classes, *, clarity=6.0, seed=0):
    """Rows of length 1, as n-grams are: each class prefers some columns, and all of them the first few."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, rows)
    common = 1.0 / np.arange(1, columns + 1)
    tilt = np.where(rng.random((classes, columns)) < 0.1, clarity, 1.0)
    chances = common * tilt
    chances /= chances.sum(1, keepdims=True)
    counts = np.stack([rng.multinomial(30, chances[target]) for target in targets])
    values = np.log1p(counts)
    return values / np.linalg.norm(values, axis=1, keepdims=True), targets


def _log_loss(logits, targets):
    return float(cross_entropy(logits, torch.as_tensor(targets)))


@pytest.mark.parametrize("classes", [2, 7])
def test_it_is_as_good_as_scikit_learns_logistic_regression_at_its_best(classes):
    values, targets = _texts(1200, 400, classes)
    head = fit_sparse_head(_csr(values[:800]), torch.tensor(targets[:800]), "classification", classes, _generator())
    ours = _log_loss(apply_linear(_csr(values[800:]), head.weight, head.bias), targets[800:])
    theirs = []
    for strength in (0.03, 0.1, 0.3, 1.0, 3.0, 10.0):
        model = LogisticRegression(C=1 / strength, max_iter=300).fit(values[:800], targets[:800])
        theirs.append(-np.log(model.predict_proba(values[800:])[np.arange(400), targets[800:]]).mean())
    assert ours < 1.03 * min(theirs)
    assert min(theirs) < 0.9 * np.log(classes), "there was something to learn"


@pytest.mark.parametrize("classes", [2, 3])
def test_its_weights_are_where_scikit_learns_solver_ends(classes, monkeypatch):
    monkeypatch.setattr(sparse_head, "_STRENGTHS", (0.3,))
    monkeypatch.setattr(sparse_head, "_TOLERANCE", 1e-4)
    monkeypatch.setattr(sparse_head, "column_weights", lambda rows, goals: np.ones(rows.shape[1], dtype=np.float32))
    values, targets = _texts(300, 100, classes)
    head = fit_sparse_head(_csr(values), torch.tensor(targets), "classification", classes, _generator())
    model = LogisticRegression(C=1 / 0.3, max_iter=2000, tol=1e-7).fit(values, targets)
    ours = apply_linear(_csr(values), head.weight, head.bias).softmax(1).numpy()
    assert head.strength == 0.3
    assert np.abs(ours - model.predict_proba(values)).max() < 0.01  # ours holds the bias back, if only a little


def test_its_probabilities_are_calibrated():
    values, targets = _texts(2000, 300, 2, clarity=3.0)
    head = fit_sparse_head(_csr(values[:1000]), torch.tensor(targets[:1000]), "classification", 2, _generator())
    chances = apply_linear(_csr(values[1000:]), head.weight, head.bias).softmax(1)[:, 1].numpy()
    sure = np.abs(chances - 0.5) > 0.25
    right = (chances > 0.5) == targets[1000:]
    assert sure.sum() > 100
    assert np.maximum(chances, 1 - chances)[sure].mean() == pytest.approx(right[sure].mean(), abs=0.06)


def test_noise_alone_gets_a_stiff_head():
    values, _ = _texts(600, 300, 2)
    targets = np.random.default_rng(1).integers(0, 2, 600)
    head = fit_sparse_head(_csr(values[:300]), torch.tensor(targets[:300]), "classification", 2, _generator())
    assert head.strength >= 3.0
    assert _log_loss(apply_linear(_csr(values[300:]), head.weight, head.bias), targets[300:]) < 0.75


def test_labels_are_learnt_each_by_itself():
    values, targets = _texts(900, 300, 4)
    labels = np.stack([targets == 0, targets != 1, (targets == 2) | (targets == 3)], axis=1).astype(np.float32)
    head = fit_sparse_head(_csr(values[:600]), torch.tensor(labels[:600]), "multilabel", 3, _generator())
    logits, truth = apply_linear(_csr(values[600:]), head.weight, head.bias), torch.tensor(labels[600:])
    shares = torch.tensor(labels[:600]).mean(0).logit().expand(300, 3)
    ours, constant = (
        binary_cross_entropy_with_logits(each, truth, reduction="none").mean(0) for each in (logits, shares)
    )
    assert bool((ours < 0.8 * constant).all())


def test_values_are_learnt_as_by_ridge_regression():
    rng = np.random.default_rng(0)
    values, _ = _texts(900, 300, 3)
    truth = values @ rng.normal(size=300)
    truth = (truth - truth.mean()) / truth.std()
    noisy = (truth + 0.3 * rng.normal(size=900)).astype(np.float32)
    head = fit_sparse_head(_csr(values[:600]), torch.tensor(noisy[:600]), "regression", 1, _generator())
    ours = apply_linear(_csr(values[600:]), head.weight, head.bias)[:, 0].numpy()
    theirs = [Ridge(alpha=s).fit(values[:600], noisy[:600]).predict(values[600:]) for s in (0.03, 0.1, 0.3, 1, 3)]
    assert head.weight.shape == (1, 300)
    assert np.square(ours - truth[600:]).mean() < 1.05 * min(np.square(each - truth[600:]).mean() for each in theirs)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 60), classes=st.integers(2, 5))
def test_any_few_rows_give_finite_weights(seed, rows, classes):
    matrix = scipy.sparse.random(rows, 40, density=0.1, rng=np.random.default_rng(seed), format="csr")
    targets = torch.arange(rows) % classes
    head = fit_sparse_head(_csr(matrix), targets, "classification", classes, _generator(seed))
    assert head.weight.shape == (classes, 40)
    assert bool(head.weight.isfinite().all() & head.bias.isfinite().all())


def test_rows_without_values_give_the_share_of_each_class():
    targets = torch.tensor([0] * 300 + [1] * 100)
    head = fit_sparse_head(_csr(scipy.sparse.csr_matrix((400, 9))), targets, "classification", 2, _generator())
    assert apply_linear(_csr(np.zeros((1, 9))), head.weight, head.bias).softmax(1)[0, 0] == pytest.approx(
        0.75, abs=0.01
    )


def test_columns_that_never_occur_carry_no_weight():
    values, targets = _texts(200, 50, 2)
    wide = np.concatenate([np.zeros((200, 30)), values], 1)
    head = fit_sparse_head(_csr(wide), torch.tensor(targets), "classification", 2, _generator())
    assert not head.weight[:, :30].any()
    assert bool(head.weight[:, 30:].any())


def test_equal_seeds_give_equal_heads():
    values, targets = _texts(1500, 200, 3)
    one, other = (
        fit_sparse_head(_csr(values), torch.tensor(targets), "classification", 3, _generator(3)) for _ in range(2)
    )
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(one.bias, other.bias)


def test_of_more_values_than_fit_into_memory_a_sample_is_used(monkeypatch):
    values, targets = _texts(1000, 200, 2)
    features, used = _csr(values), []
    monkeypatch.setattr(sparse_head, "MOST_VALUES", features.values().numel() // 2)
    solve = sparse_head._Problem.solve
    monkeypatch.setattr(
        sparse_head._Problem, "solve", lambda self, *a, **k: (used.append(self.inputs.nnz), solve(self, *a, **k))[1]
    )
    head = fit_sparse_head(features, torch.tensor(targets), "classification", 2, _generator())
    assert 0.45 * features.values().numel() < max(used) <= 0.5 * features.values().numel()
    assert _log_loss(apply_linear(features, head.weight, head.bias), targets) < 0.6


def test_sparse_and_dense_features_give_the_same_outputs():
    values, _ = _texts(20, 60, 2)
    weight, bias = torch.randn(3, 60, generator=_generator()), torch.randn(3, generator=_generator(1))
    sparse = apply_linear(_csr(values), weight, bias)
    dense = apply_linear(torch.tensor(values, dtype=torch.float32), weight, bias)
    assert torch.allclose(sparse, dense, atol=1e-5)
    assert torch.allclose(dense, torch.nn.functional.linear(torch.tensor(values).float(), weight, bias), atol=1e-5)
    assert apply_linear(_csr(np.zeros((0, 60))), weight, bias).shape == (0, 3)


def test_the_features_are_left_as_they_were():
    values, targets = _texts(300, 80, 2)
    features = _csr(values)
    before = _scipy(features).copy()
    fit_sparse_head(features, torch.tensor(targets), "classification", 2, _generator())
    assert (_scipy(features) != before).nnz == 0


def test_of_many_outputs_fewer_rows_are_fitted(monkeypatch):
    values, targets = _texts(400, 60, 4)
    used, of = [], sparse_head._Problem.of
    monkeypatch.setattr(sparse_head, "MOST_OUTPUTS", 4 * 150)
    monkeypatch.setattr(
        sparse_head._Problem, "of", lambda inputs, *rest: (used.append(inputs.shape[0]), of(inputs, *rest))[1]
    )
    fit_sparse_head(_csr(values), torch.tensor(targets), "classification", 4, _generator())
    assert max(used) == 150


@pytest.mark.parametrize("asked", [0, 1, 5, 40])
def test_a_fit_ends_when_it_is_asked_to(asked):
    values, targets = _texts(300, 80, 3)
    answers = iter([False] * asked + [True])
    patience = Patience(should_stop=lambda: next(answers))
    with pytest.raises(Stopped):
        fit_sparse_head(_csr(values), torch.tensor(targets), "classification", 3, _generator(), patience=patience)


@pytest.mark.parametrize("until", [60.0, 150.0])
def test_a_late_fit_gives_what_it_has_found_so_far(until):
    values, targets = _texts(1200, 400, 3)
    patience = Patience(clock=FakeClock(step=1.0), until=until)
    head = fit_sparse_head(
        _csr(values[:800]), torch.tensor(targets[:800]), "classification", 3, _generator(), patience=patience
    )
    assert patience.ran_out
    assert patience.clock.now < until + 5, "hardly a step was taken after the end"
    outputs = apply_linear(_csr(values[800:]), head.weight, head.bias)
    assert _log_loss(outputs, targets[800:]) < 0.97 * np.log(3)


def test_a_fit_in_time_is_the_one_without_a_limit():
    values, targets = _texts(300, 80, 3)
    patience = Patience(clock=FakeClock(step=1.0), until=1e6)
    plain, timed = (
        fit_sparse_head(_csr(values), torch.tensor(targets), "classification", 3, _generator(), patience=each)
        for each in (None, patience)
    )
    assert not patience.ran_out
    assert torch.equal(plain.weight, timed.weight)


@pytest.mark.parametrize("steps", [1, 4, 9])
def test_the_solver_asks_between_products_whether_to_go_on(monkeypatch, steps):
    values, targets = _texts(300, 200, 3, clarity=1.0)
    loss = loss_of("classification", 3)
    goals = loss.goals(targets)
    problem, asked, products = sparse_head._Problem.of(_scipy(_csr(values)), goals, loss), iter(range(steps)), []
    alike = sparse_head._Problem.alike
    monkeypatch.setattr(sparse_head._Problem, "alike", lambda self, mix: (products.append(1), alike(self, mix))[1])
    found = problem.solve(1e-3, is_over=lambda: next(asked, None) is None)
    assert steps <= len(products) <= steps + 2
    assert loss.value(found.outputs, goals) < np.log(3)
