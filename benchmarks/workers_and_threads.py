"""How many workers with how many threads each: the same trials, run in every way in which the cores can be shared.

    python benchmarks/workers_and_threads.py [--data demo:digits] [--trials 6] [--repeats 3] [--out RESULTS.json]

A plan in work units is the same however many work on it, so each way does the same trials with the same steps. What is
compared is steps a second over all trials, from the first trial's start to the last one's end, once for nets of each
kind; the ways take turns, and the best of the repeats counts: what else the machine does only ever takes time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import seedbed
from seedbed.core.search.events import TrialFinished, TrialStarted
from seedbed.core.search.journal import read

NETS = {
    "mlp": {"architecture": "mlp", "policy": "scratch"},
    "small_resnet": {"architecture": "small_resnet", "policy": "scratch"},
}


@dataclass(frozen=True)
class Way:
    """So many workers with so many threads each."""

    workers: int
    threads: int

    def __str__(self) -> str:
        return f"{self.workers} x {self.threads}"


def ways(cores: int) -> list[Way]:
    """Return the ways to share the cores evenly, from one worker with all to one worker a core."""
    return [Way(workers, cores // workers) for workers in range(1, cores + 1) if cores % workers == 0]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="demo:digits")
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--nets", nargs="*", default=list(NETS), choices=list(NETS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    speeds: dict[str, dict[str, list[float]]] = {}
    for _ in range(options.repeats):
        for net in options.nets:
            for way in ways(options.cores):
                found = steps_a_second(options.data, options.trials, net, way)
                speeds.setdefault(net, {}).setdefault(str(way), []).append(found)
                print(f"{net:>14} {way}: {found:.1f} steps/s", flush=True)
    results = {
        "cores": options.cores,
        "load": os.getloadavg()[0],
        "platform": platform.platform(),
        "torch": version("torch"),
        "steps_a_second": speeds,
    }
    for net, by_way in speeds.items():
        base = max(by_way[str(ways(options.cores)[0])])
        print(net, {way: f"{max(each) / base:.2f} times 1 x {options.cores}" for way, each in by_way.items()})
    if options.out is not None:
        options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def steps_a_second(data: str, trials: int, net: str, way: Way) -> float:
    """Run trials of one net, and return the steps of all of them by the seconds from first start to last end."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        seedbed.fit(
            data,
            out=out,
            trials=trials,
            workers=way.workers,
            threads=way.threads,
            device="cpu",
            strategy="random",
            fixed=NETS[net],
        )
        events = list(read(out / "journal.jsonl"))
    began = min(each.at for each in events if isinstance(each, TrialStarted))
    ends = [each for each in events if isinstance(each, TrialFinished) and each.steps]
    return sum(each.steps for each in ends) / (max(each.at for each in ends) - began)


if __name__ == "__main__":
    main()
