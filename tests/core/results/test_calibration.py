from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.errors import DataError, UsageError
from seedbed.core.results.calibration import (
    Calibration,
    calibrate,
    coverage,
    expected_calibration_error,
    intervals,
    nonconformity,
    prediction_sets,
    set_sizes,
)
from seedbed.core.training.predictions import Predictions, answers, proper_losses, softened


def classes(rows, seed, sureness=1.0, spread=1.5):
    """Predictions of three classes by a model that knows how likely they are, and is `sureness` times as sure."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=spread, size=(rows, 3))
    likely = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = np.minimum((likely.cumsum(1) < rng.random((rows, 1))).sum(1), 2)
    said = np.exp(sureness * logits) / np.exp(sureness * logits).sum(1, keepdims=True)
    return Predictions(np.arange(rows), targets, said)


def labels(rows, seed, sureness=1.0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=1.5, size=(rows, 4))
    targets = rng.random((rows, 4)) < 1 / (1 + np.exp(-logits))
    return Predictions(np.arange(rows), targets.astype(np.uint8), 1 / (1 + np.exp(-sureness * logits)))


def values(rows, seed):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=rows)
    return Predictions(np.arange(rows), truth, truth + rng.standard_t(3, size=rows))


def softly(predictions, calibration):
    return softened(predictions.outputs, calibration.temperature, predictions.kind)


@pytest.mark.parametrize("level", [0.05, 0.2])
@pytest.mark.parametrize("make", [lambda rows, seed: classes(rows, seed, 3.0), values])
def test_the_truth_is_in_the_set_as_often_as_theory_says(make, level):
    """Over draws of both parts: by 1 / (n + 1) more than 1 - level at most (Lei et al. 2018, theorem 2.2)."""
    rows, new, draws = 99, 400, 150
    found = []
    for seed in range(draws):
        every = make(rows + new, seed)
        calibration = calibrate(Predictions(every.rows[:rows], every.targets[:rows], every.outputs[:rows]))
        later = Predictions(every.rows[rows:], every.targets[rows:], every.outputs[rows:])
        found.append(coverage(later.targets, softly(later, calibration), calibration.threshold(level)).strict)
    noise = 4 * math.sqrt(level * (1 - level) * (1 / new + 1 / rows) / draws)
    assert 1 - level - noise < np.mean(found) < 1 - level + 1 / (rows + 1) + noise


def test_sets_of_a_model_whose_probabilities_round_to_one_hold_the_truth_no_more_often():
    found = []
    for seed in range(40):
        every = classes(800, seed, 1.0, spread=60.0)
        assert (every.outputs.max(1) == 1).mean() > 0.7
        calibration = calibrate(Predictions(every.rows[:400], every.targets[:400], every.outputs[:400]))
        later = Predictions(every.rows[400:], every.targets[400:], every.outputs[400:])
        found.append(coverage(later.targets, softly(later, calibration), calibration.threshold(0.5)).strict)
    assert np.mean(found) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("make", [classes, labels])
def test_the_temperature_undoes_what_a_model_is_too_sure_by(make):
    known, new = make(4000, 0, 3.0), make(4000, 1, 3.0)
    found = calibrate(known)
    assert found.temperature == pytest.approx(3.0, rel=0.1)
    assert found.ece_before > 0.1 > 0.03 > found.ece_after
    assert expected_calibration_error(new.targets, softly(new, found)) < 0.03
    assert proper_losses(new.targets, softly(new, found)).mean() < proper_losses(new.targets, new.outputs).mean() - 0.1


def test_a_model_too_unsure_is_made_surer():
    assert calibrate(classes(4000, 0, 0.4)).temperature == pytest.approx(0.4, rel=0.1)


def test_a_temperature_that_does_not_help_the_other_half_is_not_kept():
    found = [calibrate(classes(60, seed)) for seed in range(20)]
    plain = [each for each in found if each.temperature == 1.0]
    assert len(plain) > 5
    assert all(each.ece_before == each.ece_after for each in plain)
    assert all(calibrate(classes(400, seed, 3.0)).temperature != 1.0 for seed in range(5))


def test_a_few_rows_told_right_do_not_make_a_model_certain():
    said = np.tile([0.95, 0.05], (40, 1))
    found = calibrate(Predictions(np.arange(40), np.zeros(40, int), said))
    assert softened(said.astype(np.float32), found.temperature, "classification")[0, 1] > 1e-3


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_rows_too_few_for_halves_leave_probabilities_as_they_are(rows):
    found = calibrate(classes(rows, 0, 3.0))
    assert (found.temperature, found.rows, len(found.table)) == (1.0, rows, rows)


def test_values_have_no_temperature_and_several_labels_no_table():
    assert calibrate(values(50, 0)).temperature == 1.0
    assert calibrate(values(50, 0)).ece_after is None
    assert calibrate(labels(50, 0)).table == ()


def test_equal_predictions_are_calibrated_equally():
    assert calibrate(classes(500, 0, 2.0)) == calibrate(classes(500, 0, 2.0))


probabilities = st.lists(st.floats(0, 1, width=32), min_size=2, max_size=6)


@given(st.lists(probabilities, min_size=1, max_size=5), st.floats(0.2, 5.0))
def test_what_is_most_probable_stays_so_at_any_temperature(rows, temperature):
    width = min(map(len, rows))
    outputs = np.array([each[:width] for each in rows], np.float32)
    for kind in ("classification", "multilabel"):
        found = softened(outputs, temperature, kind)
        assert found.dtype == np.float32
        assert np.array_equal(answers(found, kind), answers(outputs, kind))


@pytest.mark.parametrize("temperature", [0.2, 1.3, 5.0])
def test_next_to_a_tie_too_the_answer_stays(temperature):
    below = np.nextafter(np.float32(0.5), np.float32(0))
    above = np.nextafter(np.float32(0.5), np.float32(1))
    outputs = np.array([[below, 0.5], [0.5, above], [0.5, 0.5], [above, below]], np.float32)
    for kind in ("classification", "multilabel"):
        assert np.array_equal(answers(softened(outputs, temperature, kind), kind), answers(outputs, kind))


@settings(max_examples=50)
@given(st.integers(1, 6000), st.floats(0.001, 0.9))
def test_the_table_gives_the_order_statistic_or_the_next_that_it_keeps(rows, level):
    scores = np.sort(np.random.default_rng(rows).random(rows))
    calibration = calibrate(Predictions(np.arange(rows), np.zeros(rows), scores))
    scores = np.sort(nonconformity(np.zeros(rows), scores.astype(np.float32)))
    rank = math.ceil(round((rows + 1) * (1 - level), 6))
    if rank > rows:
        with pytest.raises(UsageError):
            calibration.threshold(level)
        return
    found = calibration.threshold(level)
    assert len(calibration.table) == min(rows, 2000)
    assert scores[rank - 1] <= found <= scores[min(rank - 1 + math.ceil(rows / 2000) - (rows <= 2000), rows - 1)]


def test_a_calibration_survives_json_to_the_last_bit():
    made = calibrate(classes(3000, 0, 2.0))
    again = msgspec.json.decode(msgspec.json.format(msgspec.json.encode(made)), type=Calibration)
    assert again == made
    assert again.threshold(0.03) == made.threshold(0.03)


@given(st.integers(1, 3000))
def test_a_level_that_the_rows_are_too_few_for_is_refused_with_one_that_is_served(rows):
    calibration = Calibration(rows=rows, table=tuple(np.linspace(0, 1, min(rows, 2000)).tolist()))
    with pytest.raises(UsageError, match="rows of validation or more, and there were") as refusal:
        calibration.threshold(0.5 / (rows + 1))
    served = float(str(refusal.value).split("give ")[1].split()[0])
    assert served < 1.2 / (rows + 1)
    assert calibration.threshold(served) == calibration.table[-1]


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 5, math.nan])
def test_a_level_that_is_no_share_is_refused(level):
    with pytest.raises(UsageError, match=r"as in 0\.05"):
        calibrate(values(50, 0)).threshold(level)


def test_several_labels_cannot_abstain():
    with pytest.raises(UsageError, match="several labels a row cannot abstain"):
        calibrate(labels(50, 0)).threshold(0.1)


@pytest.mark.parametrize(
    "damage", [{"temperature": 0.0}, {"temperature": math.nan}, {"table": (2.0, 1.0)}, {"table": (1.0,) * 4}]
)
def test_a_damaged_calibration_is_refused(damage):
    with pytest.raises(DataError, match="is damaged"):
        Calibration(rows=3, **damage)


SAID = np.array([[0.7, 0.2, 0.1], [0.45, 0.15, 0.4], [0.3, 0.35, 0.35]], np.float32)


def test_sets_hold_what_is_likely_enough_the_most_probable_first():
    assert prediction_sets(SAID, ("a", "b", "c"), 0.62) == [["a"], ["a", "c"], ["b"]]
    assert prediction_sets(SAID, ("a", "b", "c"), 0.66) == [["a"], ["a", "c"], ["b", "c"]]
    assert set_sizes(SAID, 0.62).tolist() == [1, 2, 0]


def test_what_sets_come_to_is_counted_with_and_without_the_answer_in_an_empty_one():
    found = coverage(np.array([0, 1, 1]), SAID, 0.62)
    assert (found.coverage, found.strict) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert (found.answered, found.error) == (pytest.approx(2 / 3), 0.0)
    assert coverage(np.array([0, 1, 1]), SAID, 1.0).error is None
    wrong = coverage(np.array([1, 0, 0]), SAID, 0.62)
    assert (wrong.coverage, wrong.error) == (pytest.approx(1 / 3), 1.0)


def test_wrong_answers_are_never_more_than_truths_missing_from_sets():
    for seed in range(20):
        predictions = classes(300, seed)
        found = coverage(predictions.targets, predictions.outputs, 0.6)
        assert found.error * found.answered <= 1 - found.coverage + 1e-12


def test_values_lie_between_low_and_high():
    assert intervals(np.array([1.0, -2.0], np.float32), 0.5).tolist() == [[0.5, 1.5], [-2.5, -1.5]]
    found = coverage(np.array([1.4, 0.0]), np.array([1.0, -2.0], np.float32), 0.5)
    assert (found.coverage, found.answered, found.error) == (0.5, 1.0, None)


def test_calibration_errors_are_the_distance_of_sureness_and_truth():
    said = np.tile(np.array([0.9, 0.1], np.float32), (10, 1))
    targets = np.array([0] * 6 + [1] * 4)
    assert expected_calibration_error(targets, said) == pytest.approx(0.3, abs=1e-6)
    marks = np.array([[1, 0]] * 9 + [[0, 1]], np.uint8)
    assert expected_calibration_error(marks, said) == pytest.approx(0.0, abs=1e-6)
