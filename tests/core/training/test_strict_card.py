"""The path of GPUs, on a device that refuses what CUDA refuses: `strict_card` says how, `card_trials` what is done."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
NAMES = ("refusals", "scratch", "probe", "head_then_all", "full", "resumed", "lower precision")
NAMES += ("images", "texts", "series")


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What went wrong, by what was done; one process for all, because a device is made once and for ever."""
    folder = tmp_path_factory.mktemp("card")
    (folder / "home").mkdir()
    (folder / "trials").mkdir()
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    home = {"HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "home" / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "core.training.card_trials", str(folder / "trials")],
        capture_output=True,
        env={**os.environ, **home, "PYTHONPATH": paths},
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    lines = [json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith("{")]
    return {each["name"]: each["wrong"] for each in lines}


def test_nothing_else_is_done(told):
    assert tuple(told) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_what_is_done_on_the_processor_is_done_on_a_card(told, name):
    assert told[name] == ""
