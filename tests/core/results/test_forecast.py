"""What a budget is expected to bring: laws that are known come out, and what is not known is said to be so."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from core.results.ranked import ACCURACY, model

from seedbed.core.data.profile import Profile
from seedbed.core.errors import DataError
from seedbed.core.results.forecast import forecast_budgets, forecast_run, noise_of
from seedbed.core.results.leaderboard import Leaderboard, Row
from seedbed.core.results.power_laws import Unknown
from seedbed.core.results.progress import Progress
from seedbed.core.runfolder import RunFolder
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import DataDescribed, RunStarted, TrialFinished, TrialStarted
from seedbed.core.search.history import History
from seedbed.core.specs import MetricSpec
from seedbed.core.task import Task

TASK = Task(modality="image", kind="classification", metric="accuracy", classes=("a", "b", "c"))
PROFILE = Profile(task=TASK, examples=300, train=90, valid=200, test=10, class_counts=(30, 40, 20))


def progress(score, points=24, *, unit="seconds", last=60.0):
    """The progress of a run whose best after so much was `score` of that."""
    spent = np.geomspace(last / 32, last, points)
    best = tuple(float(score(each)) for each in spent)
    return Progress(unit=unit, spent=tuple(spent), best=best, to_come=(0.0,) * points, budget=last)


def forecast(found, direction="max", **options):
    made = forecast_budgets(found, direction, rng=np.random.default_rng(0), **options)
    assert not isinstance(made, Unknown), made
    return made


def law(c, a, b):
    return lambda spent: c + a * spent**-b


@pytest.mark.parametrize(("c", "b"), [(0.0, 0.3), (0.0, 0.8), (0.05, 0.5), (0.1, 1.0)])
def test_an_exact_power_law_is_recovered(c, b):
    error = law(c, 0.5, b)
    now = error(60.0)
    for each in forecast(progress(lambda spent: 1 - error(spent))):
        truth = error(60.0 * each.factor)
        assert 1 - each.expected == pytest.approx(truth, abs=0.2 * (now - truth))
        assert each.low <= 1 - truth <= each.high


def test_a_minimised_metric_goes_down_by_the_same_law():
    error = law(0.5, 20.0, 0.5)
    down = forecast(progress(error), "min")
    for each in down:
        truth = error(60.0 * each.factor)
        assert each.expected == pytest.approx(truth, abs=0.2 * (error(60.0) - truth))
        assert each.low <= each.expected <= each.high <= error(60.0)


def test_the_unit_of_an_error_changes_nothing_but_the_unit():
    metres, millimetres = (forecast(progress(law(0.5 * unit, 20.0 * unit, 0.5)), "min") for unit in (1.0, 1000.0))
    for one, other in zip(metres, millimetres, strict=True):
        assert other.expected == pytest.approx(1000 * one.expected)


def test_scores_beyond_one_are_no_shares_and_still_forecast():
    found = forecast(progress(lambda spent: 40 - 30 * spent**-0.5))
    assert 40 - 30 * 60**-0.5 < found[0].expected < found[-1].expected


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("direction", ["max", "min"])
def test_no_forecast_falls_below_the_best_or_below_a_smaller_budget(seed, direction):
    rng = np.random.default_rng(seed)
    worth = np.maximum.accumulate(rng.uniform(0.2, 0.9, 12))
    best = worth if direction == "max" else 1 - worth
    found = forecast(progress(dict(zip(np.geomspace(60 / 32, 60, 12), best, strict=True)).get, 12), direction)
    sign = 1 if direction == "max" else -1
    before = (sign * float(best[-1]),) * 3
    for each in found:
        gained = tuple(sorted(sign * score for score in (each.low, each.expected, each.high)))
        assert gained[1] == sign * each.expected
        assert all(now >= earlier - 1e-12 for now, earlier in zip(gained, before, strict=True))
        before = gained


def test_bands_narrow_with_more_data():
    error = law(0.02, 0.5, 0.5)
    widths = []
    for points in (4, 8, 24):
        each = forecast(progress(lambda spent: 1 - error(spent), points))[0]
        widths.append(each.high - each.low)
    assert widths[0] > 1.5 * widths[1] > 1.5 * widths[2]


def test_leaps_make_wider_bands_than_a_smooth_rise():
    smooth = progress(lambda spent: 1 - 0.5 * spent**-0.4)
    leaping = replace(smooth, best=tuple(np.repeat(smooth.best[7::8], 8).tolist()))
    found = [forecast(each)[0] for each in (smooth, leaping)]
    assert found[1].high - found[1].low > 2 * (found[0].high - found[0].low)


def test_a_best_that_has_long_stood_still_is_expected_to_stay():
    still = progress(lambda spent: 0.7 if spent < 3 else 0.8, 24)
    each = forecast(still, noise=0.02)[0]
    assert each.expected == pytest.approx(0.8, abs=2e-3)
    assert each.gain_probability < 0.25


def test_looks_at_an_unripe_training_promise_less_than_finished_ones():
    ripe = progress(lambda spent: 1 - 0.5 * spent**-0.5)
    unripe = replace(ripe, to_come=tuple(1 - each / 60.0 for each in ripe.spent))
    promised, doubted = forecast(ripe)[0], forecast(unripe)[0]
    assert doubted.expected < promised.expected
    assert doubted.high - doubted.low > promised.high - promised.low


def test_the_chance_to_gain_more_than_noise_falls_with_the_noise():
    error = law(0.0, 0.5, 0.5)
    found = [forecast(progress(lambda spent: 1 - error(spent)), noise=noise)[0] for noise in (0.001, 0.02, 0.5)]
    chances = [each.gain_probability for each in found]
    assert chances[0] > 0.95 > 0.7 > chances[1] > chances[2] == 0.0
    assert forecast(progress(lambda spent: 1 - error(spent)))[0].gain_probability is None


def test_what_is_perfect_stays_so():
    for each in forecast(progress(lambda spent: min(1.0, spent / 30)), noise=0.01):
        assert (each.expected, each.low, each.high, each.gain_probability) == (1.0, 1.0, 1.0, 0.0)


def test_budgets_are_named_in_the_unit_of_the_run():
    timed, counted = progress(lambda spent: 1 - 1 / (1 + spent)), progress(law(0.1, 0.5, 0.5), unit="trials", last=50.0)
    assert [each.seconds for each in forecast(timed)] == [120.0, 240.0, 600.0]
    assert [each.trials for each in forecast(counted, "min")] == [100, 200, 500]
    assert forecast(timed)[0].trials is forecast(counted, "min")[0].seconds is None


def test_time_that_goes_into_other_things_buys_nothing_again():
    error = law(0.0, 0.5, 0.5)
    plain = progress(lambda spent: 1 - error(spent))
    with_ending = replace(plain, budget=80.0)
    assert forecast(with_ending)[0].expected > forecast(plain)[0].expected  # 140 s of trials, not 120 s


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "nothing has been scored"),
        (Progress(unit="trials", spent=(1.0,), best=(0.9,), to_come=(0.0,), budget=1.0), "1 result so far"),
        (progress(lambda spent: 1 - 1 / (1 + spent), 3), "3 results so far"),
        (
            Progress(
                unit="seconds",
                spent=(40.0, 45.0, 50.0, 55.0, 60.0),
                best=(0.1, 0.2, 0.3, 0.4, 0.5),
                to_come=(0.0,) * 5,
                budget=60.0,
            ),
            "second half",
        ),
    ],
)
def test_too_little_to_go_by_is_a_reason_and_no_number(found, said):
    made = forecast_budgets(found, "max", rng=np.random.default_rng(0))
    assert isinstance(made, Unknown)
    assert said in made.reason


def test_noise_is_how_far_the_interval_reaches_beyond_the_best():
    row = Row(
        rank=1, trial=0, status="finished", seconds=1, candidate="c", role="candidate", score=0.8, low=0.7, high=0.9
    )
    board = Leaderboard(rows=(row,), metric="accuracy", direction="max", examples=10)
    assert noise_of(board) == pytest.approx(0.1)
    assert noise_of(replace(board, direction="min", rows=(replace(row, low=0.75),))) == pytest.approx(0.05)
    assert noise_of(replace(board, rows=())) is None


class Metrics:
    """A look-up that knows accuracy."""

    def get(self, kind, name):
        return MetricSpec(name=name, summary="Accuracy.", build="metrics:accuracy")

    def load(self, spec):
        return lambda options: ACCURACY


def run(tmp_path, count=12):
    """A run of so many trials whose best rises, and its folder."""
    history = History([RunStarted(version="0", source="s", seed=0), DataDescribed(profile=PROFILE)])
    for number in range(count):
        history.apply(TrialStarted(trial=number, candidate=Candidate({"n": number}), fidelity=Fidelity(epochs=1)))
        score = 1 - 0.5 * (number + 1) ** -0.5
        history.apply(TrialFinished(trial=number, score=score, seconds=1, epochs=1, steps=1))
    row = Row(rank=1, trial=count - 1, status="finished", seconds=1, candidate="c", role="candidate", score=0.8)
    board = Leaderboard(rows=(row,), metric="accuracy", direction="max", examples=200)
    folder = RunFolder(tmp_path)
    folder.trial(count - 1).mkdir(parents=True)
    model(0.8).save(folder.trial(count - 1) / "predictions.npz")
    return history, board, folder


def test_a_run_is_forecast_the_same_each_time_and_as_json(tmp_path):
    found = [forecast_run(*run(tmp_path / str(n)), Metrics()) for n in range(2)]
    documents = [json.dumps(each.to_json(), allow_nan=False) for each in found]
    assert documents[0] == documents[1]
    document = json.loads(documents[0])
    assert document["best"] == pytest.approx(1 - 0.5 * 12**-0.5, abs=1e-6)
    assert [each["trials"] for each in document["budgets"]] == [24, 48, 120]
    assert {each["name"] for each in document["labels"]["classes"]} == {"a", "b", "c"}
    assert "progress" not in document


def test_the_winners_own_predictions_come_first(tmp_path):
    history, board, folder = run(tmp_path)
    model(1.0).save(folder.valid_predictions)
    assert all(each.recall == 1.0 for each in forecast_run(history, board, folder, Metrics()).labels.classes)


def test_a_run_without_results_says_why_there_is_no_forecast(tmp_path):
    history = History([RunStarted(version="0", source="s", seed=0), DataDescribed(profile=PROFILE)])
    board = Leaderboard(rows=(), metric="accuracy", direction="max", examples=0)
    found = forecast_run(history, board, RunFolder(tmp_path), Metrics())
    assert found.budgets is found.labels is None
    assert found.budgets_reason == "nothing has been scored yet"
    assert "no trial has a result" in found.labels_reason
    with pytest.raises(DataError, match="begin it again"):
        forecast_run(History(), board, RunFolder(tmp_path), Metrics())
