"""Whether runs can be had again: plans with one worker and with several, and timed runs replayed.

    python benchmarks/replayed.py demo:digits photos=FOLDER --trials 8 --workers 1 2 --seeds 0 1 2 [--time 30s]

Each run is a process of its own, `seedbed fit --trials N`, offline and without experience. Full trainings without a
clock are long: these are of --epochs passes, proposed by Bayesian search or what --of names (`shortened.py`). Compared
are all that leaderboards hold but measured times and sizes, floats bit for bit, and the stored predictions of every
trial. With --time a timed run is made too, by the strategy that is the default, and replayed by `seedbed replay`, which
compares by itself. Prints Markdown; exits with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from components import machine

PLUGIN = Path(__file__).with_name("shortened.py")
MEASURED = ("seconds", "latency_p50", "latency_p95", "memory_bytes", "on_front")
"""What of a row depends on the machine's speed: `on_front` follows from latencies."""


def board(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of a run's leaderboard without what was measured."""
    rows = json.loads((folder / "leaderboard.json").read_text())["rows"]
    return [{name: value for name, value in row.items() if name not in MEASURED} for row in rows]


def predictions(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Return the stored predictions of every trial."""
    found = {}
    for file in sorted(folder.glob("trials/*/predictions.npz")):
        with np.load(file) as arrays:
            found[file.parent.name] = {name: arrays[name] for name in arrays.files}
    return found


def differences(one: Path, other: Path) -> list[str]:
    """Say what is not the same in two runs."""
    found = []
    if board(one) != board(other):
        found.append("leaderboard")
    mine, yours = predictions(one), predictions(other)
    if mine.keys() != yours.keys():
        found.append("trials that left predictions")
    for trial in mine.keys() & yours.keys():
        same = mine[trial].keys() == yours[trial].keys() and all(
            np.array_equal(mine[trial][name], yours[trial][name]) for name in mine[trial]
        )
        if not same:
            found.append(f"predictions of {trial}")
    return found


def call(arguments: Sequence[str], home: Path) -> int:
    """Run a command of seedbed; return its exit code."""
    environment = {**os.environ, "SEEDBED_HOME": str(home)}
    command = [sys.executable, "-m", "seedbed", "--plugin", str(PLUGIN), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.returncode


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="[NAME=]DATA")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--of", default="bayesian", choices=("random", "bayesian", "asha", "hyperband"))
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--time", metavar="DURATION", help="make and replay a timed run too")
    parser.add_argument("--set", action="append", default=[], help="handed on to `seedbed fit`")
    options = parser.parse_args(arguments)
    print(f"{machine()}.\n\n| data | run | seed | rows on the board | rows ranked | differences |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    plan = ["--trials", str(options.trials), "--threads", "1", "--strategy", "shortened"]
    plan += ["--set", f"strategy.shortened.of={options.of}", "--set", f"strategy.shortened.epochs={options.epochs}"]
    pinned = [part for each in options.set for part in ("--set", each)]
    of_workers, failed = " and ".join(map(str, options.workers)), False
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        for wanted in options.sets:
            name, _, data = wanted.rpartition("=")
            for seed in options.seeds:
                fit = ["fit", data, "--seed", str(seed), "--offline", "--no-experience", "--quiet", *pinned]
                tellings = []
                folders = [here / f"{name}-{seed}-{count}" for count in options.workers]
                for count, folder in zip(options.workers, folders, strict=True):
                    call([*fit, *plan, "--workers", str(count), "--out", str(folder)], here / "home")
                unlike = [each for folder in folders[1:] for each in differences(folders[0], folder)]
                tellings.append((f"{options.of}, {options.trials} trials, workers {of_workers}", folders[0], unlike))
                if options.time:
                    timed, again = here / f"{name}-{seed}-timed", here / f"{name}-{seed}-again"
                    call([*fit, "--time", options.time, "--out", str(timed)], here / "home")
                    told = ["replay"] if call(["replay", str(timed), "--out", str(again), "-q"], here / "home") else []
                    tellings.append((f"{options.time}, replayed", timed, [*told, *differences(timed, again)]))
                for run, folder, unlike in tellings:
                    rows = board(folder)
                    ranked = sum(row["rank"] is not None for row in rows)
                    print(
                        f"| {name or data} | {run} | {seed} | {len(rows)} | {ranked} | {', '.join(unlike) or 'none'} |",
                        flush=True,
                    )
                    failed |= bool(unlike)
    sys.exit(failed)


if __name__ == "__main__":
    main()
