from __future__ import annotations

import numpy as np
import pytest

from seedbed.core.errors import DataError
from seedbed.core.specs import NoOptions
from seedbed.core.training.predictions import Predictions, align, bootstrap, load_predictions
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
    np.testing.assert_array_equal(found.probabilities, made.probabilities)


def test_saving_replaces_the_file_and_leaves_nothing_else_behind(tmp_path):
    path = tmp_path / "predictions.npz"
    predictions([1]).save(path)
    predictions([1, 2]).save(path)
    assert len(load_predictions(path)) == 2
    assert [each.name for each in tmp_path.iterdir()] == ["predictions.npz"]


def test_other_number_types_are_converted():
    found = Predictions(np.array([1], np.uint8), np.array([0], np.int32), np.array([[0.5, 0.5]], np.float64))
    assert [each.dtype for each in (found.rows, found.targets, found.probabilities)] == [
        np.int64,
        np.int64,
        np.float32,
    ]


@pytest.mark.parametrize(
    ("rows", "targets", "probabilities", "message"),
    [
        ([0, 1], [0], [[0.5, 0.5], [0.5, 0.5]], r"targets \(1,\) .* do not fit"),
        ([0, 1], [0, 1], [[0.5, 0.5]], r"probabilities \(1, 2\) do not fit"),
        ([0, 1], [0, 1], [0.5, 0.5], r"probabilities \(2,\) do not fit"),
        ([3, 3], [0, 1], [[0.5, 0.5], [0.5, 0.5]], "a row comes twice"),
        ([0, 1], [0, 2], [[0.5, 0.5], [0.5, 0.5]], "targets reach from 0 to 2"),
        ([0, 1], [0, -1], [[0.5, 0.5], [0.5, 0.5]], "targets reach from -1 to 0"),
        ([0, 1], [0, 1], [[np.nan, 0.5], [0.5, 0.5]], "1 of 2 rows .* not finite"),
        ([0.5, 1.0], [0, 1], [[0.5, 0.5], [0.5, 0.5]], "rows has the type float64"),
    ],
)
def test_what_does_not_fit_is_named(rows, targets, probabilities, message):
    with pytest.raises(DataError, match=message):
        Predictions(np.array(rows), np.array(targets), np.array(probabilities, np.float32))


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
    np.savez(path, rows=np.array([{"any": "object"}], dtype=object), targets=[0], probabilities=[[1.0]])
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
    np.testing.assert_array_equal(left.probabilities, one.probabilities[[0, 3]])
    np.testing.assert_array_equal(right.probabilities, two.probabilities[[1, 0]])


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
