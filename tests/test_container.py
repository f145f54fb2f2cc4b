import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import psutil
import pytest
from plugins.fake_runners import evaluation_job, trial_job

from seedbed.container_lines import METRIC, METRICS, MOST_BYTES, event_line, heard
from seedbed.core.search.events import (
    EpochFinished,
    TrialFailed,
    TrialFinished,
    TrialRefused,
    TrialStopped,
    to_line,
)
from seedbed.core.search.flat import to_rows
from seedbed.core.space import Choice, Condition, Float, Param, Space

FAKES = Path(__file__).parent / "plugins"
REPOSITORY = Path(__file__).parents[1]
OPTIMIZER = """
from seedbed import OptimizerSpec, hookimpl

@hookimpl
def register_optimizers():
    yield OptimizerSpec(name="mine", summary="One of ours.", build=f"{__name__}:make")

def make(groups, options): ...
"""
SPACE = Space(
    (
        Param("optimizer", Choice("adamw", "mine"), "adamw"),
        Param("optimizer.mine.lr", Float(0.001, 1.0, log=True), 0.1, (Condition("optimizer", ("mine",)),)),
        Param("optimizer.adamw.lr", Float(0.001, 1.0, log=True), 0.1, (Condition("optimizer", ("adamw",)),)),
    )
)
CAN_UNSHARE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"]


class Container:
    """The folders of one job, and the processes that were started on them."""

    def __init__(self, base):
        self.base = base
        self.begun = []

    def put(self, path, content):
        file = self.base / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))

    def order(self, job, **more):
        row = {"kind": type(job).__name__, **msgspec.to_builtins(job)}
        self.put("input/data/job/job.json", {"job": row, "runner": "container_runners:run", **more})

    def start(self, *before, path=(), what="train", **environment):
        known = {
            "SAGEMAKER_BASE_DIR": str(self.base),
            "PYTHONPATH": os.pathsep.join(map(str, [*path, REPOSITORY, FAKES])),
        }
        command = [*before, sys.executable, "-m", "seedbed.container", what]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, env={**os.environ, **known, **environment})
        self.begun.append(process)
        return process

    def run(self, *before, **environment):
        """Return the exit status, the lines of stdout, and what went to stderr."""
        process = self.start(*before, **environment)
        out, error = process.communicate(timeout=60)
        return process.returncode, out.decode().splitlines(), error.decode()

    @property
    def failure(self):
        return (self.base / "output/failure").read_text()


@pytest.fixture
def container(tmp_path):
    made = Container(tmp_path / "ml")
    yield made
    for process in made.begun:
        process.kill()
        process.communicate()


def trial(do):
    return replace(trial_job(3, do), data="input/data/data", splits="input/data/data/s", folder="checkpoints/trial")


def told(lines):
    return [each for line in lines if (each := heard(line))]


def numbers(lines):
    """What the service reads off these lines by the regular expressions that it is given."""
    return [{name: float(hit[1]) for name, regex in METRICS if (hit := re.search(regex, line))} for line in lines]


def test_a_job_is_done_with_absolute_paths_and_its_events_are_numbered_lines(container):
    container.order(trial("finish"))
    code, lines, _ = container.run()
    assert code == 0
    first, last = told(lines)
    assert [(each.attempt, each.number) for each in (first, last)] == [(1, 1), (1, 2)]
    assert first.event.score == 0.91
    assert last.event.notes[1] == str(container.base / "input/data/data")
    assert not (container.base / "output/failure").exists()


def test_the_service_finds_the_numbers_in_the_lines_that_are_printed_for_it(container):
    container.order(trial("finish"))
    _, lines, _ = container.run()
    look = {"seedbed:epoch": 3.0, "seedbed:score": 0.91, "seedbed:valid_loss": 0.31, "seedbed:train_loss": 0.2}
    assert numbers(lines) == [{}, look, {}, {"seedbed:epoch": 3.0, "seedbed:score": 0.93}]


def test_numbers_that_are_not_finite_are_left_out(container):
    container.order(trial("lose_its_losses"))
    code, lines, _ = container.run()
    assert code == 0
    assert numbers(lines)[1] == {"seedbed:epoch": 1.0, "seedbed:score": 0.5}
    assert not [line for line in lines if line.startswith(METRIC) and ("nan" in line or "inf" in line)]


def test_a_score_of_nan_fails_the_trial(container):
    container.order(trial("report_nan"))
    code, lines, _ = container.run()
    (only,) = told(lines)
    assert (code, type(only.event)) == (1, TrialFailed)
    assert "is every number finite" in container.failure


def test_a_stop_lets_the_trial_end_itself(container):
    container.order(trial("obey"))
    process = container.start()
    assert isinstance(heard(process.stdout.readline().decode()).event, EpochFinished)
    process.terminate()
    rest = process.stdout.read().decode().splitlines()
    assert process.wait(60) == 0
    assert [type(each.event) for each in told(rest)] == [TrialStopped]


def test_a_second_stop_ends_everything_at_once(container):
    container.order(trial("ignore_the_stop"))
    process = container.start()
    child = psutil.Process(int(heard(process.stdout.readline().decode()).event.epoch))
    process.stdout.readline()
    process.terminate()
    assert b"seedbed-event" in process.stdout.readline()  # the first one has arrived
    process.terminate()
    assert process.wait(60) == 143
    psutil.wait_procs([child], timeout=60)
    assert not child.is_running()


def test_the_work_ends_with_the_first_process(container):
    container.order(trial("obey"))
    process = container.start()
    process.stdout.readline()
    (work,) = psutil.Process(process.pid).children()
    process.kill()
    psutil.wait_procs([work], timeout=60)
    assert not work.is_running() or work.status() == psutil.STATUS_ZOMBIE


def test_a_signal_to_what_a_plugin_forked_is_no_stop_of_the_job(container):
    container.order(trial("signal_a_fork"))
    _, lines, _ = container.run()
    assert told(lines)[-1].event.notes[1:] == ("-15", "stop=False")


def test_as_process_1_it_hears_the_stop_and_reaps_orphans(container):
    if subprocess.run([*CAN_UNSHARE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine gives no process namespace")
    container.order(trial("leave_an_orphan"))
    code, lines, error = container.run(*CAN_UNSHARE)
    assert (code, [type(each.event) for each in told(lines)]) == (0, [TrialFinished]), error
    container.order(trial("obey"))
    process = container.start(*CAN_UNSHARE)
    process.stdout.readline()
    first = next(each for each in psutil.Process(process.pid).children())
    first.terminate()
    assert isinstance(told(process.stdout.read().decode().splitlines())[-1].event, TrialStopped)
    assert process.wait(60) == 0


def test_a_trial_that_was_killed_leaves_words(container):
    container.order(trial("kill_itself"))
    code, lines, _ = container.run()
    assert (code, len(told(lines))) == (137, 1)
    assert "ended by SIGKILL" in container.failure
    assert "memory" in container.failure


def test_the_second_start_of_a_job_is_attempt_2(container):
    container.order(trial("finish"))
    for attempt in (1, 2):
        assert {each.attempt for each in told(container.run()[1])} == {attempt}
    for attempt in (1, 2):
        assert {each.attempt for each in told(container.run(TRAINING_JOB_NAME="a")[1])} == {attempt}
    assert sorted(each.name for each in (container.base / "checkpoints").iterdir()) == ["attempt", "attempt-a"]


def test_what_plugins_print_garbles_no_event(container):
    container.order(trial("print_much"))
    _, lines, error = container.run()
    assert [type(each.event) for each in told(lines)] == [TrialFinished]
    assert len(lines) == 2
    assert {"seedbed-event {}", "seedbed-event from native code", "from a child"} <= set(error.splitlines())


def test_a_long_traceback_is_shortened_in_the_middle_and_stays_an_event(container):
    container.order(trial("fail_at_length"))
    code, (line,), _ = container.run()
    event = heard(line).event
    assert code == 1
    assert len(line.encode()) <= MOST_BYTES
    assert event.traceback.startswith("beginä\n")
    assert event.traceback.endswith("ä\nend")
    assert "[…]" in event.traceback
    assert container.failure.startswith("it äched\n\nbegin")


def test_a_refused_trial_is_no_failure(container):
    container.order(trial("refuse"))
    code, lines, _ = container.run()
    assert (code, [type(each.event) for each in told(lines)]) == (0, [TrialRefused])
    assert not (container.base / "output/failure").exists()


def test_a_tuned_job_trains_the_point_that_was_drawn_and_leaves_its_folder_as_the_model(container):
    container.put("input/data/code/mine.py", OPTIMIZER)
    container.put("input/data/job/space.json", to_rows(SPACE))
    drawn = {"optimizer": "mine", "optimizer.mine.lr": "0.25", "optimizer.adamw.lr": "0.5", "_tuning_x": "score"}
    container.put("input/config/hyperparameters.json", drawn)
    container.order(trial("unused"), plugins=["input/data/code/mine.py"], tuned=True)
    code, lines, error = container.run(TRAINING_JOB_NAME="child-7")
    assert code == 0, error
    # The version shows that the plugin's file was loaded.
    assert told(lines)[-1].event.notes[1:] == ("optimizer=mine", "optimizer.mine.lr=0.25", "optimizer:mine")
    assert (container.base / "model/weights").read_text() == "w"
    assert (container.base / "checkpoints/trial/child-7/weights").is_file()


def test_a_missing_channel_is_named_in_the_failure_file(container):
    container.put("input/config/inputdataconfig.json", {"code": {}, "data": {}})
    code, lines, _ = container.run()
    assert (code, lines) == (1, [])
    assert "a channel `job` must hold it. Channels of this job: code, data." in container.failure.splitlines()[0]
    assert "Traceback" in container.failure


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"job": {"kind": "Banana"}}, "is no order for a job (KeyError('Banana'))"),
        ([], "is no order for a job"),
        ({"job": {"kind": "TrialJob", "trial": 1}}, "is no order for a job"),
    ],
)
def test_an_order_that_cannot_be_read_is_said_so(container, order, words):
    container.put("input/data/job/job.json", order)
    assert container.run()[0] == 1
    assert words in container.failure.splitlines()[0]


def test_a_plugin_that_cannot_be_imported_fails_the_job_before_it_begins(container):
    container.put("input/data/code/mine.py", "import no_such_module")
    container.order(trial("finish"), plugins=["input/data/code/mine.py"])
    code, lines, _ = container.run()
    assert (code, lines) == (1, [])
    assert "The plugin mine cannot be used" in container.failure
    assert "no_such_module" in container.failure.splitlines()[0]


def test_an_image_without_torch_is_told_what_it_needs(container, tmp_path):
    stub = 'raise ModuleNotFoundError("No module named \'torch\'", name="torch")'
    (tmp_path / "torch.py").write_text(stub)
    container.order(trial("finish"), runner="")
    code, lines, _ = container.run(path=[tmp_path])
    assert (code, lines) == (1, [])
    assert container.failure.startswith("This container has no module 'torch'. Choose an image with torch")


def test_an_evaluation_cannot_be_tuned(container):
    job = evaluation_job("input/data/bundle")
    container.order(job, tuned=True)
    container.put("input/data/job/space.json", to_rows(SPACE))
    assert container.run()[0] == 1
    assert "An evaluation cannot be tuned" in container.failure


def test_an_event_that_is_told_can_be_read_back_wherever_it_stands_in_a_line():
    event = TrialFinished(trial=1, score=0.5, seconds=1, epochs=1, steps=1)
    line = "a progress bar: 10 %" + event_line(to_line(event), 2, 9).decode()
    found = heard(line)
    assert (found.attempt, found.number, found.event) == (2, 9, event)
    assert heard("seedbed-metric score=1.0;") is None


def test_a_study_without_its_order_is_explained(container):
    code, _, _ = container.run(what="study")
    assert code == 1
    assert "study.json; a channel `job` must hold it" in container.failure
