import argparse
import json
import re
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def load_components():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        return import_module("components")


components = load_components()
parse_task, Figures = components.parse_task, components.Figures


def document(**more):
    return {
        "task": {"metric": "accuracy", "classes": ["a", "b"]},
        "test": {"accuracy": 0.9, "log_loss": 0.3},
        "best": {"trials": [3, 1, 4]},
        "leaderboard": [
            {"trial": 1, "candidate": "gru · scratch"},
            {"trial": 3, "candidate": "minirocket · probe"},
            {"trial": 4, "candidate": "gru · scratch"},
            {"trial": -1, "candidate": "majority class"},
        ],
    } | more


PROFILE = {"train": 80, "valid": 20, "test": 50}


def test_a_set_is_read_with_its_target():
    task = parse_task("digits=demo:digits@60>=0.988")
    assert (task.name, task.train, task.test, task.seconds) == ("digits", "demo:digits", None, 60.0)
    assert (task.target, task.is_error, task.metric, task.asked) == (0.988, False, None, "≥ 0.988")


def test_a_set_is_read_with_test_metric_and_an_error_to_stay_below():
    task = parse_task("prices=C:/a=b/train@home.csv,test.csv@1m30s<=0.3:rmse")
    assert (task.train, task.test, task.seconds) == ("C:/a=b/train@home.csv", "test.csv", 90.0)
    assert (task.target, task.is_error, task.metric, task.asked) == (0.3, True, "rmse", "≤ 0.3")


def test_a_set_may_ask_for_nothing():
    task = parse_task("mine=folder@2m:f1_macro")
    assert (task.target, task.metric, task.asked) == (None, "f1_macro", "-")
    assert task.meets(0.0)


@pytest.mark.parametrize(
    "text",
    ["digits", "digits=demo:digits", "=x@60", "a=@60", "a=x@", "a=x@soon", "a=x,@60", "a=x@60>=", "a=x@60>=0.9.9"],
)
def test_what_is_no_set_is_refused_in_words(text):
    with pytest.raises(argparse.ArgumentTypeError, match=re.escape(repr(text))):
        parse_task(text)


@given(st.integers(1, 9_999), st.floats(0, 1).map(lambda value: round(value, 4)), st.sampled_from([">=", "<="]))
def test_budget_and_target_are_read_as_written(seconds, target, sign):
    task = parse_task(f"a=x:y,z:w@{seconds}{sign}{target:.4f}")
    assert (task.seconds, task.target, task.is_error) == (seconds, target, sign == "<=")
    assert task.meets(target)
    assert not task.meets(target + (0.01 if task.is_error else -0.01))


def test_the_command_is_what_a_user_would_type():
    task = parse_task("a=train.csv,test.csv@20:f1_macro")
    command = components.command_of(task, 7, Path("out"), ["--set", "optimizer=sgd"])
    assert command[:4] == [sys.executable, "-m", "seedbed", "fit"]
    assert " ".join(command[4:]) == (
        "train.csv --time 20.0s --seed 7 --test test.csv --metric f1_macro --set optimizer=sgd "
        "--out out --offline --json --quiet"
    )


def test_figures_tell_what_won_once_each_in_the_order_of_weight():
    found = components.figures(parse_task("a=x@20"), 0, 19.0, document(), PROFILE)
    assert (found.score, found.rows, found.classes, found.trouble) == (0.9, 100, 2, "")
    assert found.won == "minirocket · probe + gru · scratch"


@pytest.mark.parametrize(("wall", "trouble"), [(21.9, ""), (22.1, "late")])
def test_a_run_is_late_beyond_two_seconds(wall, trouble):
    assert components.figures(parse_task("a=x@20"), 0, wall, document(), PROFILE).trouble == trouble


def test_a_run_without_test_rows_has_no_score():
    task = parse_task("a=x@20")
    found = components.figures(task, 0, 19.0, document(test=None), PROFILE)
    assert (found.score, found.trouble) == (None, "no test score")
    assert not components.has_met(task, [found])


def test_the_median_decides():
    task = parse_task("a=x@20>=0.9")
    runs = [Figures(seed=seed, wall=19, score=score) for seed, score in enumerate((0.80, 0.91, 0.95))]
    assert components.has_met(task, runs)
    assert not components.has_met(task, [*runs, Figures(seed=3, wall=19, score=0.7)])


def test_a_run_in_trouble_is_a_row_that_says_so():
    task = parse_task("a=x@20>=0.9")
    runs = [
        Figures(seed=0, wall=19, score=0.95, metric="accuracy", rows=1200, classes=3, won="mlp"),
        Figures(seed=1, wall=23, score=0.95, metric="accuracy", rows=1200, classes=3, won="mlp", trouble="late"),
        Figures(seed=2, wall=3, trouble="failed (bad data)"),
    ]
    cells = components.row(task, runs).split(" | ")
    assert cells[1:3] == ["1,200", "3"]
    assert cells[6] == "0.9500, 0.9500 late, failed (bad data)"
    assert cells[7:10] == ["0.9500 accuracy", "mlp", "≥ 0.9"]
    assert cells[10] == "**no** |"
    assert components.row(task, runs).count(" | ") == components.HEADER.splitlines()[0].count(" | ")


def test_a_set_of_which_nothing_came_has_a_row():
    line = components.row(parse_task("a=/home/me/x@20"), [Figures(seed=0, wall=60, trouble="did not end")])
    assert line == "| a | - | - | 20 | 60.0 | 0 | did not end | - | - | - | **no** |"


@pytest.fixture
def fitting(monkeypatch):
    """Let `seedbed fit` end with an exit code and a document, as far as the benchmark can tell."""

    def fit(code, found=None):
        def ended(command, **options):
            if found is not None:
                data = Path(command[command.index("--out") + 1]) / "data"
                data.mkdir(parents=True)
                (data / "profile.json").write_text(json.dumps(PROFILE))
            return SimpleNamespace(
                returncode=code, stdout="" if found is None else json.dumps(found), stderr="Error: x"
            )

        monkeypatch.setattr(components.subprocess, "run", ended)

    return fit


def test_a_failed_run_is_named_by_its_exit_code(fitting, tmp_path):
    fitting(3)
    found = components.run(parse_task("a=x@20"), 0, (), tmp_path)
    assert found.trouble == "failed (bad data)"
    assert (tmp_path / "a-0" / "fit.log").read_text() == "Error: x"


def test_the_table_is_written_and_a_missed_target_is_the_exit_status(fitting, tmp_path):
    fitting(0, document())
    out = tmp_path / "table.md"
    assert (
        components.main(["a=/home/me/x@20>=0.9", "b=y@20>=0.95", "--use", "architecture:gru", "--out", str(out)]) == 1
    )
    text = out.read_text(encoding="utf-8")
    assert "With --use architecture:gru." in text
    assert "/home/me" not in text
    first, second = text.splitlines()[-2:]
    assert first.endswith("| ≥ 0.9 | yes |")
    assert second.endswith("| ≥ 0.95 | **no** |")
    assert components.main(["a=x@20>=0.9"]) == 0


def test_the_processor_is_called_by_its_name(tmp_path):
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Fast Chip 9\nmodel name\t: Fast Chip 9\n")
    assert components.cpu(info) == "Fast Chip 9"
    assert components.cpu(tmp_path / "none")
