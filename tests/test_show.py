from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed import OptimizerSpec
from seedbed.core.errors import UsageError
from seedbed.core.protocols import Owner
from seedbed.core.results.leaderboard import Leaderboard, Row
from seedbed.core.space import Choice, Float, Int
from seedbed.prediction_files import encode, form_of, prediction_rows
from seedbed.registry.registry import Row as PluginRow
from seedbed.show import (
    component,
    evaluation,
    plugin_rows,
    plugin_table,
    quoted,
    readable,
    run_summary,
    table,
    ties,
    to_json,
)


def row(trial, rank=None, score=None, tie_group=None, **other):
    values = {"status": "finished", "seconds": 1.5, "candidate": "small_resnet · scratch", "role": "candidate"}
    if score is not None:
        values |= {"low": score - 0.01, "high": score + 0.01, "best_probability": 0.5}
    return Row(trial=trial, rank=rank, score=score, tie_group=tie_group, **(values | other))


def board(*rows, examples=360):
    return Leaderboard(rows=rows, metric="accuracy", direction="max", examples=examples)


TIED = board(
    row(3, 1, 0.98, 1),
    row(5, 2, 0.97, 1),
    row(0, 3, 0.90, 2, role="baseline"),
    row(-1, 4, 0.10, 3, role="baseline", candidate="majority class"),
    row(7, status="failed", reason="RuntimeError: out of memory\nat line 3"),
)
DOCUMENT = {
    "run": "runs/digits-1",
    "task": "classification",
    "seconds": 58.21,
    "budget_seconds": 60.0,
    "best": {"trial": 3, "score": 0.98},
    "test": {"accuracy": 0.975},
    "leaderboard": [],
    "findings": [],
}


def test_a_tie_is_said_in_words():
    assert ties(TIED) == "Tied: trial 3 and trial 5 cannot be told apart on 360 validation rows."


def test_a_lone_leader_is_said_in_words():
    text = ties(board(row(3, 1, 0.98, 1), row(5, 2, 0.9, 2)))
    assert text == "Trial 3 is ahead of all others on 360 validation rows, beyond chance."


def test_one_row_alone_is_no_comparison():
    assert ties(board(row(3, 1, 0.98, 1))) == ""


def test_the_summary_ends_with_the_next_command():
    text = run_summary(DOCUMENT, TIED)
    assert text.splitlines()[-1] == "Next: seedbed predict runs/digits-1 DATA"


def test_the_summary_tells_score_interval_test_and_time():
    text = run_summary(DOCUMENT, TIED)
    assert "accuracy 0.9800 (95 % interval 0.9700 to 0.9900) on 360 validation rows" in text
    assert "Test: accuracy 0.9750" in text
    assert "58.2 s of 60 s" in text


def test_the_summary_says_what_was_paid_for_where_anything_was():
    assert "Bill: 1,234 s of machines elsewhere" in run_summary({**DOCUMENT, "billed_seconds": 1234.0}, TIED)
    assert "Bill" not in run_summary({**DOCUMENT, "billed_seconds": None}, TIED)


def test_the_summary_says_what_the_score_is_worth_where_it_owes_something_to_luck():
    def told(corrected):
        return run_summary(DOCUMENT, board(row(3, 1, 0.98, 1, corrected=corrected), row(5, 2, 0.97, 1)))

    assert "on 360 validation rows; 0.9612 without the luck of having been picked\n" in told(0.9612)
    assert "luck" not in told(0.98)
    assert "luck" not in told(None)


def test_the_summary_says_of_which_trials_an_average_is_made():
    best = {"trial": 3, "score": 0.985, "trials": [3, 5], "weights": [0.5, 0.5]}
    assert "Kept: trials 3 and 5 averaged, accuracy 0.9850" in run_summary({**DOCUMENT, "best": best}, TIED)
    assert "averaged" not in run_summary({**DOCUMENT, "best": {**best, "trials": [3]}}, TIED)


def test_the_summary_admits_that_nothing_beats_the_baseline():
    beaten = board(row(0, 1, 0.9, 1, role="baseline"), row(1, 2, 0.8, 2))
    assert "Nothing beats the baseline" in run_summary(DOCUMENT, beaten)
    assert "Nothing beats the baseline" not in run_summary(DOCUMENT, TIED)


SATURATED = board(
    row(0, 1, 1.0, 1, role="baseline", low=0.9, high=1.0),
    row(1, 2, 1.0, 1, low=0.9, high=1.0),
    row(-1, 3, 0.5, 2, role="baseline", candidate="majority class"),
)


def test_a_tie_with_the_baseline_at_the_best_possible_score_is_no_failure():
    text = run_summary(DOCUMENT, SATURATED)
    assert "Trial 1 has the best possible accuracy, 1.0000, and so has the baseline, trial 0" in text
    assert "Nothing beats" not in text


def test_a_tie_with_the_baseline_below_the_best_score_is_called_one():
    tied = board(row(0, 1, 0.9, 1, role="baseline"), row(1, 2, 0.9, 1))
    assert "Nothing beats the baseline: trial 1 and trial 0 score the same; more data" in run_summary(DOCUMENT, tied)


def test_an_average_that_beats_the_baseline_is_not_denied():
    beaten = board(row(0, 1, 0.9, 1, role="baseline"), row(1, 2, 0.88, 1), row(2, 3, 0.88, 1))
    best = {"trial": 1, "score": 0.93, "trials": [1, 2], "weights": [0.5, 0.5]}
    text = run_summary({**DOCUMENT, "best": best}, beaten)
    assert "No trial alone beats the baseline, trial 0; what was kept, their average, does." in text
    assert "Nothing beats" in run_summary({**DOCUMENT, "best": {**best, "score": 0.9}}, beaten)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([row(1, status="failed"), row(2, status="failed")], "All 2 candidates failed, so the model is a baseline; "),
        ([row(1, status="failed")], "The only candidate failed, so the model is a baseline; seedbed leaderboard runs/"),
        ([row(1, status="refused")], "The only candidate did not fit into memory, so the model is a baseline; seedbed"),
        ([row(1, status="refused"), row(2, status="failed")], "All 2 candidates failed or did not fit into memory, so"),
        ([row(1, status="stopped"), row(2, status="failed")], "No candidate came to a result, so the model is a"),
        ([], "No candidate came to a result, so the model is a baseline: more time may help."),
    ],
)
def test_where_only_a_baseline_could_be_kept_the_summary_says_why(others, said):
    text = run_summary(DOCUMENT, board(row(0, 1, 0.9, 1, role="baseline"), *others))
    assert said in text
    assert "Nothing beats" not in text


def test_what_is_kept_in_place_of_the_first_is_named():
    text = run_summary({**DOCUMENT, "best": {"trial": 5, "trials": [5], "score": 0.97}}, TIED)
    assert "Kept: trial 5, small_resnet · scratch: accuracy 0.9700 on the same rows; nothing better is known" in text
    assert "Kept" not in run_summary({**DOCUMENT, "best": {"trial": 3, "trials": [3], "score": 0.98}}, TIED)


def test_the_summary_of_a_run_without_a_model_points_to_the_reasons():
    text = run_summary({**DOCUMENT, "best": None, "test": None}, board(row(7, status="failed", reason="boom")))
    assert "There is no usable model." in text
    assert text.endswith("Next: seedbed leaderboard runs/digits-1")


def test_the_summary_repeats_serious_findings_only():
    findings = [
        {"check": "broken", "severity": "warning", "evidence": "3 files are broken.", "remedy": "They are left out."},
        {"check": "small", "severity": "info", "evidence": "All is small.", "remedy": ""},
    ]
    text = run_summary({**DOCUMENT, "findings": findings}, TIED)
    assert "Warning: 3 files are broken. They are left out." in text
    assert "All is small" not in text


@given(st.recursive(st.none() | st.floats() | st.text() | st.integers(), st.lists, max_leaves=8))
def test_json_is_always_strict_and_ascii(value):
    text = to_json({"value": value})
    text.encode("ascii")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_json_writes_what_is_not_finite_as_null():
    assert json.loads(to_json({"score": float("nan"), "path": Path("a")})) == {"score": None, "path": "a"}


@given(st.text(), st.sampled_from(["utf-8", "ascii", "cp1252", None]))
def test_readable_text_can_be_written(text, encoding):
    readable(text.encode("utf-8", "replace").decode(), encoding).encode(encoding or "ascii")


def test_readable_text_stays_as_it_is_where_the_stream_can_take_it():
    assert readable("small_resnet · sgd", "utf-8") == "small_resnet · sgd"
    assert readable("small_resnet · sgd", "ascii") == "small_resnet / sgd"


def test_a_table_aligns_numbers_to_the_right():
    assert table(("n", "name"), [("1", "a"), ("10", "b")], right=("n",)) == " n  name\n 1  a\n10  b"


def test_a_path_with_spaces_can_be_pasted():
    assert quoted(Path("runs/my photos")) == '"runs/my photos"'
    assert quoted(Path("runs/digits-1")) == "runs/digits-1"


@dataclass(frozen=True)
class Options:
    lr: Annotated[float, Float(1e-4, 0.1, log=True)] = 0.01
    size: Annotated[int, Int(16, 64, step=16)] = 32
    mode: Annotated[str, Choice("a", "b")] = "a"


def test_a_component_shows_its_options_with_domains_and_defaults():
    spec = OptimizerSpec(name="mine", summary="My own.", build="mine:build", options=Options, aliases=("my",))
    text = component(spec, Owner("mine-package", "1.2"))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "optimizer:mine My own."
    assert "owner mine-package 1.2" in lines
    assert "aliases my" in lines
    assert "lr 0.01 0.0001 to 0.1, on a logarithmic scale" in lines
    assert "size 32 16 to 64, in steps of 16" in lines
    assert 'mode "a" one of "a", "b"' in lines


def plugin(status="ok"):
    owner = Owner("seedbed", "0.1.0")
    return PluginRow(kind="optimizer", name="sgd", owner=owner, summary="Steps.", status=status)


def test_plugin_rows_have_the_documented_keys():
    assert plugin_rows([plugin()]) == [
        {
            "kind": "optimizer",
            "name": "sgd",
            "owner": "seedbed",
            "version": "0.1.0",
            "summary": "Steps.",
            "status": "ok",
        }
    ]


def test_the_plugin_table_points_to_the_reason_of_what_is_broken():
    assert "plugins list -v" in plugin_table([plugin("broken")])
    assert "plugins list -v" not in plugin_table([plugin()])


def rows():
    return prediction_rows(
        ["a,b.png", "ç.png"], ["cat", "dog"], np.array([[0.9, 0.1], [0.2, 0.8]], np.float32), ("cat", "dog")
    )


def test_predictions_keep_the_order_and_name_the_classes():
    assert encode(rows(), "csv").decode().splitlines() == [
        "input,prediction,p_cat,p_dog",
        '"a,b.png",cat,0.899999976,0.100000001',
        "ç.png,dog,0.200000003,0.800000012",
    ]


def test_probabilities_come_back_exactly():
    for line, wanted in zip(encode(rows(), "jsonl").splitlines(), (0.9, 0.2), strict=True):
        assert np.float32(json.loads(line)["p_cat"]) == np.float32(wanted)


def test_an_input_that_could_not_be_read_has_empty_cells():
    found = prediction_rows(["a.png"], [""], np.array([[np.nan, np.nan]], np.float32), ("cat", "dog"))
    assert encode(found, "csv") == b"input,prediction,p_cat,p_dog\na.png,,,\n"
    assert json.loads(encode(found, "json"))[0]["p_cat"] is None


def test_an_evaluation_says_what_was_left_out():
    found = {"metrics": {"accuracy": 0.5}, "examples": 10}
    assert evaluation({**found, "skipped": 0}) == "accuracy 0.5000 on 10 examples"
    assert "; 3 left out" in evaluation({**found, "skipped": 3})


def test_all_formats_say_the_same():
    as_lines = [json.loads(line) for line in encode(rows(), "jsonl").splitlines()]
    assert json.loads(encode(rows(), "json")) == as_lines == rows()


def test_a_file_name_that_is_no_text_comes_out_as_it_came_in():
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    encoded = encode(prediction_rows([name], ["cat"], None, ("cat", "dog")), "csv")
    assert encoded == b"input,prediction\ncaf\xe9.png,cat\n"


def test_an_unknown_suffix_names_the_known_ones():
    assert form_of(Path("out.CSV")) == "csv"
    with pytest.raises(UsageError, match=r"\.csv, \.json, \.jsonl"):
        form_of(Path("out.xlsx"))
