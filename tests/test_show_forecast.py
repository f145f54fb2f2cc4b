"""A forecast in a terminal and on a page."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from seedbed.core.data.profile import Profile
from seedbed.core.results.forecast import BudgetForecast, Forecast
from seedbed.core.results.label_forecast import ClassForecast, Expected, LabelForecast
from seedbed.core.results.leaderboard import Leaderboard
from seedbed.core.results.progress import Progress
from seedbed.core.search.events import DataDescribed, RunStarted
from seedbed.core.search.history import History
from seedbed.core.task import Task
from seedbed.page_forecast import section
from seedbed.registry.registry import open_registry
from seedbed.runs import Run
from seedbed.show_forecast import lines, span


def budget(factor, expected, **changes):
    given = BudgetForecast(
        factor=factor,
        seconds=60 * factor,
        expected=expected,
        low=expected - 0.01,
        high=expected + 0.02,
        gain_probability=0.25,
    )
    return replace(given, **changes)


def of_class(name, gain=0.004):
    return ClassForecast(
        name=name,
        labels=1200,
        support=40,
        recall=0.7,
        change=Expected(mean=0.03, low=0.01, high=0.08),
        gain=Expected(mean=gain, low=gain / 4, high=2 * gain),
        gain_per_label=gain / 1200,
    )


LABELS = LabelForecast(
    doubled=Expected(mean=0.93, low=0.91, high=0.95),
    classes=(of_class("cat"), of_class("dog", 0.001)),
    evidence=("trials on shares of the rows",),
)
FORECAST = Forecast(
    metric="accuracy",
    direction="max",
    best=0.9,
    noise=0.012,
    progress=Progress(
        unit="seconds", spent=(5.0, 20.0, 40.0, 55.0), best=(0.5, 0.8, 0.85, 0.9), to_come=(0.0,) * 4, budget=60.0
    ),
    budgets=(budget(2.0, 0.91), budget(4.0, 0.92), budget(10.0, 0.94)),
    labels=LABELS,
)


def test_the_terminal_has_a_line_for_the_budget_and_one_for_labels():
    first, second = lines(FORECAST)
    assert first == (
        "Forecast: accuracy 0.9100 (0.9000 to 0.9300) in 2m, 0.9400 (0.9300 to 0.9600) in 10m (80 % bands); "
        "the chance that 2x gains more than these rows' noise is 25%."
    )
    assert second == (
        'Labels:   those of "cat" are worth most, with twice its 1,200 its recall of 0.700 gains 0.030 '
        "(0.010 to 0.080); twice the labels of all: accuracy 0.9300 (0.9100 to 0.9500)."
    )


def test_what_cannot_be_forecast_gets_no_line():
    nothing = replace(FORECAST, budgets=None, budgets_reason="too little", labels=None, labels_reason="no rows")
    assert lines(nothing) == []


def test_a_budget_of_trials_is_named_in_trials():
    counted = tuple(budget(each, 0.9, seconds=None, trials=int(1000 * each)) for each in (2.0, 10.0))
    assert (
        "after 2,000 trials, 0.9000 (0.8900 to 0.9200) after 10,000 trials"
        in lines(replace(FORECAST, budgets=counted))[0]
    )


def test_where_noise_is_not_known_nothing_is_said_of_it():
    quiet = tuple(replace(each, gain_probability=None) for each in FORECAST.budgets)
    assert "noise" not in lines(replace(FORECAST, budgets=quiet))[0]


def test_where_nothing_more_is_expected_that_is_said():
    same = tuple(budget(each, 1.0, low=1.0, high=1.0) for each in (2.0, 10.0))
    assert lines(replace(FORECAST, budgets=same))[0].endswith(
        "accuracy 1.0000 is what more of the same would come to again."
    )


def test_without_a_class_that_gains_only_all_of_them_are_named():
    for classes in ((), (of_class("cat", 0.0),)):
        told = lines(replace(FORECAST, labels=replace(LABELS, classes=classes)))[1]
        assert told == "Labels:   twice the labels of all: accuracy 0.9300 (0.9100 to 0.9500)."


@pytest.mark.parametrize(
    ("seconds", "text"), [(45.0, "45s"), (119.0, "119s"), (120.0, "2m"), (1500.0, "25m"), (9000.0, "2.5h")]
)
def test_times_are_written_as_one_types_them(seconds, text):
    assert span(seconds) == text


def test_the_page_shows_curve_band_and_both_tables():
    root = ET.fromstring(section(FORECAST))
    svg = root.find("svg")
    assert [each.get("class") for each in svg.iter("path")] == ["band", "seen", "ahead"]
    assert [each.text for each in svg.iter("text")][:4] == ["now", "2x", "4x", "10x"]
    budgets, labels = root.findall("table")
    assert [row[0].text for row in budgets.find("tbody")] == ["2x: 120 s", "4x: 240 s", "10x: 600 s"]
    assert [row[0].text for row in labels.find("tbody")] == ["cat", "dog"]
    assert "trials on shares of the rows" in section(FORECAST)


def test_the_picture_rises_with_the_score_and_stays_inside():
    svg = ET.fromstring(section(FORECAST)).find("svg")
    _, _, width, height = (float(each) for each in svg.get("viewBox").split())
    for path in svg.iter("path"):
        points = [tuple(float(each) for each in pair.split()) for pair in path.get("d").strip("MZ").split(" L")]
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
        if path.get("class") != "band":
            assert [y for _, y in points] == sorted((y for _, y in points), reverse=True)  # up is less


def test_the_page_says_why_there_is_no_forecast():
    shown = section(replace(FORECAST, budgets=None, budgets_reason="a < b", labels=None, labels_reason="no rows"))
    assert "a &lt; b" in shown
    assert "no rows" in shown
    assert "<svg" not in shown


def test_a_class_that_would_gain_nothing_that_shows_is_not_named():
    perfect = replace(of_class("cat"), recall=1.0, change=Expected(mean=0.0004, low=0.0, high=0.001))
    told = lines(replace(FORECAST, labels=replace(LABELS, classes=(perfect,))))[1]
    assert told == "Labels:   twice the labels of all: accuracy 0.9300 (0.9100 to 0.9500)."


@pytest.mark.parametrize("name", ["<script>", 'a"b', "two\nlines"])
def test_names_of_classes_cannot_change_the_page_or_the_terminal(name):
    odd = replace(FORECAST, labels=replace(LABELS, classes=(of_class(name),)))
    cell = ET.fromstring(section(odd)).findall("table")[1].find("tbody")[0][0]
    assert cell.text == name.replace("\n", "\\n")
    assert "\n" not in lines(odd)[1]


def test_a_run_that_stands_still_has_a_picture_too():
    still = replace(
        FORECAST,
        progress=replace(FORECAST.progress, best=(1.0,) * 4),
        budgets=tuple(budget(each, 1.0, low=1.0, high=1.0) for each in (2.0, 10.0)),
    )
    assert "nan" not in section(still)


def test_a_run_forecasts_itself(tmp_path):
    task = Task(modality="image", kind="classification", metric="log_loss", direction="min", classes=("a", "b"))
    profile = Profile(task=task, examples=9, train=5, valid=2, test=2, class_counts=(3, 2))
    history = History([RunStarted(version="0", source="s", seed=0), DataDescribed(profile=profile)])
    board = Leaderboard(rows=(), metric="log_loss", direction="min", examples=0)
    found = Run(tmp_path, history, board, open_registry(), interrupted=False).forecast()
    assert (found.metric, found.direction, found.best) == ("log_loss", "min", None)
    assert found.budgets_reason
    assert found.labels_reason
