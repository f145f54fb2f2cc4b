from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from fake_api import SUMMARY, FakeApi, Handle, Model, Run, options_of, seedbed

from seedbed import __version__
from seedbed.api import start
from seedbed.cli import main
from seedbed.core.errors import ExitCode


@pytest.fixture
def api(monkeypatch):
    fake, module = FakeApi(), ModuleType("seedbed.api")
    module.start, module.load, module.open_run = fake.start, fake.load, fake.open_run
    monkeypatch.setitem(sys.modules, "seedbed.api", module)
    return fake


def test_fit_hands_its_options_on(api):
    options = options_of(
        api, "--time", "2m", "--trials", "7", "--out", "here", "--use", "optimizer:sgd", "--seed", "3", "--offline"
    )
    assert options["time"] == 120.0
    assert options["trials"] == 7
    assert options["out"] == Path("here")
    assert options["use"] == ("optimizer:sgd",)
    assert options["seed"] == 3
    assert options["offline"] is True
    assert options["monitors"] == ["console"]
    assert options["fixed"] == {}


def test_fit_passes_nothing_that_start_does_not_know(api):
    assert options_of(api).keys() <= inspect.signature(start).parameters.keys()


def test_a_monitor_is_chosen_with_use(api):
    options = options_of(api, "-q", "--use", "monitor:plain", "--use", "optimizer:sgd")
    assert options["monitors"] == ["plain"]
    assert options["use"] == ("optimizer:sgd",)


def test_quiet_shows_no_progress(api):
    assert seedbed("fit", "photos/", "-q").stderr == ""
    assert api.calls[0][1]["monitors"] == []


def test_what_is_read_is_said_at_once(api):
    assert seedbed("fit", "photos/").stderr.splitlines()[0] == f"seedbed {__version__}  photos/"


@pytest.mark.parametrize("pair", [("--resume", "--overwrite"), ("-q", "-v")])
def test_options_that_contradict_each_other_are_refused(api, pair):
    assert seedbed("fit", "photos/", *pair).exit_code == 2
    assert api.calls == []


def test_a_wrong_duration_is_refused_before_anything_starts(api):
    answer = seedbed("fit", "photos/", "--time", "soon")
    assert answer.exit_code == 2
    assert "90s, 10m" in answer.stderr
    assert api.calls == []


def test_json_is_the_only_thing_on_stdout(api):
    answer = seedbed("fit", "photos/", "--json")
    assert json.loads(answer.stdout) == SUMMARY


def test_the_summary_names_the_next_command(api):
    assert "seedbed predict runs/photos-1 DATA" in seedbed("fit", "photos/").stdout


def test_the_exit_code_is_that_of_the_run(api):
    api.handle = Handle(Run(ExitCode.NOTHING_BEATS_THE_BASELINE))
    assert seedbed("fit", "photos/").exit_code == 1


def test_an_interrupt_keeps_the_best_so_far(api):
    api.handle = Handle(KeyboardInterrupt(), Run())
    answer = seedbed("fit", "photos/", "--json")
    assert api.handle.cancelled
    assert answer.exit_code == 130
    assert json.loads(answer.stdout) == SUMMARY
    assert "Stopping, keeping the best so far (Ctrl-C again to leave at once)." in answer.stderr


def test_predict_writes_csv_to_stdout_in_order(api, tmp_path):
    answer = seedbed("predict", tmp_path, "new")
    assert answer.stdout.splitlines() == ["input,prediction", "new/1.png,dog", "new/2.png,cat"]


def test_predict_writes_the_format_of_the_suffix(api, tmp_path):
    output = tmp_path / "out.jsonl"
    answer = seedbed("predict", tmp_path, "new", "-o", output, "--proba")
    assert answer.stdout == ""
    first, _ = output.read_text().splitlines()
    assert json.loads(first) == {"input": "new/1.png", "prediction": "dog", "p_cat": 0.25, "p_dog": 0.75}


def test_predict_with_json_prints_one_document(api, tmp_path):
    rows = json.loads(seedbed("predict", tmp_path, "new", "--json").stdout)
    assert [row["prediction"] for row in rows] == ["dog", "cat"]


def test_predict_says_in_json_where_it_wrote(api, tmp_path):
    output = tmp_path / "out.csv"
    answer = seedbed("predict", tmp_path, "new", "-o", output, "--json")
    assert json.loads(answer.stdout) == {"output": str(output), "examples": 2}


def test_inputs_without_a_prediction_are_said_on_stderr(api, tmp_path, monkeypatch):
    monkeypatch.setattr(Model, "unreadable", {1: "truncated"})
    answer = seedbed("predict", tmp_path, "new")
    assert answer.stderr.startswith("1 of 2 inputs cannot be read")
    assert "new/2.png: truncated" in answer.stderr
    assert "truncated" not in answer.stdout


def test_an_output_that_cannot_be_written_is_said(api, tmp_path):
    answer = seedbed("predict", tmp_path, "new", "-o", tmp_path / "no" / "folder.csv")
    assert answer.exit_code == 2
    assert "cannot be written" in answer.stderr


def test_evaluate_prints_the_documented_json(api, tmp_path):
    answer = seedbed("evaluate", tmp_path, "new", "--json")
    assert json.loads(answer.stdout) == {"metrics": {"accuracy": 0.5, "f1": 0.25}, "examples": 1234}


def test_evaluate_begins_with_the_score_that_decided(api, tmp_path):
    assert seedbed("evaluate", tmp_path, "new").stdout == "f1 0.2500, accuracy 0.5000 on 1,234 examples\n"


@pytest.mark.parametrize("command", [("fit", "photos"), ("demo",), ("leaderboard", ".")])
def test_what_more_would_bring_is_told_where_a_run_is_shown(api, command):
    assert "Forecast: accuracy 0.9200 (0.9000 to 0.9400) in 20s" in seedbed(*command).output


def test_leaderboard_shows_the_rows(api, tmp_path):
    assert "small_resnet" in seedbed("leaderboard", tmp_path).stdout
    assert json.loads(seedbed("leaderboard", tmp_path, "--json").stdout) == SUMMARY


def test_a_run_that_does_not_exist_is_a_usage_error(api):
    assert seedbed("leaderboard", "nowhere").exit_code == 2


def test_demo_says_what_to_try_next(api):
    answer = seedbed("demo")
    assert api.calls[0][0] == "demo:digits"
    assert api.calls[0][1]["time"] == 30.0
    assert "seedbed leaderboard runs/photos-1" in answer.stdout


def test_plugins_list_has_the_documented_keys():
    rows = json.loads(seedbed("plugins", "list", "monitor", "--json").stdout)
    ours = [row for row in rows if row["owner"] == "seedbed" and row["kind"] == "monitor"]
    assert {row["name"] for row in ours} == {"console", "plain", "log"}
    assert all(row.keys() == {"kind", "name", "owner", "version", "summary", "status"} for row in rows)


def test_an_unknown_kind_says_which_was_meant():
    answer = seedbed("plugins", "list", "optimiser")
    assert answer.exit_code == 2
    assert "Did you mean 'optimizer'?" in answer.stderr


def test_plugins_show_tells_the_owner_and_refuses_unknown_names():
    assert "owner     seedbed" in seedbed("plugins", "show", "monitor:plain").stdout
    answer = seedbed("plugins", "show", "monitor:plian")
    assert (answer.exit_code, "Did you mean 'plain'?" in answer.stderr) == (2, True)
    assert seedbed("plugins", "show", "plain").exit_code == 2


def test_doctor_exits_with_4_only_on_a_failure(monkeypatch):
    from seedbed.doctor import Diagnosis

    found = [Diagnosis("hub", "warning", "gone", "Go offline.")]
    monkeypatch.setattr("seedbed.doctor.examine", lambda **_: found)
    assert seedbed("doctor").exit_code == 0
    found.append(Diagnosis("torch", "failure", "broken", "pip install -U torch"))
    answer = seedbed("doctor", "--json")
    assert answer.exit_code == 4
    assert json.loads(answer.stdout)["status"] == "failure"


def test_every_built_in_command_is_documented():
    text = (Path(__file__).parents[1] / "docs" / "cli.md").read_text("utf-8")
    assert [name for name in main.commands if f"seedbed {name}" not in text] == []
    fit = main.commands["fit"]
    assert [option for each in fit.params for option in each.opts if option[:2] == "--" and option not in text] == []


def test_every_exit_code_is_documented():
    text = (Path(__file__).parents[1] / "docs" / "cli.md").read_text("utf-8")
    assert [code for code in ExitCode if f"| {code.value} |" not in text] == []


def test_the_plugin_of_the_readme_is_found(tmp_path):
    text = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    (block,) = [each for each in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "hookimpl" in each]
    (tmp_path / "mine.py").write_text(block)
    answer = seedbed("--plugin", tmp_path / "mine.py", "plugins", "show", "schedule:straight")
    assert "Straight down to zero." in answer.stdout, answer.output
