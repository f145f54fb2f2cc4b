"""Run `seedbed fit` as a user would, on named data within a time budget, and write the figures down.

    python benchmarks/first_path.py digits:60s
    python benchmarks/first_path.py fashion=FOLDER:300s emoji=FOLDER:180s --seeds 0 1 2

Each run is a fresh process. Its wall time is taken from outside: the interpreter's start and the report
count. `prepared` is when the data was read, decoded and checked, `first model` when a usable bundle was
on disk, both in seconds since the process began. FOLDER has train/ and test/; Fashion-MNIST is written
out by `fashion_mnist.py`. The prepared-image cache is empty at the start of every run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from seedbed.core.search.events import DataDescribed
from seedbed.core.search.journal import read
from seedbed.core.settings import parse_duration


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one run came to; times in seconds."""

    data: str
    seed: int
    budget: float
    wall: float
    exit_code: int
    prepared: float
    first_model: float
    trials: int
    accuracy: float

    def row(self) -> str:
        """Return a line of the Markdown table."""
        return (
            f"| {self.data} | {self.seed} | {self.budget:g} | {self.wall:.1f} | {self.exit_code} | "
            f"{self.prepared:.1f} ({self.prepared / self.budget:.0%}) | "
            f"{self.first_model:.1f} ({self.first_model / self.budget:.0%}) | {self.trials} | {self.accuracy:.4f} |"
        )


HEADER = """| data | seed | budget s | wall s | exit | prepared | first model | trials | test accuracy |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def run(name: str, source: str, budget: str, seed: int) -> Figures:
    """Fit once in a process of its own, with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "seedbed", "fit", source, "--time", budget, "--seed", str(seed)]
        environment = {**os.environ, "SEEDBED_HOME": str(Path(folder) / "home")}
        began = time.perf_counter()
        done = subprocess.run(
            [*command, "--out", str(out), "--offline", "--json", "-q"],
            env=environment,
            stdout=subprocess.PIPE,
            check=False,
        )
        wall = time.perf_counter() - began
        document = json.loads(done.stdout)
        described = next(each for each in read(out / "journal.jsonl") if isinstance(each, DataDescribed))
    return Figures(
        data=name,
        seed=seed,
        budget=parse_duration(budget),
        wall=wall,
        exit_code=done.returncode,
        prepared=described.at,
        first_model=document["first_bundle_seconds"],
        trials=sum(row["trial"] >= 0 for row in document["leaderboard"]),
        accuracy=(document["test"] or {}).get("accuracy", float("nan")),
    )


def main() -> None:
    """Run what the command line names, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", metavar="NAME[=FOLDER]:BUDGET")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments = parser.parse_args()
    packages = ", ".join(f"{each} {version(each)}" for each in ("torch", "timm", "numpy"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}\n")
    print(HEADER, flush=True)
    for each in arguments.data:
        rest, _, budget = each.rpartition(":")
        name, _, folder = rest.partition("=")
        for seed in arguments.seeds:
            print(run(name, folder or f"demo:{name}", budget, seed).row(), flush=True)


if __name__ == "__main__":
    main()
