import json
import os
import subprocess
import sys

import pytest

from seedbed.core import cores
from seedbed.core.cores import LEAST_SECONDS, known_width, side_by_side

ON_TWO = {1: 100.0, 2: 130.0}


@pytest.mark.parametrize(
    ("rates", "width"),
    [
        ({}, 1),
        ({1: 100.0}, 1),
        ({1: 100.0, 2: 124.0}, 1),
        ({1: 100.0, 2: 126.0}, 2),
        ({1: 100.0, 2: 120.0, 4: 300.0}, 1),  # the way there has to pay as well
        ({1: 100.0, 2: 150.0, 4: 180.0}, 2),
        ({1: 100.0, 2: 150.0, 4: 200.0}, 4),
    ],
)
def test_twice_as_many_at_a_time_as_long_as_they_do_clearly_more(rates, width):
    assert side_by_side(rates) == width


def test_it_is_measured_once_on_a_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(cores.sys, "platform", "linux")
    asked = []

    def measure(count):
        asked.append(count)
        return ON_TWO

    seconds = LEAST_SECONDS
    assert known_width(tmp_path / "cache", 2, seconds=seconds - 1, measure=measure) == 1  # too short a run to pay it
    assert known_width(tmp_path / "cache", 2, seconds=seconds, measure=measure) == 2
    assert known_width(tmp_path / "cache", 2, seconds=30.0, measure=measure) == 2
    assert asked == [2]
    assert known_width(tmp_path / "cache", 4, seconds=seconds, measure=measure) == 2  # another machine
    assert asked == [2, 4]
    assert known_width(tmp_path / "cache", 1, seconds=seconds, measure=measure) == 1
    assert asked == [2, 4]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"machine": 1}', '{"machine": {}, "steps_a_second": {"a": 1}}'])
def test_what_cannot_be_read_is_measured_again(tmp_path, content, monkeypatch):
    monkeypatch.setattr(cores.sys, "platform", "linux")
    (tmp_path / "cores.json").write_text(content)
    assert known_width(tmp_path, 2, seconds=LEAST_SECONDS, measure=lambda count: ON_TWO) == 2


def test_a_measurement_that_fails_is_told_and_keeps_nobody_from_training(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(cores.sys, "platform", "linux")
    monkeypatch.setattr(cores.sys, "executable", str(tmp_path / "no-python"))
    assert known_width(tmp_path, 2, seconds=LEAST_SECONDS) == 1
    assert "cannot be measured" in caplog.text
    assert not (tmp_path / "cores.json").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")
def test_the_measurement_runs_as_many_trainings_as_it_says():
    command = [sys.executable, "-m", "seedbed.core.training.scaling", "2"]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    assert list(found) == ["1", "2"]
    assert all(rate > 0 for rate in found.values())
