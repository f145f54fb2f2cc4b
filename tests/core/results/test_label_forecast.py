"""What more labels are expected to bring, and whose are worth most."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from core.results.ranked import ACCURACY, LOG_LOSS

from seedbed.core.data.profile import Profile
from seedbed.core.errors import DataError
from seedbed.core.results.label_forecast import forecast_labels
from seedbed.core.results.power_laws import Unknown
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import DataDescribed, TrialFinished, TrialStarted
from seedbed.core.search.history import History
from seedbed.core.task import Task
from seedbed.core.training.predictions import Predictions
from seedbed.plugins.metrics import AverageOptions
from seedbed.plugins.metrics.scores import f1


def profile(counts, kind="classification"):
    classes = tuple(f"class {n}" for n in range(len(counts)))
    task = Task(modality="image", kind=kind, metric="accuracy", classes=classes if kind != "regression" else ())
    return Profile(task=task, examples=10_000, train=int(sum(counts)), valid=400, test=0, class_counts=tuple(counts))


def predictions(errors, support=100):
    """Predictions with this share of errors in each class, all of them for the next class."""
    count = len(errors)
    targets = np.repeat(np.arange(count), support)
    outputs = np.full((len(targets), count), 0.1 / count, dtype=np.float32)
    given = targets.copy()
    for code, error in enumerate(errors):
        rows = np.flatnonzero(targets == code)[: round(error * support)]
        given[rows] = (code + 1) % count
    outputs[np.arange(len(targets)), given] += 0.9
    return Predictions(np.arange(len(targets)), targets, outputs)


def history(counts, *trials, kind="classification"):
    """A run with trials of (values, subset, score)."""
    found = History([DataDescribed(profile=profile(counts, kind))])
    for number, (values, subset, score) in enumerate(trials):
        fidelity = Fidelity(epochs=4, subset=subset)
        found.apply(TrialStarted(trial=number, candidate=Candidate(values), fidelity=fidelity))
        found.apply(TrialFinished(trial=number, score=score, seconds=1, epochs=4, steps=1))
    return found


def forecast(counts, errors, *trials, metric=ACCURACY, direction="max", support=100):
    found = forecast_labels(
        history(counts, *trials), predictions(errors, support), metric, direction, rng=np.random.default_rng(0)
    )
    assert not isinstance(found, Unknown)
    return found


def of(found, code):
    return next(each for each in found.classes if each.name == f"class {code}")


def test_of_equally_large_classes_the_labels_of_the_worst_known_are_worth_most():
    found = forecast([200, 200, 200], [0.05, 0.4, 0.1])
    assert [each.name for each in found.classes] == ["class 1", "class 2", "class 0"]
    assert of(found, 1).recall == pytest.approx(0.6)
    assert of(found, 1).change.mean > 3 * of(found, 2).change.mean


def test_of_equally_known_classes_a_label_is_worth_more_where_there_are_few():
    found = forecast([50, 400, 400], [0.3, 0.3, 0.3])
    assert found.classes[0].name == "class 0"
    assert found.classes[0].gain_per_label > 4 * found.classes[1].gain_per_label
    assert found.classes[0].gain.mean == pytest.approx(found.classes[1].gain.mean, rel=0.1)


def test_a_row_told_right_gains_accuracy_its_share():
    one = of(forecast([200, 200], [0.3, 0.0]), 0)
    assert one.gain.mean == pytest.approx(one.change.mean / 2, rel=1e-6)  # half of all rows are of it


@pytest.mark.parametrize(
    ("metric", "direction"), [(f1(AverageOptions()), "max"), (LOG_LOSS, "min")], ids=["f1_macro", "log_loss"]
)
def test_gains_are_told_in_any_metric_as_what_it_gets_better(metric, direction):
    found = forecast([200, 200, 200], [0.05, 0.4, 0.1], metric=metric, direction=direction)
    assert found.classes[0].name == "class 1"
    assert 0 < found.classes[0].gain.low < found.classes[0].gain.mean < found.classes[0].gain.high
    now = metric(predictions([0.05, 0.4, 0.1]).targets, predictions([0.05, 0.4, 0.1]).outputs)
    better = found.doubled.mean - now if direction == "max" else now - found.doubled.mean
    assert better > 0


def test_the_prior_halves_no_error_and_leaves_much_open():
    change = of(forecast([200, 200], [0.4, 0.4], support=10_000), 0).change
    assert 0.02 < change.mean < 0.1
    assert change.low < 0.02
    assert change.high > 0.08


def test_few_rows_leave_a_class_more_open_than_many():
    few, many = (of(forecast([200, 200], [0.2, 0.2], support=support), 0).change for support in (5, 2000))
    assert few.high - few.low > many.high - many.low


def test_no_recall_is_expected_to_pass_one_or_to_fall():
    for each in forecast([10, 100, 1000], [0.0, 0.5, 1.0], support=6).classes:
        assert 0 <= each.change.low <= each.change.mean <= each.change.high
        assert each.change.high <= 1.0
        assert each.gain.low >= 0


def test_trials_on_shares_of_the_rows_correct_what_is_usual():
    shares = (0.125, 0.25, 0.5, 1.0)
    steep = [({"n": 0}, share, 1 - 0.1 * share**-0.9) for share in shares]
    flat = [({"n": 0}, share, 0.9) for share in shares]
    usual, more, less = (forecast([200, 200], [0.1, 0.1], *each) for each in ((), steep, flat))
    assert more.doubled.mean > usual.doubled.mean > less.doubled.mean
    assert of(more, 0).change.mean > of(usual, 0).change.mean > of(less, 0).change.mean
    assert more.evidence == ("trials on shares of the rows",)
    assert usual.evidence == ()


def test_trials_of_unlike_candidates_are_no_curve():
    found = forecast([200, 200], [0.1, 0.1], ({"n": 0}, 0.25, 0.5), ({"n": 1}, 1.0, 0.9))
    assert found.evidence == ()


def test_trials_told_apart_by_their_passes_are_no_curve():
    run = history([200, 200], ({"n": 0}, 0.25, 0.5))
    run.apply(TrialStarted(trial=1, candidate=Candidate({"n": 0}), fidelity=Fidelity(epochs=8)))
    run.apply(TrialFinished(trial=1, score=0.9, seconds=1, epochs=8, steps=1))
    found = forecast_labels(run, predictions([0.1, 0.1]), ACCURACY, "max", rng=np.random.default_rng(0))
    assert found.evidence == ()


def test_many_classes_show_how_recall_goes_with_labels():
    counts = [round(each) for each in np.geomspace(20, 2000, 12)]
    falling = [min(0.9, 4 * count**-0.5) for count in counts]
    level = [0.2] * 12
    steep, flat = (forecast(counts, errors) for errors in (falling, level))
    assert steep.evidence == flat.evidence == ("recall against labels across the classes",)
    steep_share, flat_share = (of(found, 5).change.mean / (1 - of(found, 5).recall) for found in (steep, flat))
    assert steep_share > 1.2 * flat_share


def test_classes_without_a_validation_row_or_a_label_are_left_out():
    shown = predictions([0.1, 0.2])
    outputs = np.concatenate([shown.outputs, np.zeros((200, 2), np.float32)], axis=1)
    found = forecast_labels(
        history([100, 100, 100, 0]),
        replace(shown, outputs=outputs),
        ACCURACY,
        "max",
        rng=np.random.default_rng(0),
    )
    assert {each.name for each in found.classes} == {"class 0", "class 1"}


def test_values_have_no_classes_but_more_rows():
    rng = np.random.default_rng(0)
    targets = rng.normal(size=200)
    given = Predictions(np.arange(200), targets, (targets + 0.5).astype(np.float32))

    def mean_error(targets, outputs):
        return float(np.abs(targets - outputs).mean())

    found = forecast_labels(history([], kind="regression"), given, mean_error, "min", rng=rng)
    assert found.classes == ()
    assert found.doubled.high <= 0.5
    assert found.doubled.low < found.doubled.mean < 0.5


def test_a_metric_without_a_value_gives_no_number():
    def nothing(targets, outputs):
        return float("nan")

    found = forecast_labels(history([9, 9]), predictions([0.1, 0.1]), nothing, "max", rng=np.random.default_rng(0))
    assert isinstance(found, Unknown)
    assert "no value" in found.reason


def test_predictions_of_another_task_are_refused():
    with pytest.raises(DataError, match="rank the run again"):
        forecast_labels(history([9, 9, 9]), predictions([0.1, 0.1]), ACCURACY, "max", rng=np.random.default_rng(0))


def test_the_predictions_stay_as_they_were():
    given = predictions([0.3, 0.0, 0.5])
    before = given.outputs.copy()
    forecast_labels(history([9, 9, 9]), given, ACCURACY, "max", rng=np.random.default_rng(0))
    assert np.array_equal(given.outputs, before)
