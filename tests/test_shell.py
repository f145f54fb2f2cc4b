from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from types import ModuleType

import pytest
from fake_api import FakeApi, Handle, options_of, seedbed

from seedbed import __version__
from seedbed.core.errors import DataError, Interrupted, NoCandidateSucceeded, PluginError, UsageError
from seedbed.shell import of_backend


@pytest.fixture
def api(monkeypatch):
    fake, module = FakeApi(), ModuleType("seedbed.api")
    module.start, module.load, module.open_run = fake.start, fake.load, fake.open_run
    monkeypatch.setitem(sys.modules, "seedbed.api", module)
    return fake


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


def test_an_unknown_command_says_which_was_meant():
    answer = seedbed("predcit")
    assert answer.exit_code == 2
    assert "Did you mean 'predict'?" in answer.stderr


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


LIGHT = """
    import sys
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


def test_an_option_of_one_backend_is_set_there_and_refused_elsewhere():
    options = {"ray_address": "auto", "remote": False, "rehearse": False, "backend": "ray"}
    assert of_backend(options) == {"backend.ray.address": "auto"}
    assert options == {"backend": "ray"}
    assert of_backend({"ray_address": None, "remote": False, "rehearse": False, "backend": "local"}) == {}
    given = {"ray_address": None, "remote": False, "rehearse": True, "backend": "sagemaker"}
    assert of_backend(given) == {"backend.sagemaker.rehearse": True}
    given = {"ray_address": None, "remote": True, "rehearse": False, "backend": "sagemaker"}
    assert of_backend(given) == {"backend.sagemaker.remote": True}
    with pytest.raises(UsageError, match="--ray-address is for --backend ray, but the backend is local"):
        of_backend({"ray_address": "auto", "remote": False, "rehearse": False, "backend": "local"})
