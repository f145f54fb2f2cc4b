from __future__ import annotations

import numpy as np
import pytest

from seedbed.core.errors import DataError
from seedbed.core.specs import NoOptions
from seedbed.core.training import predictions as module
from seedbed.core.training.predictions import (
    Predictions,
    align,
    answers,
    bootstrap,
    load_predictions,
    proper_losses,
    tempered,
)
from seedbed.plugins.metrics import AverageOptions
from seedbed.plugins.metrics.scores import accuracy, f1


def predictions(rows, targets=None, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    rows = np.asarray(rows, dtype=np.int64)
    targets = rows % classes if targets is None else np.asarray(targets, dtype=np.int64)
    return Predictions(rows, targets, rng.dirichlet(np.ones(classes), len(rows)).astype(np.float32))


def test_a_saved_file_gives_the_same_predictions_back(tmp_path):
    made = predictions([4, 2, 9])
    made.save(tmp_path / "predictions.npz")
    found = load_predictions(tmp_path / "predictions.npz")
    np.testing.assert_array_equal(found.rows, made.rows)
    np.testing.assert_array_equal(found.targets, made.targets)
    np.testing.assert_array_equal(found.outputs, made.outputs)


KINDS = {
    "classification": (np.array([0, 1]), np.array([[0.5, 0.5], [0.1, 0.9]], np.float32)),
    "multilabel": (np.array([[0, 1], [1, 1]], np.uint8), np.array([[0.5, 0.5], [0.9, 0.9]], np.float32)),
    "regression": (np.array([0.25, -3.0]), np.array([0.5, -2.0], np.float32)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_known_by_its_targets_before_and_after_it_is_saved(kind, tmp_path):
    targets, outputs = KINDS[kind]
    made = Predictions(np.array([7, 2]), targets, outputs)
    made.save(tmp_path / "predictions.npz")
    found = load_predictions(tmp_path / "predictions.npz")
    assert made.kind == found.kind == kind
    assert made.classes == (0 if kind == "regression" else 2)
    assert (found.targets.dtype, found.outputs.dtype) == (targets.dtype, np.float32)
    np.testing.assert_array_equal(found.targets, targets)
    np.testing.assert_array_equal(found.outputs, outputs)


def test_a_value_that_float32_cannot_hold_is_refused():
    with pytest.raises(DataError, match="1 of 1 rows"):
        Predictions(np.array([0]), np.array([1.0]), np.array([1e300]))


def test_marks_of_any_integer_type_are_labels():
    found = Predictions(np.array([0]), np.array([[True, False]]), np.array([[0.5, 0.5]]))
    assert (found.kind, found.targets.dtype) == ("multilabel", np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_every_kind_are_cut_to_the_shared_ones(kind):
    targets, outputs = KINDS[kind]
    left, right = align([Predictions(np.array([7, 2]), targets, outputs), Predictions([2], targets[1:], outputs[1:])])
    np.testing.assert_array_equal(left.targets, right.targets)
    np.testing.assert_array_equal(left.outputs, right.outputs)


def test_answers_are_what_is_likeliest():
    assert answers(np.array([[0.2, 0.8], [0.5, 0.5]]), "classification").tolist() == [1, 0]
    assert answers(np.array([[0.2, 0.8], [0.5, 0.4]]), "multilabel").tolist() == [[0, 1], [1, 0]]
    assert answers(np.array([0.2, 5.0]), "regression").tolist() == [0.2, 5.0]


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_truth_has_the_least_loss(kind):
    targets, outputs = KINDS[kind]
    truth = {
        "classification": np.eye(2, dtype=np.float32)[KINDS["classification"][0]],
        "multilabel": KINDS["multilabel"][0].astype(np.float32),
        "regression": KINDS["regression"][0].astype(np.float32),
    }[kind]
    assert proper_losses(targets, truth) == pytest.approx([0, 0], abs=1e-6)
    assert (proper_losses(targets, outputs) > 0.01).all()


def test_losses_are_those_of_the_definitions():
    (targets, outputs), (values, found) = KINDS["multilabel"], KINDS["regression"]
    wanted = -np.log([[0.5, 0.5], [0.9, 0.9]]).mean(axis=1)
    assert proper_losses(targets, outputs) == pytest.approx(wanted, rel=1e-6)
    assert proper_losses(values, found) == pytest.approx(np.square(found - values) / values.var())
    assert proper_losses(1e6 * values, 1e6 * found) == pytest.approx(proper_losses(values, found))


def test_saving_replaces_the_file_and_leaves_nothing_else_behind(tmp_path):
    path = tmp_path / "predictions.npz"
    predictions([1]).save(path)
    predictions([1, 2]).save(path)
    assert len(load_predictions(path)) == 2
    assert [each.name for each in tmp_path.iterdir()] == ["predictions.npz"]


def test_other_number_types_are_converted():
    found = Predictions(np.array([1], np.uint8), np.array([0], np.int32), np.array([[0.5, 0.5]], np.float64))
    assert [each.dtype for each in (found.rows, found.targets, found.outputs)] == [
        np.int64,
        np.int64,
        np.float32,
    ]


@pytest.mark.parametrize(
    ("rows", "targets", "outputs", "message"),
    [
        ([0, 1], [0], [[0.5, 0.5], [0.5, 0.5]], r"targets \(1,\) .* do not fit"),
        ([0, 1], [0, 1], [[0.5, 0.5]], r"outputs \(1, 2\) do not fit"),
        ([0, 1], [0, 1], [0.5, 0.5], r"outputs \(2,\) do not fit"),
        ([3, 3], [0, 1], [[0.5, 0.5], [0.5, 0.5]], "a row comes twice"),
        ([0, 1], [0, 2], [[0.5, 0.5], [0.5, 0.5]], "targets reach from 0 to 2"),
        ([0, 1], [0, -1], [[0.5, 0.5], [0.5, 0.5]], "targets reach from -1 to 0"),
        ([0, 1], [0, 1], [[np.nan, 0.5], [0.5, 0.5]], "1 of 2 rows .* not finite"),
        ([0.5, 1.0], [0, 1], [[0.5, 0.5], [0.5, 0.5]], "rows has the type float64"),
        ([0, 1], ["a", "b"], [[0.5, 0.5], [0.5, 0.5]], "targets has the type <U1, but int64"),
        ([0, 1], [[0, 1], [2, 0]], [[0.5, 0.5], [0.5, 0.5]], "must be 0 or 1"),
        ([0, 1], [[0, 256], [1, 0]], [[0.5, 0.5], [0.5, 0.5]], "must be 0 or 1"),  # 0 as a byte
        ([0, 1], [[0, 1]], [[0.5, 0.5], [0.5, 0.5]], "multilabel expects .N,., .N, K. and .N, K."),
        ([0, 1], [[0], [1]], [[0.5, 0.5], [0.5, 0.5]], r"targets \(2, 1\) .* do not fit"),
        ([0, 1], [[0.0, 1.0], [1.0, 0.0]], [[0.5, 0.5], [0.5, 0.5]], "targets has the type float64, but uint8"),
        ([0, 1], [0.5, 1.5], [[0.5], [0.5]], "regression expects"),
        ([0, 1], [0.5, np.nan], [0.5, 0.5], "targets are not finite"),
        ([0, 1], [0.5, 1.5], [0.5, np.inf], "1 of 2 rows .* not finite"),
    ],
)
def test_what_does_not_fit_is_named(rows, targets, outputs, message):
    with pytest.raises(DataError, match=message):
        Predictions(np.array(rows), np.array(targets), np.array(outputs, np.float32))


def test_no_rows_are_no_predictions():
    with pytest.raises(DataError, match="N of 1 or more"):
        Predictions(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 2), np.float32))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 torn"])
def test_a_broken_file_is_a_data_error(tmp_path, content):
    path = tmp_path / "predictions.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="holds no predictions"):
        load_predictions(path)


def test_a_missing_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="holds no predictions"):
        load_predictions(tmp_path / "predictions.npz")


def test_a_pickle_in_the_file_is_not_opened(tmp_path):
    path = tmp_path / "predictions.npz"
    np.savez(path, rows=np.array([{"any": "object"}], dtype=object), targets=[0], outputs=[[1.0]])
    with pytest.raises(DataError, match="holds no predictions"):
        load_predictions(path)


def test_equal_rows_are_left_in_their_order():
    members = [predictions([5, 1, 3], seed=seed) for seed in (0, 1)]
    assert all(found is given for found, given in zip(align(members), members, strict=True))


def test_different_rows_are_cut_to_the_shared_ones():
    one, two = predictions([5, 1, 3, 8]), predictions([8, 5, 2], seed=1)
    left, right = align([one, two])
    assert left.rows.tolist() == right.rows.tolist() == [5, 8]
    assert left.targets.tolist() == [5 % 3, 8 % 3]
    np.testing.assert_array_equal(left.outputs, one.outputs[[0, 3]])
    np.testing.assert_array_equal(right.outputs, two.outputs[[1, 0]])


def test_predictions_without_a_shared_row_cannot_be_compared():
    with pytest.raises(DataError, match="share no validation row"):
        align([predictions([0, 1]), predictions([2, 3])])


def test_predictions_of_other_targets_cannot_be_compared():
    with pytest.raises(DataError, match="disagree on the targets"):
        align([predictions([0, 1], [0, 1]), predictions([0, 1], [0, 2])])


@pytest.mark.parametrize("metric", [accuracy(NoOptions()), f1(AverageOptions())])
def test_the_same_rows_are_drawn_for_every_member(metric):
    member = predictions(range(60))
    samples = bootstrap([member, member], metric, seed=3, draws=50)
    np.testing.assert_allclose(samples[:, 0], samples[:, 1])
    assert samples[:, 0].std() > 0


def test_both_ways_to_resample_agree_on_the_spread():
    quick = accuracy(NoOptions())
    members = [predictions(range(300), seed=seed) for seed in (0, 1)]

    def slow(targets, probabilities):
        return quick(targets, probabilities)

    left = bootstrap(members, quick, seed=0, draws=2000)
    right = bootstrap(members, slow, seed=0)
    np.testing.assert_allclose(left.mean(axis=0), right.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(left.std(axis=0), right.std(axis=0), rtol=0.2)


def test_resampling_in_pieces_draws_as_often_as_asked(monkeypatch):
    monkeypatch.setattr("seedbed.core.training.predictions._CHUNK", 100)
    members = [predictions(range(40), seed=seed) for seed in (0, 1)]
    samples = bootstrap(members, accuracy(NoOptions()), seed=0, draws=7)
    assert samples.shape == (7, 2)
    assert np.all((samples >= 0) & (samples <= 1))
    assert len(np.unique(samples[:, 0])) > 1


def test_a_metric_that_fails_on_some_draws_still_has_a_spread():
    member = predictions(range(6), [0, 0, 0, 0, 0, 1], classes=2)

    def needs_both_classes(targets, probabilities):
        if len(np.unique(targets)) < 2:
            raise ValueError("only one class")
        return float(probabilities[targets == 1, 1].mean())

    samples = bootstrap([member], needs_both_classes, seed=0, draws=100)
    assert np.isfinite(samples).all()


def test_weights_and_drawn_rows_give_the_same_scores():
    metric = f1(AverageOptions())
    members = [predictions(range(50), seed=seed) for seed in (0, 1)]
    by_weights = bootstrap(members, metric, seed=5, draws=40)
    by_rows = bootstrap(members, lambda targets, outputs: metric(targets, outputs), seed=5, draws=40)
    np.testing.assert_allclose(by_weights, by_rows)


def test_draws_in_pieces_are_drawn_as_in_one(monkeypatch):
    members = [predictions(range(40), seed=seed) for seed in (0, 1)]
    whole = bootstrap(members, f1(AverageOptions()), seed=0, draws=23)
    monkeypatch.setattr("seedbed.core.training.predictions._CHUNK", 4 * 40 * 5)
    np.testing.assert_array_equal(bootstrap(members, f1(AverageOptions()), seed=0, draws=23), whole)


def test_very_many_outputs_are_drawn_less_often_but_often_enough_for_an_interval(monkeypatch):
    monkeypatch.setattr("seedbed.core.training.predictions._CELLS", 1)
    member = predictions(range(40))
    assert len(bootstrap([member], f1(AverageOptions()), seed=0)) == 60
    assert len(bootstrap([member], accuracy(NoOptions()), seed=0)) == 1000


def test_a_weighted_metric_that_fails_says_nothing_of_the_spread():
    class Broken:
        def __call__(self, targets, outputs):
            return 0.25

        def weighted(self, targets, outputs, weights):
            raise ZeroDivisionError

    assert (bootstrap([predictions(range(9))], Broken(), seed=0) == 0.25).all()


@pytest.mark.parametrize("cells", [2_000_000, 3_000])
@pytest.mark.parametrize("sureness", [0.3, 1.0, 4.0])
def test_however_sure_a_model_is_of_what_it_knows_at_its_best_temperature_it_says_the_same(
    monkeypatch, cells, sureness
):
    monkeypatch.setattr(module, "_TEMPERED_CELLS", cells)
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3000, 3))
    likely = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = (likely.cumsum(1) < rng.random((3000, 1))).sum(1)
    said = np.exp(sureness * logits) / np.exp(sureness * logits).sum(1, keepdims=True)
    found = tempered(Predictions(np.arange(3000), targets, said))
    assert np.abs(found.outputs - likely).mean() < 0.03
    assert np.array_equal(found.outputs.argmax(1), said.argmax(1))


def test_certain_classes_stay_finite_at_every_temperature():
    found = tempered(Predictions(np.arange(3), np.array([0, 1, 1]), np.eye(2)[[0, 1, 0]]))
    assert np.allclose(found.outputs.sum(1), 1)
    assert proper_losses(found.targets, found.outputs)[2] < 5.0


@pytest.mark.parametrize("kind", ["multilabel", "regression"])
def test_only_classes_have_a_temperature(kind):
    made = Predictions(np.array([7, 2]), *KINDS[kind])
    assert tempered(made) is made
