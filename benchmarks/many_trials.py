"""What the engine itself costs a trial, and whether that grows: many trials through a backend that trains nothing.

    python benchmarks/many_trials.py [--trials 10000] [--strategy random] [--out DIR]

Strategy, journal, history, rules, monitors and files are the real ones; what the fake backend takes to make up its
predictions is measured apart and taken off. Prints the milliseconds a trial in each tenth of the run, the time that
ranking all of them takes, and that of reading the journal back.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import seedbed
from seedbed import api
from seedbed.core.search.history import History
from seedbed.core.search.journal import read

PLUGIN = Path(__file__).with_name("fake_backend.py")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--strategy", default="random")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(measure(options.trials, options.strategy, options.out or Path(scratch) / "run"), indent=2))


def measure(trials: int, strategy: str, out: Path) -> dict[str, object]:
    """Run so many trials; return figures, all times in milliseconds a trial but those named otherwise."""
    began = time.monotonic()
    run = seedbed.fit(
        "demo:digits",
        trials=trials,
        strategy=strategy,
        backend="fake",
        plugins=[str(PLUGIN)],
        monitors=["plain"],
        out=out,
        offline=True,
    )
    wall = time.monotonic() - began
    starts = [trial.started for trial in run.history]
    size = len(starts) // 10
    tenths = [1e3 * (starts[(n + 1) * size - 1] - starts[n * size]) / (size - 1) for n in range(10)]
    fake = 1e3 * _fake_seconds(out, run.history)
    began = time.monotonic()
    history = History(read(out / "journal.jsonl"))
    replayed = time.monotonic() - began
    assert len(history) == len(run.history)
    began = time.monotonic()
    api.open_run(out, plugins=[str(PLUGIN)])
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "trials": len(starts),
        "strategy": strategy,
        "wall_seconds": round(wall, 1),
        "ms_a_trial_by_tenths": [round(each, 2) for each in tenths],
        "of_that_the_fake_backend": round(fake, 2),
        "engine_ms_a_trial": round(statistics.fmean(tenths) - fake, 2),
        "last_against_first": round((tenths[-1] - fake) / (tenths[0] - fake), 2),
        "journal_replay_seconds": round(replayed, 2),
        "open_and_rank_seconds": round(time.monotonic() - began, 1),
    }


def _fake_seconds(out: Path, history: History) -> float:
    """Return what the backend takes for a trial, in the mean of two hundred."""
    from fake_backend import FakeBackend, FakeOptions

    from seedbed.core.protocols import Workplace
    from seedbed.core.runfolder import RunFolder
    from seedbed.core.search.candidate import Proposal
    from seedbed.core.search.study import Ground

    folder = RunFolder(out)
    assert history.profile is not None
    ground = Ground(profile=history.profile, data=out, splits=folder.splits, trials=out / "apart", seed=0)
    place = Workplace(folder=out, lookup=api.open_registry([str(PLUGIN)]))
    backend = FakeBackend(FakeOptions(slots=1), place)
    some = list(history)[2:202]
    jobs = [
        ground.job(each.number, Proposal(candidate=each.candidate, fidelity=each.fidelity), grace=1.0, unix_now=0.0)
        for each in some
    ]
    backend.submit(jobs[0])  # reads the split
    backend.poll(0.0)
    began = time.monotonic()
    for job in jobs:
        backend.submit(job)
        backend.poll(0.0)
    return (time.monotonic() - began) / len(jobs)


if __name__ == "__main__":
    main()
