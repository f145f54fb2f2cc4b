"""The pure parts of the benchmark of random search against a grid."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import random_against_grid as bench
import rectangles_and_convex as drawing


def test_the_best_of_one_is_itself():
    assert bench.best_of(np.array([0.7]), np.array([0.6]), 100, np.random.default_rng(0)) == pytest.approx(0.6)


def test_of_two_that_cannot_be_told_apart_each_counts_half():
    weights = bench.weights_of_best(np.array([0.8, 0.8]), 100, np.random.default_rng(0))
    assert weights == pytest.approx([0.5, 0.5], abs=0.05)


def test_one_that_is_far_ahead_counts_alone():
    weights = bench.weights_of_best(np.array([0.5, 0.9, 0.6]), 1_000, np.random.default_rng(0))
    assert weights == pytest.approx([0, 1, 0])


def test_every_trial_is_in_one_experiment_of_each_size():
    trials = [{"valid": 0.5 + n / 1000, "test": 0.4 + n / 1000} for n in range(256)]
    found = bench.efficiency(trials, 1_000)
    assert {size: len(each) for size, each in found.items()} == {size: 256 // size for size in bench.SIZES}
    assert found[1] == pytest.approx([trial["test"] for trial in trials])
    medians = [np.median(found[size]) for size in bench.SIZES]
    assert medians[-1] > medians[0]


def test_rectangles_are_outlines_that_are_wide_or_tall():
    images, labels = drawing.rectangles(200, np.random.default_rng(1))
    for image, label in zip(images, labels, strict=True):
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert label == (height > width)
        assert image[rows[1:-1]][:, columns[1:-1]].sum() == 0
    assert 0.3 < labels.mean() < 0.7


def test_convex_regions_are_convex_and_the_others_are_not_and_both_are_as_large():
    images, labels = drawing.convex(40, np.random.default_rng(2))
    assert labels.tolist() == [0, 1] * 20
    assert [drawing.is_convex(image > 0) for image in images] == (labels == 1).tolist()
    areas = (images > 0).mean((1, 2))
    assert abs(areas[labels == 0].mean() - areas[labels == 1].mean()) < 0.12


def test_a_grid_of_a_hundred_is_a_hundred():
    from seedbed.plugins.strategies.grid import Lattice

    assert Lattice(bench._space("grid"), 5).size == bench.GRID_TRIALS
