from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parent / "plugins"

QUICK = ["--strategy", "quick", "--offline", "--threads", "1", "--json", "-q"]


@pytest.fixture(scope="session")
def environment(tmp_path_factory) -> dict[str, str]:
    """Of all commands: a cache folder that they share, and no plugins but those that they name."""
    return {**os.environ, "SEEDBED_HOME": str(tmp_path_factory.mktemp("home")), "SEEDBED_PLUGINS": ""}


class Shell:
    """Starts the command line as a user does: in a process of its own."""

    def __init__(self, environment):
        self.environment = environment

    def start(self, *arguments, plugins=("quick",), **variables) -> subprocess.Popen:
        named = [each for name in plugins for each in ("--plugin", PLUGINS / f"{name}.py")]
        return subprocess.Popen(
            [sys.executable, "-m", "seedbed", *map(str, (*named, *arguments))],
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, **more):
        """Run a command to its end; `(code, stdout, stderr)`."""
        process = self.start(*arguments, **more)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def fit(self, out, *arguments, source="demo:digits", **more):
        """Run `fit` to its end; returns its exit code and its JSON document."""
        code, text, err = self.run("fit", source, "--out", out, *QUICK, *arguments, **more)
        assert text, err
        return code, json.loads(text)

    def begin(self, out, *arguments, **more) -> subprocess.Popen:
        """Start `fit` and leave it running."""
        return self.start("fit", "demo:digits", "--out", out, *QUICK, *arguments, **more)


@pytest.fixture(scope="session")
def shell(environment) -> Shell:
    return Shell(environment)


@pytest.fixture
def wait_until() -> Callable[..., None]:
    def wait(holds: Callable[[], object], seconds: float = 60.0) -> None:
        limit = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < limit, "it never came to that"
            time.sleep(0.02)

    return wait


@pytest.fixture
def events() -> Callable[[Path], list[dict]]:
    """Read what a journal holds so far, as JSON objects."""

    def read(out: Path) -> list[dict]:
        path = out / "journal.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
        return [json.loads(line) for line in lines]

    return read
