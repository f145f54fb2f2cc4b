from __future__ import annotations

import inspect
import json
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

from seedbed import __version__
from seedbed.api import start
from seedbed.cli import main
from seedbed.core.errors import DataError, ExitCode, Interrupted, NoCandidateSucceeded, PluginError
from seedbed.core.results.leaderboard import Leaderboard, Row

SUMMARY = {
    "run": "runs/photos-1",
    "task": {"kind": "classification"},
    "seconds": 9.5,
    "budget_seconds": 10.0,
    "best": {"trial": 1, "score": 0.9, "trials": [1], "weights": [1.0]},
    "test": None,
    "leaderboard": [],
    "findings": [],
}
BOARD = Leaderboard(
    rows=(
        Row(
            rank=1,
            trial=1,
            status="finished",
            score=0.9,
            low=0.8,
            high=0.95,
            tie_group=1,
            seconds=3.0,
            candidate="small_resnet · scratch",
            role="candidate",
        ),
    ),
    metric="accuracy",
    direction="max",
    examples=100,
)


class Run:
    folder = Path("runs/photos-1")
    leaderboard = BOARD

    def __init__(self, exit_code=ExitCode.DONE):
        self.exit_code = exit_code

    def summary(self):
        return SUMMARY


class Handle:
    """A run that ends as told: `answers` are what `result` gives, one a call."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.cancelled = False

    def cancel(self):
        self.cancelled = True

    def result(self, timeout=None):
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@dataclass(frozen=True)
class Predicted:
    inputs: list
    predictions: list
    probabilities: np.ndarray


class Model:
    classes = ("cat", "dog")

    def predict_frame(self, source):
        return Predicted([f"{source}/1.png", f"{source}/2.png"], ["dog", "cat"], np.array([[0.25, 0.75], [1, 0]]))

    def evaluate(self, source):
        return {"metrics": {"accuracy": 0.5, "f1": 0.25}, "examples": 1234}


@dataclass
class FakeApi:
    handle: Handle = field(default_factory=lambda: Handle(Run()))
    calls: list = field(default_factory=list)

    def start(self, source, **options):
        self.calls.append((source, options))
        return self.handle

    def load(self, path, plugins=()):
        return Model()

    def open_run(self, path, plugins=()):
        return Run()


@pytest.fixture
def api(monkeypatch):
    fake, module = FakeApi(), ModuleType("seedbed.api")
    module.start, module.load, module.open_run = fake.start, fake.load, fake.open_run
    monkeypatch.setitem(sys.modules, "seedbed.api", module)
    return fake


def seedbed(*arguments):
    return CliRunner().invoke(main, [str(each) for each in arguments])


def options_of(api, *arguments):
    answer = seedbed("fit", "photos/", *arguments)
    assert answer.exit_code == 0, answer.output
    ((source, options),) = api.calls
    assert source == "photos/"
    return options


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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.lr=0.05", 0.05),
        ("a.n=3", 3),
        ("a.on=true", True),
        ("a.name=sgd", "sgd"),
        ('a.name="3"', "3"),
        ("a.name=[1]", "[1]"),
        ("a.name=null", "null"),
        ("a.name=x=y", "x=y"),
    ],
)
def test_set_reads_json_scalars_and_takes_all_else_as_text(api, text, value):
    (found,) = options_of(api, "--set", text)["fixed"].values()
    assert found == value
    assert type(found) is type(value)


def test_set_without_a_value_is_a_usage_error(api):
    answer = seedbed("fit", "photos/", "--set", "lr")
    assert answer.exit_code == 2
    assert "PATH=VALUE" in answer.stderr


def test_a_monitor_is_chosen_with_use(api):
    options = options_of(api, "-q", "--use", "monitor:plain", "--use", "optimizer:sgd")
    assert options["monitors"] == ["plain"]
    assert options["use"] == ("optimizer:sgd",)


def test_quiet_shows_no_progress(api):
    assert seedbed("fit", "photos/", "-q").stderr == ""
    assert api.calls[0][1]["monitors"] == []


def test_what_is_read_is_said_at_once(api):
    assert seedbed("fit", "photos/").stderr.splitlines()[0] == f"seedbed {__version__}  photos/"


def test_a_configuration_file_gives_defaults_and_the_command_line_wins(api, tmp_path):
    config = tmp_path / "fit.toml"
    config.write_text('time = "5m"\ntrials = 4\nuse = "optimizer:sgd"\n[set]\n"a.lr" = 0.1\nb.c.n = 2\n')
    options = options_of(api, "--trials", "9", "--config", config, "--set", "a.lr=0.2")
    assert options["time"] == 300.0
    assert options["trials"] == 9
    assert options["use"] == ("optimizer:sgd",)
    assert options["fixed"] == {"a.lr": 0.2, "b.c.n": 2}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("trails = 4", "Did you mean 'trials'?"),
        ("time = [1]", "not one value"),
        ("set = 3", "[set]"),
        ("time = ", "cannot be read as TOML"),
        ("trials = 0", "trials"),
    ],
)
def test_a_wrong_configuration_is_refused_with_a_way_out(api, tmp_path, text, says):
    config = tmp_path / "fit.toml"
    config.write_text(text)
    answer = seedbed("fit", "photos/", "--config", config)
    assert answer.exit_code == 2
    assert says in answer.stderr
    assert api.calls == []


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


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("No images."), 3),
        (PluginError("Broken."), 4),
        (NoCandidateSucceeded("All failed."), 5),
        (Interrupted("Nothing yet."), 130),
    ],
)
def test_a_deliberate_error_is_one_line_on_stderr_and_its_exit_code(api, error, code):
    api.handle = Handle(error)
    answer = seedbed("fit", "photos/", "-q", "--json")
    assert (answer.exit_code, answer.stdout, answer.stderr) == (code, "", f"Error: {error}\n")


@pytest.mark.parametrize("bug", [ZeroDivisionError("a bug"), BrokenPipeError("a pipe to a worker")])
def test_a_bug_keeps_its_traceback(api, bug):
    api.handle = Handle(bug)
    answer = seedbed("fit", "photos/")
    assert answer.exc_info[0] is not SystemExit
    assert bug in (answer.exception, answer.exception.__cause__)


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


def test_signal_handlers_are_given_back(api):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    seedbed("fit", "photos/")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_the_budget_of_a_call_from_another_program_starts_with_the_call(api):
    now = time.time()
    seedbed("fit", "photos/")
    assert now <= api.calls[0][1]["began"] <= time.time()


STUB = """
import sys, threading, time, types
class Run:
    exit_code = 0
    def summary(self): return {"the": "run"}
class Handle:
    cancelled = threading.Event()
    def cancel(self): self.cancelled.set()
    def result(self, timeout=None):
        print("waiting", file=sys.stderr, flush=True)
        while not (self.cancelled.is_set() and not STUBBORN): time.sleep(0.01)
        return Run()
def start(source, *, began, **options):
    print(f"age {time.time() - began:.3f}", file=sys.stderr, flush=True)
    return Handle()
api = sys.modules["seedbed.api"] = types.ModuleType("seedbed.api")
api.start = start
from seedbed.api import start
from seedbed.cli import main
main()
"""


def begin(*, stubborn=False):
    code = STUB.replace("STUBBORN", str(stubborn))
    command = [sys.executable, "-c", code, "fit", "photos/", "--json", "-q"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    age = float(process.stderr.readline().split()[1])
    assert process.stderr.readline() == "waiting\n"
    return process, age


def test_the_budget_of_a_process_of_its_own_starts_with_the_process():
    process, age = begin()
    process.kill()
    process.communicate()
    assert 0.03 < age < 10  # importing click alone takes longer than the lower bound


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals to single processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_a_run_gently_with_its_result_on_stdout(number):
    process, _ = begin()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert json.loads(out) == {"the": "run"}
    assert "keeping the best so far" in err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals to single processes")
def test_a_second_signal_leaves_at_once():
    process, _ = begin(stubborn=True)
    process.send_signal(signal.SIGINT)
    assert "Stopping" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")


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


def test_an_output_that_cannot_be_written_is_said(api, tmp_path):
    answer = seedbed("predict", tmp_path, "new", "-o", tmp_path / "no" / "folder.csv")
    assert answer.exit_code == 2
    assert "cannot be written" in answer.stderr


def test_evaluate_prints_the_documented_json(api, tmp_path):
    answer = seedbed("evaluate", tmp_path, "new", "--json")
    assert json.loads(answer.stdout) == {"metrics": {"accuracy": 0.5, "f1": 0.25}, "examples": 1234}
    assert seedbed("evaluate", tmp_path, "new").stdout == "accuracy 0.5000, f1 0.2500 on 1,234 examples\n"


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


def test_an_unknown_command_says_which_was_meant():
    answer = seedbed("predcit")
    assert answer.exit_code == 2
    assert "Did you mean 'predict'?" in answer.stderr


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


COMMAND_PLUGIN = """
import click
from seedbed import hookimpl

@hookimpl
def register_commands(cli):
    @cli.command()
    def greet():
        '''Say hello.'''
        click.echo("hello")
"""


def test_a_plugin_adds_a_command(tmp_path):
    (tmp_path / "greeting.py").write_text(COMMAND_PLUGIN)
    assert seedbed("--plugin", tmp_path / "greeting.py", "greet").stdout == "hello\n"
    assert "Say hello." in seedbed("--plugin", tmp_path / "greeting.py", "--help").stdout


def test_a_broken_plugin_is_a_row_and_takes_nothing_down(tmp_path):
    (tmp_path / "rogue.py").write_text("raise ValueError('no luck')")
    rogue = tmp_path / "rogue.py"
    assert seedbed("--plugin", rogue, "--help").exit_code == 0
    rows = json.loads(seedbed("--plugin", rogue, "plugins", "list", "--json").stdout)
    (row,) = [row for row in rows if "no luck" in row["summary"]]
    assert row["status"] == "broken"
    answer = seedbed("--plugin", rogue, "plugins", "list", "-v")
    assert "raise ValueError('no luck')" in answer.stderr


def test_a_registry_that_cannot_list_commands_leaves_the_built_in_ones(monkeypatch):
    monkeypatch.setattr("seedbed.registry.registry.Registry.commands", lambda self: 1 / 0)
    answer = seedbed("--help")
    assert answer.exit_code == 0
    assert "predict" in answer.stdout


def test_doctor_exits_with_4_only_on_a_failure(monkeypatch):
    from seedbed.doctor import Diagnosis

    found = [Diagnosis("hub", "warning", "gone", "Go offline.")]
    monkeypatch.setattr("seedbed.doctor.examine", lambda **_: found)
    assert seedbed("doctor").exit_code == 0
    found.append(Diagnosis("torch", "failure", "broken", "pip install -U torch"))
    answer = seedbed("doctor", "--json")
    assert answer.exit_code == 4
    assert json.loads(answer.stdout)["status"] == "failure"


LIGHT = """
    import sys
    from seedbed.api import start
from seedbed.cli import main
    main({arguments}, standalone_mode=False)
    heavy = {{"torch", "torchvision", "timm", "numpy", "datasets", "rich", "msgspec", "psutil", "sklearn"}}
    print(sorted(heavy & sys.modules.keys()), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["fit", "--help"], ["plugins", "list"], ["--version"]])
def test_quick_answers_import_nothing_heavy(arguments):
    code = textwrap.dedent(LIGHT.format(arguments=arguments))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout
    assert done.stderr.splitlines()[-1] == "[]"


def test_the_module_runs_as_the_command_does():
    done = subprocess.run([sys.executable, "-m", "seedbed", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"seedbed, version {__version__}\n")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell's pipe")
def test_a_reader_that_leaves_ends_the_command_quietly():
    process = subprocess.Popen(
        [sys.executable, "-m", "seedbed", "plugins", "list", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    _, error = process.communicate(timeout=20)
    assert process.returncode == 141
    assert "Traceback" not in error


def test_every_built_in_command_is_documented():
    text = (Path(__file__).parents[1] / "docs" / "cli.md").read_text("utf-8")
    assert [name for name in main.commands if f"seedbed {name}" not in text] == []
    fit = main.commands["fit"]
    assert [option for each in fit.params for option in each.opts if option[:2] == "--" and option not in text] == []


def test_every_exit_code_is_documented():
    text = (Path(__file__).parents[1] / "docs" / "cli.md").read_text("utf-8")
    assert [code for code in ExitCode if f"| {code.value} |" not in text] == []
